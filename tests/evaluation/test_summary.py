import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.evaluation.row_tables import (
    A_SEED_0,
    B_SEED_0,
    EASY_SEED,
    FEW,
    methods,
    of,
    overlap,
    row,
    rows_of,
    table,
)
from wsseg.evaluation.summary import average_by_case, summarise, tagged_scores


def test_the_mean_dice_is_over_cases_and_the_pooled_dice_over_voxels() -> None:
    found = of(
        summarise(table(row("a", "1", **overlap(1, 0, 0)), row("a", "2", **overlap(0, 4, 4))))
    )
    assert found["dice"] == 0.5
    assert found["dice_pooled"] == 2 / 10


def test_seeds_are_averaged_before_cases() -> None:
    rows = table(
        row("a", "1", seed=0, **overlap(1, 0, 0)),
        row("a", "1", seed=1, **overlap(1, 1, 1)),
        row("a", "2", seed=0, **overlap(0, 1, 1)),
        row("a", "2", seed=1, **overlap(0, 1, 1)),
    )
    found = of(summarise(rows))
    assert (found["cases"], found["seeds"]) == (2, 2)
    assert found["dice"] == pytest.approx((0.75 + 0) / 2)
    assert found["dice_sd_cases"] == pytest.approx(np.std([0.75, 0], ddof=1))
    assert found["dice_sd_seeds"] == pytest.approx(np.std([0.5, 0.25], ddof=1))
    assert average_by_case(rows)["dice"].tolist() == [0.75, 0]


def test_rates_are_pooled_over_the_voxels_of_the_region() -> None:
    one = {"tpr": 1.0, "positive_voxels": 1, "fpr": 0.5, "negative_voxels": 2}
    other = {"tpr": 0.0, "positive_voxels": 3, "fpr": math.nan, "negative_voxels": 0}
    found = of(summarise(table(row("a", "1", **one), row("a", "2", **other))))
    assert found["tpr"] == 1 / 4
    assert found["fpr"] == 1 / 2


def test_the_tag_of_a_class_called_dice_is_not_the_dice_of_another_class() -> None:
    rows = table(row("a", "1", **overlap(1, 0, 0), **{"tag.dice": 1.0}))
    assert "tag.dice" not in summarise(rows)


def test_the_mean_dice_is_over_the_cases_where_the_class_is_present() -> None:
    rows = table(
        row("a", "both", **overlap(0, 0, 0), hd95_mm=math.nan),
        row("a", "truth", **overlap(0, 3, 0), hd95_mm=math.nan),
        row("a", "prediction", **overlap(0, 0, 2), hd95_mm=math.nan),
        row("a", "neither", **overlap(1, 0, 0), hd95_mm=4.0),
    )
    found = of(summarise(rows))
    assert [found[f"empty_{which}"] for which in ("both", "truth", "prediction")] == [1, 1, 1]
    assert (found["dice"], found["dice_n"]) == ((0 + 1) / 2, 2)
    assert (found["correctly_empty"], found["absent_n"]) == (1, 2)
    assert (found["hd95_mm"], found["hd95_n"]) == (4, 1)


def test_the_cases_of_a_mean_do_not_depend_on_what_a_method_predicts() -> None:
    """One method marks both cases without the class, the other one none; they agree elsewhere."""
    rows = table(
        *[row(method, "present", **overlap(3, 1, 1)) for method in "ab"],
        *[row("a", case, **overlap(0, 5, 0)) for case in ("absent 1", "absent 2")],
        *[row("b", case, **overlap(0, 0, 0)) for case in ("absent 1", "absent 2")],
    )
    summary = summarise(rows, FEW)
    marks, leaves = of(summary, "a"), of(summary, "b")
    assert marks["dice"] == leaves["dice"] == 0.75
    assert marks["dice_n"] == leaves["dice_n"] == 1
    assert (marks["correctly_empty"], leaves["correctly_empty"]) == (0, 2)
    assert marks["absent_n"] == leaves["absent_n"] == 2


def test_correctly_empty_cases_are_averaged_over_seeds() -> None:
    rows = table(
        row("a", "1", seed=0, **overlap(0, 0, 0)),
        row("a", "1", seed=1, **overlap(0, 2, 0)),
        row("a", "2", seed=0, **overlap(0, 0, 0)),
        row("a", "2", seed=1, **overlap(0, 0, 0)),
    )
    found = of(summarise(rows))
    assert (found["correctly_empty"], found["absent_n"]) == (1.5, 2)


def test_rows_without_numbers_of_voxels_count_as_cases_with_the_class() -> None:
    found = of(summarise(methods(a=[0.0, 0.4]), FEW))
    assert (found["dice"], found["dice_n"], found["absent_n"]) == (0.2, 2, 0)


