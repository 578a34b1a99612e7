"""How often the derived tags are right, unknown or wrong.

Run this file as a script to print the tables of all sentences with the present rules.
"""

import csv
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from wsseg_reports.tables import TAGS, find_verdict

FOLDER = Path(__file__).parent
README = FOLDER.parent / "README.md"
KEYWORDS = {
    "consolidation": ("consolidation", "consolidations", "consolidated", "consolidative"),
    "crack": ("crack", "cracks"),
    "effusion": ("effusion", "effusions"),
    "emphysema": ("emphysema", "emphysematous"),
    "ground-glass": ("ground-glass", "ground glass", "groundglass", "GGO", "GGOs"),
    "infection": ("infection", "infections", "infective", "infectious", "infected"),
    "nodule": ("nodule", "nodules"),
    "pneumothorax": ("pneumothorax", "pneumothoraces"),
    "tumour": ("tumour", "tumours", "tumor", "tumors"),
}
OUTCOMES = ("right", "unknown", "asserted", "wrong")


def outcome(tag: str, derived: str) -> str:
    """Return how a derived tag compares with that of a person.

    wrong: present for absent, or the reverse; asserted: present or absent for unknown.
    """
    if tag == derived:
        return "right"
    if not derived:
        return "unknown"
    return "wrong" if tag else "asserted"


@cache
def counts(sentences: str) -> dict[str, Counter[str]]:
    """Return the number of sentences with each outcome, by kind, and of all together."""
    found: dict[str, Counter[str]] = {}
    with (FOLDER / f"{sentences}_sentences.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            verdict = find_verdict([row["report"]], KEYWORDS[row["class"]])
            found.setdefault(row["kind"], Counter())[
                outcome(row["tag"], TAGS.get(verdict.statement, ""))
            ] += 1
    return found | {"all": sum(found.values(), Counter())}


def table(sentences: str) -> str:
    """Return the counts as a table of the README."""
    head = f"| {sentences} sentences | number | {' | '.join(OUTCOMES)} |\n|---|{'--:|' * 5}\n"
    lines = [
        f"| {kind} | {number.total()} | {' | '.join(str(number[each]) for each in OUTCOMES)} |\n"
        for kind, number in counts(sentences).items()
    ]
    return head + "".join(lines)


@pytest.mark.parametrize("sentences", ["development", "test", "unseen"])
def test_at_most_2_percent_are_wrong_and_15_percent_unknown(sentences: str) -> None:
    number = counts(sentences)["all"]
    assert number["wrong"] <= 0.02 * number.total()
    assert number["unknown"] <= 0.15 * number.total()


def test_the_table_of_the_readme_has_the_present_counts() -> None:
    assert table("development") in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("sentences", ["test", "unseen"])
def test_the_readme_states_the_present_counts_of_all_other_sentences(sentences: str) -> None:
    number = counts(sentences)["all"]
    right, unknown, asserted, wrong = (number[each] for each in OUTCOMES)
    stated = f"{right} are right, {unknown} unknown, {asserted} asserted and {wrong} wrong"
    assert stated in " ".join(README.read_text(encoding="utf-8").split())


def test_97_of_the_first_100_sentences_agree_with_their_tags_and_3_are_unknown() -> None:
    with (FOLDER / "first_100_sentences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [find_verdict([row["report"]], KEYWORDS["consolidation"]).statement for row in rows]
    outcomes = Counter(
        outcome(row["tag.consolidation"], TAGS.get(statement, ""))
        for row, statement in zip(rows, found, strict=True)
    )
    assert outcomes == {"right": 97, "unknown": 3}


def test_all_sentences_reported_as_wrong_are_now_right_except_three_in_french() -> None:
    with (FOLDER / "reported_sentences.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    statements = [
        find_verdict([row["report"]], KEYWORDS["consolidation"]).statement for row in rows
    ]
    differing = [
        statement
        for row, statement in zip(rows, statements, strict=True)
        if TAGS.get(statement, "") != row["consolidation"]
    ]
    assert differing == ["in French"] * 3


if __name__ == "__main__":
    for sentences in ("development", "test", "unseen"):
        print(table(sentences))
