"""Single typing errors in cues and keywords are corrected, other words are not."""

import pytest

from wsseg_reports.spelling import correct_spelling


@pytest.mark.parametrize(
    ("written", "corrected"),
    [
        ("wihtout consolidaton", "without consolidation"),
        ("no evidnce", "no evidence"),
        ("exlcuded, resovled, negativve", "excluded, resolved, negative"),
        ("either module or infusion included", "either module or infusion included"),
        ("yet to resolve", "yet to resolve"),
    ],
)
def test_one_missing_added_wrong_or_swapped_letter_is_corrected(
    written: str, corrected: str
) -> None:
    assert correct_spelling(written, ["consolidation", "nodule", "effusion"]) == corrected
