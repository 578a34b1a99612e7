import math
from itertools import chain

import numpy as np
import pandas as pd
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
    row,
    rows_of,
    table,
)
from wsseg.errors import InputError
from wsseg.evaluation.comparison import (
    DIFFERENCE_COLUMNS,
    gap_closed,
    gap_problem,
    paired_differences,
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
    """Six cases of three patients: two have mean differences of 0.2 and 0.1, one has none."""
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
        ("method", "base", "no numeric column"),
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


def summary_of(**methods: tuple[str, float, float]) -> pd.DataFrame:
    """Return a summary from the health, the mean Dice and the pooled Dice of methods."""
    found = pd.DataFrame.from_dict(methods, "index", columns=["health", "dice", "dice_pooled"])
    return found.rename_axis("method").reset_index()


@pytest.mark.parametrize(
    ("base", "em", "top", "reason"),
    [
        (("", 0.2, 0.3), ("", 0.1, 0.1), ("", 0.4, 0.2), ""),
        (("", 0.2, 0.3), ("", 0.1, 0.1), ("", 0.1, 0.4), ""),
        (("", 0.2, 0.3), ("", 0.1, 0.1), ("", 0.1, 0.2), "the Dice of top is not higher"),
        (("", 0.2, 0.3), ("", 0.1, 0.1), ("", 0.2, 0.3), "the Dice of top is not higher"),
        (("", 0.2, 0.3), ("", 0.1, 0.1), ("", math.nan, math.nan), ""),
        (("", 0.2, 0.3), ("full", 0.1, 0.1), ("", 0.4, 0.4), "no other method is a result"),
        (("", 0.2, 0.3), ("", 0.1, 0.1), ("full", 0.4, 0.4), "top is not a result (full)"),
        (("full", 0.2, 0.3), ("", 0.1, 0.1), ("", 0.1, 0.1), "base is not a result (full)"),
    ],
)
def test_no_share_of_the_gap_is_shown_if_it_would_mean_nothing(
    base: tuple[str, float, float],
    em: tuple[str, float, float],
    top: tuple[str, float, float],
    reason: str,
) -> None:
    expected = f"No share of the gap between base and top: {reason}." if reason else ""
    assert gap_problem(summary_of(base=base, em=em, top=top), "base", "top") == expected


def test_a_class_without_annotation_has_no_problem_of_its_gap() -> None:
    summary = summary_of(base=("", 0, 0), top=("", 0, 0)).drop(columns=["dice", "dice_pooled"])
    assert gap_problem(summary, "base", "top") == ""


def test_an_unknown_ceiling_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean 'top'"):
        gap_closed(methods(base=[0.1], top=[0.2]), "base", "tip", FEW)


def test_a_seed_that_only_one_method_has_is_left_out_of_the_difference() -> None:
    """b is 0.1 better in seed 0; only a has seed 1, whose cases are easier."""
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
    """Two seeds and two folds with missing rows, compared with a loop over pairs."""
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
    """In seed 0, em closes half of the gap; base and em also have seed 1."""
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
    """Return random rows of two methods in two seeds and folds; only method a has seed 2."""
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
@settings(max_examples=30)
def test_a_seed_that_only_one_method_has_changes_no_difference(
    rows: pd.DataFrame, baseline: str
) -> None:
    numbers = [name for name in DIFFERENCE_COLUMNS if name not in ("all_seeds", "unpaired_rows")]
    pd.testing.assert_frame_equal(
        paired_differences(rows, "dice", baseline, FEW)[numbers],
        paired_differences(rows[rows["seed"] != 2], "dice", baseline, FEW)[numbers],
    )
