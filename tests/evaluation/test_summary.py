import math
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from wsseg.errors import InputError
from wsseg.evaluation.comparison import DIFFERENCE_COLUMNS, gap_closed, paired_differences
from wsseg.evaluation.statistics import Bootstrap
from wsseg.evaluation.summary import average_by_case, summarise, tagged_scores

FEW = Bootstrap(draws=200)


def row(method: str, case: str, **numbers: float) -> dict[str, object]:
    identity = {"method": method, "seed": 0, "fold": "", "case": case, "patient": case}
    return {**identity, "site": "", **numbers}


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows)


def overlap(tp: int, fp: int, fn: int) -> dict[str, float]:
    size = 2 * tp + fp + fn
    dice = 2 * tp / size if size else math.nan
    return {"dice": dice, "tp_voxels": tp, "fp_voxels": fp, "fn_voxels": fn}


def of(frame: pd.DataFrame, method: str = "a") -> dict[str, Any]:
    (found,) = frame[frame["method"] == method].to_dict("records")
    return {str(name): value for name, value in found.items()}


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


def test_empty_masks_are_counted_and_left_out_of_the_mean_dice() -> None:
    rows = table(
        row("a", "both", **overlap(0, 0, 0), hd95_mm=math.nan),
        row("a", "truth", **overlap(0, 3, 0), hd95_mm=math.nan),
        row("a", "prediction", **overlap(0, 0, 2), hd95_mm=math.nan),
        row("a", "neither", **overlap(1, 0, 0), hd95_mm=4.0),
    )
    found = of(summarise(rows))
    assert [found[f"empty_{which}"] for which in ("both", "truth", "prediction")] == [1, 1, 1]
    assert found["dice"] == pytest.approx(1 / 3)
    assert found["dice_n"] == 3
    assert (found["hd95_mm"], found["hd95_n"]) == (4, 1)


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


def methods(**dice: list[float]) -> pd.DataFrame:
    return table(
        *[
            row(method, f"case {number}", dice=value)
            for method, values in dice.items()
            for number, value in enumerate(values)
        ]
    )


def test_differences_are_paired_by_case() -> None:
    rows = methods(
        base=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], up=[0.2, 0.4, 0.6, 0.8, 1.0, 0.5], same=[0.1] * 6
    )
    found = paired_differences(rows, "dice", "base", FEW)
    up = of(found, "up")
    d = np.array([0.1, 0.2, 0.3, 0.4, 0.5, -0.1]).round(12)
    assert up["difference"] == pytest.approx(d.mean())
    assert up["p"] == pytest.approx(stats.wilcoxon(d).pvalue)
    assert up["effect"] == pytest.approx((21 - 2 * 1.5) / 21)  # |0.1| twice: ranks 1.5
    assert up["difference_low"] < up["difference"] < up["difference_high"]
    assert up["p_holm"] == pytest.approx(max(2 * min(found["p"]), up["p"]))


def test_the_test_is_over_patients_whose_cases_are_averaged() -> None:
    """Six cases of three patients: two differ by 0.2 and 0.1 on average, one not at all."""
    rows = methods(base=[0.1] * 6, new=[0.2, 0.4, 0.1, 0.3, 0.0, 0.2])
    rows["patient"] = ["a", "a", "b", "b", "c", "c"] * 2
    found = of(paired_differences(rows, "dice", "base", FEW), "new")
    assert (found["n"], found["patients"], found["equal_patients"]) == (6, 3, 1)
    assert found["difference"] == pytest.approx(0.1)
    assert found["p"] == pytest.approx(stats.wilcoxon([0.2, 0.1]).pvalue) == 0.5
    assert found["effect"] == 1


def test_only_cases_with_a_dice_of_both_methods_are_compared() -> None:
    rows = methods(base=[0.1, 0.2, math.nan, 0.4], new=[0.2, math.nan, 0.3])
    assert of(paired_differences(rows, "dice", "base", FEW), "new")["n"] == 1


@pytest.mark.filterwarnings("error")
def test_equal_methods_have_a_difference_of_zero_and_no_p_value() -> None:
    found = of(
        paired_differences(methods(base=[0.1, 0.2], same=[0.1, 0.2]), "dice", "base", FEW), "same"
    )
    assert found["difference"] == 0
    assert math.isnan(found["p_holm"])