@given(
    st.lists(
        st.tuples(*[st.integers(0, 9)] * 3, st.sampled_from([0, 1, 2])), min_size=1, max_size=12
    )
)
@settings(max_examples=40)
def test_present_and_absent_cases_are_all_cases_and_agree_with_a_loop(
    cases: list[tuple[int, int, int, int]],
) -> None:
    """The last number is 0 where the class is absent from the annotation."""
    counts = [(tp, fp, fn) if present else (0, fp, 0) for tp, fp, fn, present in cases]
    found = of(summarise(table(*[row("a", f"{i}", **overlap(*c)) for i, c in enumerate(counts)])))
    dice, empty, absent = [], 0, 0
    for tp, fp, fn in counts:
        if tp + fn:
            dice.append(2 * tp / (2 * tp + fp + fn))
        else:
            absent += 1
            empty += fp == 0
    assert (found["dice_n"], found["absent_n"]) == (len(dice), absent)
    assert found["dice_n"] + found["absent_n"] == len(cases)
    assert found["correctly_empty"] == empty
    assert dice == [] or found["dice"] == pytest.approx(sum(dice) / len(dice))


def test_volume_errors_of_opposite_signs_do_not_cancel() -> None:
    rows = table(row("a", "1", volume_error_ml=-3), row("a", "2", volume_error_ml=1))
    assert of(summarise(rows))["volume_error_ml"] == 2


def test_columns_of_other_classes_start_with_the_name_of_the_class() -> None:
    numbers = {f"infection.{name}": value for name, value in overlap(1, 1, 1).items()}
    found = of(summarise(table(row("a", "1", **overlap(1, 0, 0), **numbers))))
    assert (found["dice"], found["infection.dice"]) == (1, 0.5)


def test_a_predicted_score_is_correlated_with_the_annotated_one_over_cases() -> None:
    predicted, true = [0.1, 0.2, 0.4, 0.3], [0.2, 0.1, 0.5, 0.4]
    rows = [
        row("a", str(case), severity=p, severity_true=t)
        for case, (p, t) in enumerate(zip(predicted, true, strict=True))
    ]
    found = of(summarise(table(*rows)))
    assert found["severity_r"] == pytest.approx(stats.pearsonr(predicted, true).statistic)
    assert found["severity_r_n"] == 4


def test_a_class_score_is_tested_between_the_groups_of_its_tag() -> None:
    scores = {"p1": (0.3, 1), "p2": (0.2, 1), "p3": (0.1, 0), "p4": (0.0, 0), "p5": (9, math.nan)}
    rows = table(
        *[
            row("a", case, **{"consolidation_score": score, "tag.consolidation": tag})
            for case, (score, tag) in scores.items()
        ]
    )
    assert tagged_scores(rows) == {"consolidation_score": "consolidation"}
    found = of(summarise(rows))
    assert found["consolidation_score_auc"] == 1
    assert found["consolidation_score_u_p"] == pytest.approx(2 / 6)
    assert found["consolidation_score_present"] == 0.25
    assert found["consolidation_score_absent_n"] == 2


@pytest.mark.filterwarnings("error")
def test_statistics_of_a_single_empty_case_are_nan() -> None:
    found = of(summarise(table(row("a", "1", **overlap(0, 0, 0), severity=1, severity_true=1))))
    for name in (
        "dice",
        "dice_low",
        "dice_pooled",
        "tpr",
        "hd95_mm",
        "severity_r",
        "dice_sd_seeds",
    ):
        assert math.isnan(found[name]), name


def test_methods_are_in_the_order_of_the_rows() -> None:
    rows = table(row("z", "1", dice=1), row("a", "1", dice=1))
    assert summarise(rows, FEW)["method"].tolist() == ["z", "a"]


def test_methods_are_ranked_by_the_rows_that_every_method_has() -> None:
    rows = table(
        *rows_of("a", 0, A_SEED_0), *rows_of("a", 1, EASY_SEED), *rows_of("b", 0, B_SEED_0)
    )
    a, b = (of(summarise(rows, FEW), method) for method in "ab")
    assert a["dice"] > b["dice"]
    assert (a["dice_shared"], b["dice_shared"]) == (pytest.approx(0.35), pytest.approx(0.45))
    assert [(each["rows"], each["rows_shared"]) for each in (a, b)] == [(12, 6), (6, 6)]


def test_with_the_same_rows_for_every_method_the_shared_mean_is_the_mean() -> None:
    found = of(summarise(methods(a=[0.1, 0.4], b=[0.2, 0.3]), FEW))
    assert found["dice_shared"] == found["dice"]
    assert found["rows"] == found["rows_shared"] == 2


def test_distances_and_areas_of_pictures_are_summarised_in_pixels() -> None:
    rows = table(
        row("a", "1", hd95_px=3, area_error_px=-10), row("a", "2", hd95_px=5, area_error_px=20)
    )
    found = of(summarise(rows))
    assert (found["hd95_px"], found["hd95_n"]) == (4, 2)
    assert (found["area_error_px"], found["volume_error_n"]) == (15, 2)
    assert math.isnan(found["hd95_mm"])
