"""Findings in reports are present, absent or uncertain: each rule by examples."""

import time

import pytest

from wsseg.data.negation import mentions

WORDS = ("consolidation", "consolidations", "consolidated", "consolidative")


def statements(report: str) -> list[str]:
    return [each.statement for each in mentions(report, WORDS)]


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        ("Consolidation in both lower lobes.", "present"),
        ("No effusion, pneumothorax or consolidation.", "absent"),
        ("Consolidation has resolved.", "absent"),
        ("Consolidation cannot be excluded.", "uncertain"),
        ("Atelectasis versus consolidation.", "uncertain"),
        ("No atelectasis vs. consolidation.", "absent"),
        ("Consolidation?", "uncertain"),
        ("No change in the consolidation.", "present"),
        ("The consolidation has not resolved.", "present"),
        ("Near complete resolution of the consolidation.", "present"),
        ("No effusion but consolidation.", "present"),
        ("Consolidation, although no effusion was seen.", "present"),
        ("The non-consolidated lung is clear.", "absent"),
        ("Collapse-consolidation.", "present"),
        ("NO CONSOLIDATION", "absent"),
    ],
)
def test_a_finding_is_present_absent_or_uncertain(sentence: str, statement: str) -> None:
    assert statements(sentence) == [statement]


def test_the_strongest_statement_of_a_sentence_counts() -> None:
    report = (
        "No consolidation on the right, but possible consolidation and, on the left, consolidation."
    )
    assert statements(report) == ["present"]


def test_keywords_match_only_complete_words() -> None:
    assert statements("Preconsolidation changes; consolidations-like.") == ["present"]
    assert statements("Preconsolidational changes.") == []


def test_a_wrapped_line_continues_a_sentence_and_a_bullet_starts_one() -> None:
    wrapped = "There is no\nconsolidation.\n- Effusion\n- Consolidation of the\n  right lower lobe"
    found = list(mentions(wrapped, WORDS))
    assert [each.statement for each in found] == ["absent", "present"]
    assert found[0].sentence == "There is no consolidation."
    assert found[1].sentence == "Consolidation of the right lower lobe"


def test_indication_and_comparison_state_nothing() -> None:
    report = "INDICATION: Fever. Consolidation on radiograph.\nFINDINGS: No consolidation."
    assert statements(report) == ["absent"]
    assert statements("Comparison: consolidation in May.") == []


def test_keywords_may_be_phrases() -> None:
    found = mentions("No  crazy\npaving. Ground glass.", ["crazy paving"])
    assert [each.statement for each in found] == ["absent"]


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 60_000,
        " " * 60_000,
        "no " * 20_000,
        "-" * 60_000,
        "a:" * 30_000,
        "no consolidation " * 7000,
    ],
)
def test_long_unusual_texts_are_processed_quickly(text: str) -> None:
    start = time.process_time()
    list(mentions(f"{text} consolidation", WORDS))
    assert time.process_time() - start < 2
