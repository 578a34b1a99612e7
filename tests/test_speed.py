"""`make speed`: the page is what the rows say, and every subject runs."""

import math
from pathlib import Path

import pytest

from benchmarks.speed import paper, phantom_run
from benchmarks.speed.cases import Cases
from benchmarks.speed.compiled import Compiled
from benchmarks.speed.em import Em
from benchmarks.speed.limits import Limits
from benchmarks.speed.peers import Peers
from benchmarks.speed.precision import Learnt
from benchmarks.speed.prediction import Predicting
from benchmarks.speed.prepare import Preparation
from benchmarks.speed.reasons import REASONS
from benchmarks.speed.startup import Startup
from benchmarks.speed.subjects import SUBJECTS, Subject
from benchmarks.speed.table import Line, line, page, read_lines, replaced, write_lines
from benchmarks.speed.timing import Row, by_turns, peak_mib, ratios
from benchmarks.speed.train import Train

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "speed"
SMALL_RUN = phantom_run.Sizes(size=64, slices=8, width=2, epochs=1)
SMALL_STEP = paper.Sizes(slices=3, pixels=16, width=2, batch=2)
SLOW = {
    "train",
    "precision",
    "predict",
    "startup",
    "cases",
    "compiled",
}  # many processes, or a compiler
TINY: dict[str, Subject] = {
    "limits": Limits(n=8, mib=1, repeats=2),
    "train": Train(SMALL_STEP, n=8, repeats=2),
    "precision": Learnt(cases=4, size=32, slices=6, width=2, epochs=1, seeds=(0, 1)),
    "em": Em(SMALL_STEP, repeats=2),
    "compiled": Compiled(SMALL_STEP, repeats=2),
    "predict": Predicting(SMALL_RUN, n=64, repeats=1),
    "peers": Peers(SMALL_RUN, repeats=1),
    "prepare": Preparation(size=64, slices=12, repeats=1),
    "startup": Startup(repeats=1),
    "cases": Cases(numbers=(2, 3, 4), size=32, slices=8, scan=(64, 40), paper="covid/demo-phi2"),
}


def test_the_page_is_made_from_the_committed_rows() -> None:
    lines = read_lines(FOLDER / "rows.csv")
    assert page(lines, SUBJECTS) == (FOLDER / "README.md").read_text(encoding="utf-8"), (
        "run: python -m benchmarks.speed"
    )


def test_the_committed_rows_are_of_subjects_that_there_are() -> None:
    assert {each.subject for each in read_lines(FOLDER / "rows.csv")} <= set(SUBJECTS)


def test_reasons_are_of_rows_of_which_something_is_asked() -> None:
    asked = {(each.subject, each.name) for each in read_lines(FOLDER / "rows.csv") if each.asked}
    assert set(REASONS) <= asked


def test_a_reason_is_told_only_where_its_row_does_not_hold() -> None:
    (subject, name), why = next(iter(REASONS.items()))

    def told(value: float) -> bool:
        row = line(subject, Row(name, (value,), "×", least=3), "M", "V")
        return why in page([row], {})

    assert told(2.9)
    assert not told(3)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SUBJECTS],
)
def test_a_subject_runs(name: str) -> None:
    rows = list(TINY[name].measure())
    assert rows
    assert len({row.name for row in rows}) == len(rows)
    assert all(math.isfinite(value) for row in rows for value in row.values)


def test_ways_are_run_by_turns_after_one_that_does_not_count() -> None:
    calls: list[str] = []
    seconds = by_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert "".join(calls) == "ab" + "ababab"
    assert len(seconds["a"]) == len(seconds["b"]) == 3


def test_a_ratio_is_taken_round_by_round() -> None:
    assert ratios((2, 9, 8), (1, 3, 2)) == (2, 3, 4)


def test_the_value_of_a_row_is_its_median() -> None:
    assert Row("", (1, 100, 2), "s").value == 2


@pytest.mark.parametrize(
    ("row", "asked", "holds"),
    [
        (Row("", (3,), "×", least=3), "≥ 3", True),
        (Row("", (2.9,), "×", least=3), "≥ 3", False),
        (Row("", (1.2,), "×", most=1.1), "≤ 1.1", False),
        (Row("", (1,), "s"), "", True),
    ],
)
def test_what_is_asked_is_compared_with_the_median(row: Row, asked: str, holds: bool) -> None:
    kept = line("a", row, "", "")
    assert (kept.asked, kept.holds) == (asked, holds)


def test_a_subject_measured_again_replaces_its_rows_alone(tmp_path: Path) -> None:
    def lines(subject: str, *values: float) -> list[Line]:
        return [line(subject, Row(f"row {v}", (v, v), "s", most=1), "M", "V") for v in values]

    old = lines("a", 1, 2) + lines("b", 3)
    write_lines(tmp_path / "rows.csv", replaced(old, lines("a", 4), ["a", "b"]))
    assert read_lines(tmp_path / "rows.csv") == lines("a", 4) + lines("b", 3)


def _allocate(mib: int) -> None:
    bytearray(b"x") * (mib * 2**20)


def test_peak_memory_is_that_of_the_work() -> None:
    assert 60 < peak_mib(_allocate, 64) < 96
