"""The speed benchmark: its page is made from the committed rows, and every subject runs."""

import math

import pytest

from benchmarks.pages import read_rows
from benchmarks.speed import paper, phantom_run
from benchmarks.speed.__main__ import PAGE, ROWS
from benchmarks.speed.cases import Cases
from benchmarks.speed.compiled import Compiled
from benchmarks.speed.em import Em
from benchmarks.speed.limits import Limits
from benchmarks.speed.page import Row, page, replace_subjects
from benchmarks.speed.peers import Peers
from benchmarks.speed.precision import Precisions
from benchmarks.speed.prediction import Prediction
from benchmarks.speed.prepare import Preparation
from benchmarks.speed.reasons import REASONS
from benchmarks.speed.startup import Startup
from benchmarks.speed.subjects import SUBJECTS
from benchmarks.speed.timing import Measurement, Subject, peak_mib, ratios, time_in_turns
from benchmarks.speed.train import Train

SMALL_RUN = phantom_run.Sizes(size=64, slices=8, width=2, epochs=1)
SMALL_STEP = paper.Sizes(slices=3, pixels=16, width=2, batch=2)
# These start many processes, or need a compiler.
SLOW = {"train", "precision", "predict", "startup", "cases", "compiled", "peers", "prepare", "em"}
TINY: dict[str, Subject] = {
    "limits": Limits(n=8, mib=1, repeats=2),
    "train": Train(SMALL_STEP, n=8, repeats=2),
    "precision": Precisions(cases=4, size=32, slices=6, width=2, epochs=1, seeds=(0, 1)),
    "em": Em(SMALL_STEP, repeats=2),
    "compiled": Compiled(SMALL_STEP, repeats=2),
    "predict": Prediction(SMALL_RUN, n=64, repeats=1),
    "peers": Peers(SMALL_RUN, repeats=1),
    "prepare": Preparation(size=64, slices=12, repeats=1),
    "startup": Startup(repeats=1),
    "cases": Cases(numbers=(2, 3, 4), size=32, slices=8, scan=(64, 40), paper="covid/demo-phi2"),
}


def test_the_page_is_made_from_the_committed_rows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(read_rows(ROWS, Row), SUBJECTS) == text, "run: python -m benchmarks.speed"


def test_the_committed_rows_are_of_existing_subjects() -> None:
    assert {row.subject for row in read_rows(ROWS, Row)} <= set(SUBJECTS)


def test_each_reason_belongs_to_a_row_with_a_requirement() -> None:
    required = {(row.subject, row.name) for row in read_rows(ROWS, Row) if row.required}
    assert set(REASONS) <= required


def test_the_page_shows_a_reason_only_if_its_requirement_is_not_met() -> None:
    (subject, name), reason = next(iter(REASONS.items()))

    def text(value: float) -> str:
        measurement = Measurement(name, (value,), "×", least=3)
        return page([Row.of(subject, measurement, "M", "V")], {})

    assert reason in text(2.9)
    assert reason not in text(3)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SUBJECTS],
)
def test_a_subject_yields_finite_values_with_unique_names(name: str) -> None:
    measurements = list(TINY[name].measure())
    assert measurements
    assert len({each.name for each in measurements}) == len(measurements)
    assert all(math.isfinite(value) for each in measurements for value in each.values)


def test_alternatives_take_turns_after_an_uncounted_round() -> None:
    calls: list[str] = []
    alternatives = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = time_in_turns(alternatives, 3)
    assert "".join(calls) == "ab" + "ababab"
    assert len(seconds["a"]) == len(seconds["b"]) == 3


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios((2, 9, 8), (1, 3, 2)) == (2, 3, 4)


def test_the_value_of_a_measurement_is_its_median() -> None:
    assert Measurement("", (1, 100, 2), "s").value == 2


@pytest.mark.parametrize(
    ("measurement", "required", "is_met"),
    [
        (Measurement("", (3,), "×", least=3), "≥ 3", True),
        (Measurement("", (2.9,), "×", least=3), "≥ 3", False),
        (Measurement("", (1.2, 1, 1.3), "×", most=1.1), "≤ 1.1", False),
        (Measurement("", (1,), "s"), "", True),
    ],
)
def test_a_requirement_is_met_if_the_median_is_within_its_bounds(
    measurement: Measurement, required: str, is_met: bool
) -> None:
    row = Row.of("a", measurement, "", "")
    assert (row.required, row.is_met) == (required, is_met)


def test_a_subject_that_is_measured_again_replaces_only_its_own_rows() -> None:
    def rows(subject: str, *values: float) -> list[Row]:
        measurements = (Measurement(f"row {v}", (v, v), "s", most=1) for v in values)
        return [Row.of(subject, measurement, "M", "V") for measurement in measurements]

    old = rows("a", 1, 2) + rows("b", 3)
    assert replace_subjects(old, rows("a", 4), ["a", "b"]) == rows("a", 4) + rows("b", 3)


def _allocate(mib: int) -> None:
    bytearray(b"x") * (mib * 2**20)


@pytest.mark.slow
def test_peak_memory_is_the_increase_by_the_function() -> None:
    assert 60 < peak_mib(_allocate, 64) < 96
