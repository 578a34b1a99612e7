"""A method whose targets or predictions mark nothing or everything is no result."""

from typing import Any

import pandas as pd

from tests.evaluation.row_tables import FEW, of, overlap, row, table
from wsseg.evaluation.comparison import gap_problem
from wsseg.evaluation.health import health_notes, is_result, method_health
from wsseg.evaluation.summary import rankable_dice, summarise


def in_region(tp: int, fp: int, fn: int, tn: int) -> dict[str, float]:
    """The columns of a case of which all voxels are inside the region."""
    return {
        **overlap(tp, fp, fn),
        "tpr": tp / (tp + fn) if tp + fn else float("nan"),
        "fpr": fp / (fp + tn) if fp + tn else float("nan"),
        "positive_voxels": tp + fn,
        "negative_voxels": fp + tn,
    }


def run(method: str, seed: int, cases: list[dict[str, float]], health: str = "") -> list[Any]:
    return [
        row(method, f"c{i}", seed=seed, **case) | {"run.health": health}
        for i, case in enumerate(cases)
    ]


SOUND = [in_region(8, 2, 2, 88), in_region(0, 0, 0, 100)]


def test_a_run_that_finds_part_of_the_class_is_a_result() -> None:
    assert method_health(table(*run("em", 0, SOUND))) == ""


def test_predictions_are_empty_if_no_voxel_is_marked_although_the_class_is_present() -> None:
    nothing = [in_region(0, 0, 10, 90), in_region(0, 0, 0, 100)]
    assert method_health(table(*run("em", 0, nothing))) == "predictions are empty"
    absent = [in_region(0, 0, 0, 100)]
    assert method_health(table(*run("em", 0, absent))) == ""


def test_predictions_fill_the_region_if_nearly_every_other_voxel_is_marked() -> None:
    everything = [in_region(10, 90, 0, 0), in_region(0, 98, 0, 2)]
    assert method_health(table(*run("em", 0, everything))) == "predictions fill the region"
    most = [in_region(10, 80, 0, 10)]
    assert method_health(table(*run("em", 0, most))) == ""


def test_a_class_that_fills_its_region_may_be_predicted_everywhere() -> None:
    assert method_health(table(*run("em", 0, [in_region(98, 2, 0, 0)]))) == ""


def test_a_collapsed_class_other_than_the_target_is_named() -> None:
    target, other = in_region(8, 2, 2, 88), in_region(0, 0, 10, 90)
    both = target | {f"infection.{name}": value for name, value in other.items()}
    assert method_health(table(*run("em", 0, [both]))) == "predictions of infection are empty"


def test_problems_are_counted_by_run() -> None:
    rows = table(
        *run("em", 0, SOUND),
        *run("em", 1, SOUND, "targets fill the region"),
        *run("em", 2, [in_region(10, 90, 0, 0)], "targets fill the region"),
    )
    assert method_health(rows) == (
        "targets fill the region in 2 of 3 runs; predictions fill the region in 1 of 3 runs"
    )


def test_a_collapsed_method_has_a_note_and_cannot_be_ranked() -> None:
    rows = table(
        *run("phi2", 0, [in_region(10, 0, 0, 90)], "targets fill the region"), *run("em", 0, SOUND)
    )
    summary = summarise(rows, FEW)
    assert of(summary, "phi2")["dice"] > of(summary, "em")["dice"]
    assert is_result(summary).tolist() == [False, True]
    assert rankable_dice(summary).isna().tolist() == [True, False]
    assert health_notes(summary) == ["phi2: targets fill the region: not a result"]


def test_rows_of_older_versions_have_no_health_of_their_targets() -> None:
    rows = table(*run("em", 0, SOUND)).drop(columns="run.health")
    assert method_health(rows) == ""
    assert is_result(pd.DataFrame({"method": ["em"]})).tolist() == [True]


def test_no_share_of_a_gap_is_given_if_one_of_its_ends_is_not_a_result() -> None:
    nothing, better = [in_region(0, 0, 10, 90)], [in_region(9, 1, 1, 89)]
    rows = table(*run("base", 0, SOUND), *run("em", 0, better), *run("top", 0, nothing))
    summary = summarise(rows, FEW)
    expected = "No share of the gap between {}: top is not a result (predictions are empty)."
    assert gap_problem(summary, "base", "top") == expected.format("base and top")
    assert gap_problem(summary, "top", "em") == expected.format("top and em")
    assert gap_problem(summary, "base", "em") == (
        "No share of the gap between base and em: no other method is a result."
    )
    others = summary[summary["method"] != "top"]
    assert gap_problem(others, "base", "em") == ""
    assert gap_problem(others, "em", "base") == (
        "No share of the gap between em and base: the Dice of base is not higher."
    )
