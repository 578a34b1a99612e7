"""Real cohorts and phantoms have no errors."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SHARED = Path(__file__).resolve().parents[3] / "../shared/data"
needs_real_data = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")


@pytest.mark.slow
@needs_real_data
def test_real_cohorts_have_no_errors(wsseg: "Wsseg", tmp_path: Path) -> None:
    """The pictures that MedSeg's slices come from were clipped; the DICOM scan is padded."""
    medseg = f"cohort={{use: medseg-100, root: {SHARED / 'medseg100-sample'}}}"
    glioma = f"cohort.path={SHARED / 'lgg-flair' / 'lgg_flair_80.npz'}"
    ct = tmp_path / "ct"
    ct.mkdir()
    for path in (SHARED / "ct-small").glob("*ct*.nii.gz"):
        if "seg" not in path.name:
            (ct / path.name).symlink_to(path.resolve())
    allowed = {
        ("covid/phi2", "--set", medseg): {"clipped"},
        ("glioma/em", "--set", glioma): set[str](),
        (SHARED / "dicom-small", "--unit", "HU"): {"padding"},
        (ct, "--unit", "HU"): set(),
    }
    for words, names in allowed.items():
        ended = wsseg("data", "check", *words, "--json")
        assert ended.code == 0, ended.err
        assert {each["name"] for each in json.loads(ended.out)["findings"]} == names, words


@pytest.mark.slow
def test_no_problem_is_found_in_the_phantom(wsseg: "Wsseg") -> None:
    words = ("cohort.cases=15", "cohort.size=64", "cohort.slices=12")
    changes = [word for each in words for word in ("--set", each)]
    ended = wsseg("data", "check", "covid/demo-phi2", *changes)
    assert ended.out == "15 scans: no problems found\n", ended.err
