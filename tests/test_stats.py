import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wsseg.errors import InputError
from wsseg.estimates import Bootstrap
from wsseg.stats import compare, covered, per_case, summary, tagged_scores

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


def of(frame: pd.DataFrame, method: str = "a") -> dict[str, float]:
    (found,) = frame[frame["method"] == method].to_dict("records")
    return {str(name): value for name, value in found.items()}


def test_mean_and_pooled_dice_are_two_things() -> None:
    found = of(summary(table(row("a", "1", **overlap(1, 0, 0)), row("a", "2", **overlap(0, 4, 4)))))
    assert found["dice"] == 0.5
    assert found["dice_pooled"] == 2 / 10


def test_seeds_are_averaged_before_cases() -> None:
    rows = table(
        row("a", "1", seed=0, **overlap(1, 0, 0)),
        row("a", "1", seed=1, **overlap(1, 1, 1)),
        row("a", "2", seed=0, **overlap(0, 1, 1)),
        row("a", "2", seed=1, **overlap(0, 1, 1)),
    )
    found = of(summary(rows))
    assert (found["cases"], found["seeds"]) == (2, 2)
    assert found["dice"] == pytest.approx((0.75 + 0) / 2)
    assert found["dice_sd_cases"] == pytest.approx(np.std([0.75, 0], ddof=1))
    assert found["dice_sd_seeds"] == pytest.approx(np.std([0.5, 0.25], ddof=1))
    assert per_case(rows)["dice"].tolist() == [0.75, 0]


def test_rates_are_pooled_over_the_voxels_of_the_region() -> None:
    one = {"tpr": 1.0, "positive_voxels": 1, "fpr": 0.5, "negative_voxels": 2}
    other = {"tpr": 0.0, "positive_voxels": 3, "fpr": math.nan, "negative_voxels": 0}
    found = of(summary(table(row("a", "1", **one), row("a", "2", **other))))
    assert found["tpr"] == 1 / 4
    assert found["fpr"] == 1 / 2


def test_empty_masks_are_counted_and_left_out() -> None:
    rows = table(
        row("a", "both", **overlap(0, 0, 0), hd95_mm=math.nan),
        row("a", "truth", **overlap(0, 3, 0), hd95_mm=math.nan),
        row("a", "prediction", **overlap(0, 0, 2), hd95_mm=math.nan),
        row("a", "neither", **overlap(1, 0, 0), hd95_mm=4.0),
    )
    found = of(summary(rows))
    assert [found[f"empty_{which}"] for which in ("both", "truth", "prediction")] == [1, 1, 1]
    assert found["dice"] == pytest.approx(1 / 3)
    assert found["dice_n"] == 3
    assert (found["hd95_mm"], found["hd95_n"]) == (4, 1)


def test_volume_errors_do_not_cancel() -> None:
    rows = table(row("a", "1", volume_error_ml=-3), row("a", "2", volume_error_ml=1))
    assert of(summary(rows))["volume_error_ml"] == 2


def test_other_classes_have_their_name_before_each_column() -> None:
    numbers = {f"infection.{name}": value for name, value in overlap(1, 1, 1).items()}
    found = of(summary(table(row("a", "1", **overlap(1, 0, 0), **numbers))))
    assert (found["dice"], found["infection.dice"]) == (1, 0.5)


def test_severity_correlates_over_cases() -> None:
    predicted, true = [0.1, 0.2, 0.4, 0.3], [0.2, 0.1, 0.5, 0.4]
    rows = [
        row("a", str(case), severity=p, severity_true=t)
        for case, (p, t) in enumerate(zip(predicted, true, strict=True))
    ]
    found = of(summary(table(*rows)))
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
    found = of(summary(rows))
    assert found["consolidation_score_auc"] == 1
    assert found["consolidation_score_u_p"] == pytest.approx(2 / 6)
    assert found["consolidation_score_present"] == 0.25
    assert found["consolidation_score_absent_n"] == 2


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_computed_is_nan() -> None:
    found = of(summary(table(row("a", "1", **overlap(0, 0, 0), severity=1, severity_true=1))))
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


