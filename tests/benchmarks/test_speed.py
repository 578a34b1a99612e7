"""The speed benchmark: its page is made from the committed rows, and every subject runs."""

import math

import pytest

from benchmarks.pages import read_rows
from benchmarks.speed import paper, phantom_run
from benchmarks.speed.__main__ import PAGE, ROWS
from benchmarks.speed.cases import Cases
from benchmarks.speed.compiled import Compiled
from benchmarks.speed.em import Em
from benchmarks.speed.encoders import ALONE, Encoders
from benchmarks.speed.limits import Limits
from benchmarks.speed.page import Row, page, replace_subjects, short_names, table
from benchmarks.speed.peers import Peers
from benchmarks.speed.precision import Precisions
from benchmarks.speed.prediction import Prediction
from benchmarks.speed.prepare import Preparation
from benchmarks.speed.reasons import REASONS
from benchmarks.speed.startup import Startup
from benchmarks.speed.subjects import SUBJECTS
from benchmarks.speed.timing import Measurement, Subject, peak_mib, ratios, time_in_turns
from benchmarks.speed.train import Train
from wsseg.runtime.device import used_precision

SMALL_RUN = phantom_run.Sizes(size=64, slices=8, width=2, epochs=1)
SMALL_STEP = paper.Sizes(slices=3, pixels=16, width=2, batch=2)
# These start many processes, or need a compiler.
SLOW = {
    "train", "precision", "predict", "startup", "cases", "compiled", "encoders", "peers",
    "prepare", "em",
}  # fmt: skip
TINY: dict[str, Subject] = {
    "limits": Limits(n=8, mib=1, repeats=2),
    "train": Train(SMALL_STEP, n=8, mib=1, repeats=2),
    "precision": Precisions(cases=4, size=32, slices=6, width=2, epochs=1, seeds=(0, 1)),
    "em": Em(SMALL_STEP, repeats=2),
    "compiled": Compiled(SMALL_STEP, repeats=2),
    "encoders": Encoders(32, 2, ("mobilenet_v2",), (ALONE, "linknet"), repeats=1),
    "predict": Prediction(SMALL_RUN, n=64, mib=1, repeats=1),
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
def test_a_subject_yields_finite_values_with_unique_names_and_has_the_requirements_of_its_reasons(
    name: str,
) -> None:
    measurements = list(TINY[name].measure())
    is_measured = name != "precision" or used_precision("auto") == "bfloat16"
    assert bool(measurements) == is_measured
    assert len({each.name for each in measurements}) == len(measurements)
    assert all(math.isfinite(value) for each in measurements for value in each.values)
    required = {
        (name, each.name) for each in measurements if (each.least, each.most) != (None,) * 2
    }
    assert {reason for reason in REASONS if reason[0] == name} <= required


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


def test_rows_of_another_machine_are_kept() -> None:
    def row(machine: str, value: float) -> Row:
        return Row.of("a", Measurement("row", (value,), "s"), machine, "V")

    assert replace_subjects([row("N", 1)], [row("M", 2)], ["a"]) == [row("M", 2), row("N", 1)]
    assert replace_subjects([row("M", 2), row("N", 1)], [row("N", 3)], ["a"]) == [
        row("M", 2),
        row("N", 3),
    ]


def test_a_table_has_a_column_for_each_machine_with_its_own_verdict() -> None:
    rows = [
        Row.of("a", Measurement("both", (1,), "s", most=2), "M", "V"),
        Row.of("a", Measurement("both", (3,), "s", most=2), "N", "V"),
        Row.of("a", Measurement("one", (5,), "s"), "N", "V"),
    ]
    assert table(rows, {"M": "m", "N": "n"}).splitlines() == [
        "| quantity | required | m | met | n | met |",
        "| --- | ---: | ---: | --- | ---: | --- |",
        "| both | ≤ 2 | 1 s | yes | 3 s | **no** |",
        "| one |  | — |  | 5 s |  |",
    ]


def test_a_bound_that_differs_between_machines_is_shown_for_each() -> None:
    rows = [
        Row.of("a", Measurement("row", (1,), "", most=most), machine, "V")
        for machine, most in (("M", 2), ("N", 3))
    ]
    assert "| row | ≤ 2; ≤ 3 | 1 | yes | 1 | yes |" in table(rows, {"M": "m", "N": "n"})


def test_the_page_says_on_which_machine_a_requirement_is_not_met_and_in_which_precision() -> None:
    (subject, name), reason = next(iter(REASONS.items()))
    first, second = (
        "AMD EPYC, 2 threads, 24 GiB",
        "Intel(R) Xeon(R) with amx_bf16, 2 threads, 8 GiB",
    )
    rows = [
        Row.of(subject, Measurement(name, (value,), "×", least=3), machine, "V")
        for machine, value in ((first, 1), (second, 4))
    ]
    text = page(rows, {})
    assert f"- *{name}* (EPYC): {reason}" in text
    assert f"- EPYC: {first}; networks compute in float32; V" in text
    assert f"- Xeon: {second}; networks compute in bfloat16; V" in text


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz, 4 threads, 16 GiB", "Core i7-8650U"),
        ("AMD Ryzen 7 5800X 8-Core Processor, 8 threads, 32 GiB", "Ryzen 7 5800X"),
        ("x86_64, 8 threads, 1 GiB", "x86_64"),
    ],
)
def test_the_short_name_of_a_machine_is_the_model_of_its_cpu(machine: str, name: str) -> None:
    assert short_names([machine]) == {machine: name}


def test_machines_with_the_same_cpu_are_numbered() -> None:
    names = short_names(["A, 1 threads", "A, 2 threads", "A, 1 threads", "A, 4 threads"])
    assert list(names.values()) == ["A", "A (2)", "A (3)"]


def _allocate(mib: int) -> None:
    bytearray(b"x") * (mib * 2**20)


@pytest.mark.slow
def test_peak_memory_is_the_increase_by_the_function() -> None:
    assert 60 < peak_mib(_allocate, 64) < 96