def test_a_single_method_has_no_differences() -> None:
    assert paired_differences(methods(only=[0.1]), "dice", "only", FEW).empty


@pytest.mark.parametrize(
    ("metric", "baseline", "message"),
    [
        ("dic", "base", "Did you mean 'dice'"),
        ("dice", "bas", "Did you mean 'base'"),
        ("method", "base", "no column of numbers"),
    ],
)
def test_an_unknown_metric_or_baseline_is_an_error_with_a_suggestion(
    metric: str, baseline: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        paired_differences(methods(base=[0.1], other=[0.2]), metric, baseline, FEW)


def test_the_share_of_the_gap_is_over_the_cases_that_all_three_methods_have() -> None:
    rows = methods(
        base=[0.2, 0.4, 0.1], em=[0.5, 0.6, math.nan], top=[0.8, 0.8, 0.9], other=[0.2, 0.4, 0.1]
    )
    found = gap_closed(rows, "base", "top", FEW)
    assert list(found["method"]) == ["em", "other"]
    em = of(found, "em")
    assert em["n"] == 2
    assert em["mean"] == pytest.approx((0.55 - 0.3) / (0.8 - 0.3))
    assert of(found, "other")["mean"] == 0


def test_the_pooled_share_of_the_gap_is_computed_from_voxels() -> None:
    rows = methods(base=[0.2, 0.4], em=[0.5, 0.6], top=[0.8, 0.8])
    counts = {"base": (1, 4), "em": (2, 4), "top": (4, 4)}  # tp and predicted + true, of a case
    rows["tp_voxels"] = [counts[m][0] for m in rows["method"]]
    rows["fp_voxels"] = [0.0] * len(rows)
    rows["fn_voxels"] = [2 * counts[m][1] - 2 * counts[m][0] for m in rows["method"]]
    dice = {m: 2 * tp / (2 * tp + 2 * size - 2 * tp) for m, (tp, size) in counts.items()}
    share = (dice["em"] - dice["base"]) / (dice["top"] - dice["base"])
    assert of(gap_closed(rows, "base", "top", FEW), "em")["pooled"] == pytest.approx(share)


def test_an_unknown_ceiling_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean 'top'"):
        gap_closed(methods(base=[0.1], top=[0.2]), "base", "tip", FEW)


def rows_of(method: str, seed: int, dice: list[float], fold: str = "") -> list[dict[str, object]]:
    return [
        row(method, f"c{case}", seed=seed, dice=value) | {"fold": fold}
        for case, value in enumerate(dice)
    ]


EASY_SEED = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
A_SEED_0 = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
B_SEED_0 = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_a_seed_that_only_one_method_has_is_left_out_of_the_difference() -> None:
    """b is 0.1 better in seed 0; only a has seed 1, in which every case is easier."""
    rows = table(
        *rows_of("a", 0, A_SEED_0), *rows_of("a", 1, EASY_SEED), *rows_of("b", 0, B_SEED_0)
    )
    found = of(paired_differences(rows, "dice", "a", FEW), "b")
    assert found["difference"] == pytest.approx(0.1)
    assert found["p"] == pytest.approx(stats.wilcoxon([0.1] * 6).pvalue)
    assert found["effect"] == 1
    assert (found["shared_seeds"], found["all_seeds"], found["unpaired_rows"]) == ("0", "0, 1", 6)


def test_a_failed_job_does_not_change_a_difference() -> None:
    both = [rows_of("a", 0, A_SEED_0), rows_of("b", 0, B_SEED_0)]
    hard = [[value - 0.09 for value in A_SEED_0], [value - 0.09 for value in B_SEED_0]]
    all_jobs = [*both, rows_of("a", 1, hard[0]), rows_of("b", 1, hard[1])]
    for failed in range(4):
        jobs = [job for number, job in enumerate(all_jobs) if number != failed]
        found = of(paired_differences(table(*chain.from_iterable(jobs)), "dice", "a", FEW), "b")
        assert found["difference"] == pytest.approx(0.1)


def test_a_case_is_compared_only_in_the_folds_and_seeds_that_both_methods_have() -> None:
    """Over every combination of two seeds and two folds, against a loop over pairs."""
    generator = np.random.default_rng(0)
    rows = table(
        *(
            row(method, f"c{case}", seed=seed, dice=generator.random()) | {"fold": fold}
            for method in ("a", "b")
            for seed in (0, 1)
            for fold in ("0", "1")
            for case in range(5)
            if generator.random() < 0.7
        )
    )
    value = {
        (each["method"], each["case"], each["seed"], each["fold"]): each["dice"]
        for each in rows.to_dict("records")
    }
    jobs = [(seed, fold) for seed in (0, 1) for fold in ("0", "1")]
    of_cases = []
    for case in (f"c{number}" for number in range(5)):
        pairs = [(("a", case, *job), ("b", case, *job)) for job in jobs]
        differences = [value[b] - value[a] for a, b in pairs if a in value and b in value]
        if differences:
            of_cases.append(sum(differences) / len(differences))
    found = of(paired_differences(rows, "dice", "a", FEW), "b")
    assert found["n"] == len(of_cases)
    assert found["difference"] == pytest.approx(sum(of_cases) / len(of_cases))


def test_a_seed_whose_dice_is_undefined_for_one_method_is_left_out_for_that_case() -> None:
    rows = table(
        *rows_of("a", 0, [0.1, 0.2]),
        *rows_of("a", 1, [0.9, 0.3]),
        *rows_of("b", 0, [0.2, 0.3]),
        *rows_of("b", 1, [math.nan, 0.4]),
    )
    found = of(paired_differences(rows, "dice", "a", FEW), "b")
    assert (found["n"], found["difference"]) == (2, pytest.approx(0.1))
    assert (found["shared_seeds"], found["unpaired_rows"]) == ("0, 1", 0)


@pytest.mark.filterwarnings("error")
def test_methods_without_a_common_seed_have_no_difference() -> None:
    rows = table(*rows_of("a", 0, A_SEED_0), *rows_of("b", 1, B_SEED_0))
    found = of(paired_differences(rows, "dice", "a", FEW), "b")
    assert (found["n"], found["shared_seeds"], found["all_seeds"]) == (0, "", "0, 1")
    assert math.isnan(found["difference"])


def test_the_share_of_the_gap_is_over_the_seeds_that_all_three_methods_have() -> None:
    """In seed 0, em covers half the way in every case; each method has one other seed at most."""
    rows = table(
        *rows_of("base", 0, [0.2, 0.4]),
        *rows_of("em", 0, [0.5, 0.6]),
        *rows_of("top", 0, [0.8, 0.8]),
        *rows_of("base", 1, [0.0, 0.0]),
        *rows_of("em", 1, [0.9, 0.9]),
    )
    rows["tp_voxels"] = 100 * rows["dice"]
    rows["fp_voxels"] = rows["fn_voxels"] = 100 - rows["tp_voxels"]
    found = of(gap_closed(rows, "base", "top", FEW), "em")
    assert found["mean"] == pytest.approx((0.55 - 0.3) / (0.8 - 0.3))
    assert found["pooled"] == pytest.approx((0.55 - 0.3) / (0.8 - 0.3))
    assert (found["shared_seeds"], found["all_seeds"], found["unpaired_rows"]) == ("0", "0, 1", 4)


@st.composite
def tables_with_an_extra_seed(draw: st.DrawFn) -> pd.DataFrame:
    """Two methods, each with a random part of two seeds, two folds and four cases; a has seed 2."""
    keys = [(seed, fold, case) for seed in (0, 1) for fold in ("0", "1") for case in range(4)]
    chosen = {m: draw(st.lists(st.sampled_from(keys), unique=True, min_size=1)) for m in "ab"}
    chosen["a"] += [(2, fold, case) for fold in ("0", "1") for case in range(4)]
    return table(
        *(
            row(method, f"c{case}", seed=seed, dice=draw(st.integers(0, 100)) / 100)
            | {"fold": fold, "patient": f"p{case // 2}"}
            for method, own in chosen.items()
            for seed, fold, case in own
        )
    )


@given(tables_with_an_extra_seed(), st.sampled_from("ab"))
@settings(deadline=None, max_examples=60)
def test_a_seed_that_only_one_method_has_changes_no_difference(
    rows: pd.DataFrame, baseline: str
) -> None:
    numbers = [name for name in DIFFERENCE_COLUMNS if name not in ("all_seeds", "unpaired_rows")]
    pd.testing.assert_frame_equal(
        paired_differences(rows, "dice", baseline, FEW)[numbers],
        paired_differences(rows[rows["seed"] != 2], "dice", baseline, FEW)[numbers],
    )


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