def test_methods_keep_the_order_of_the_rows() -> None:
    rows = table(row("z", "1", dice=1), row("a", "1", dice=1))
    assert summary(rows, FEW)["method"].tolist() == ["z", "a"]


def methods(**dice: list[float]) -> pd.DataFrame:
    return table(
        *[
            row(method, f"case {number}", dice=value)
            for method, values in dice.items()
            for number, value in enumerate(values)
        ]
    )


def test_methods_are_compared_case_by_case() -> None:
    rows = methods(
        base=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], up=[0.2, 0.4, 0.6, 0.8, 1.0, 0.5], same=[0.1] * 6
    )
    found = compare(rows, "dice", "base", FEW)
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
    found = of(compare(rows, "dice", "base", FEW), "new")
    assert (found["n"], found["patients"], found["equal"]) == (6, 3, 1)
    assert found["difference"] == pytest.approx(0.1)
    assert found["p"] == pytest.approx(stats.wilcoxon([0.2, 0.1]).pvalue) == 0.5
    assert found["effect"] == 1


def test_only_cases_that_both_have_are_compared() -> None:
    rows = methods(base=[0.1, 0.2, math.nan, 0.4], new=[0.2, math.nan, 0.3])
    assert of(compare(rows, "dice", "base", FEW), "new")["n"] == 1


@pytest.mark.filterwarnings("error")
def test_equal_methods_cannot_be_told_apart() -> None:
    found = of(compare(methods(base=[0.1, 0.2], same=[0.1, 0.2]), "dice", "base", FEW), "same")
    assert found["difference"] == 0
    assert math.isnan(found["p_holm"])


def test_one_method_alone_has_nothing_to_compare() -> None:
    assert compare(methods(only=[0.1]), "dice", "only", FEW).empty


@pytest.mark.parametrize(
    ("metric", "baseline", "message"),
    [
        ("dic", "base", "Did you mean 'dice'"),
        ("dice", "bas", "Did you mean 'base'"),
        ("method", "base", "no column of numbers"),
    ],
)
def test_an_unknown_metric_or_baseline_is_named(metric: str, baseline: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(methods(base=[0.1], other=[0.2]), metric, baseline, FEW)


def test_the_share_of_the_way_is_of_cases_that_all_three_have() -> None:
    rows = methods(
        base=[0.2, 0.4, 0.1], em=[0.5, 0.6, math.nan], top=[0.8, 0.8, 0.9], other=[0.2, 0.4, 0.1]
    )
    found = covered(rows, "base", "top", FEW)
    assert list(found["method"]) == ["em", "other"]
    em = of(found, "em")
    assert em["n"] == 2
    assert em["mean"] == pytest.approx((0.55 - 0.3) / (0.8 - 0.3))
    assert of(found, "other")["mean"] == 0


def test_the_pooled_share_of_the_way_counts_voxels() -> None:
    rows = methods(base=[0.2, 0.4], em=[0.5, 0.6], top=[0.8, 0.8])
    counts = {"base": (1, 4), "em": (2, 4), "top": (4, 4)}  # tp and predicted + true, of a case
    rows["tp_voxels"] = [counts[m][0] for m in rows["method"]]
    rows["fp_voxels"] = [0.0] * len(rows)
    rows["fn_voxels"] = [2 * counts[m][1] - 2 * counts[m][0] for m in rows["method"]]
    dice = {m: 2 * tp / (2 * tp + 2 * size - 2 * tp) for m, (tp, size) in counts.items()}
    share = (dice["em"] - dice["base"]) / (dice["top"] - dice["base"])
    assert of(covered(rows, "base", "top", FEW), "em")["pooled"] == pytest.approx(share)


def test_an_unknown_ceiling_is_named() -> None:
    with pytest.raises(InputError, match="Did you mean 'top'"):
        covered(methods(base=[0.1], top=[0.2]), "base", "tip", FEW)
