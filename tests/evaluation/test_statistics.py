import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from wsseg.evaluation.statistics import (
    Bootstrap,
    correlation,
    holm,
    mann_whitney,
    rate_exponent,
    ratio,
    share_of_gap,
    signed_rank,
    smallest_mann_whitney_p,
    smallest_signed_rank_p,
)

FEW = Bootstrap(draws=500)


def test_a_ratio_is_the_sum_of_numerators_over_the_sum_of_denominators() -> None:
    found = ratio([1, 0, 2], [2, 2, 2], ["a", "b", "c"], FEW)
    assert found.value == 0.5
    assert found.low < 0.5 < found.high


def test_pairs_with_a_nan_are_left_out() -> None:
    assert ratio([1, math.nan, 1], [1, 1, math.nan], ["a", "b", "c"], FEW).value == 1


def test_the_interval_agrees_with_a_bootstrap_loop_over_patients() -> None:
    patients, values = ["a", "a", "b", "c", "d"], [0.1, 0.3, 0.5, 0.6, 0.9]
    found = ratio(values, np.ones(5), patients, Bootstrap(draws=20_000))
    generator = np.random.default_rng(1)
    drawn = []
    for _ in range(20_000):
        chosen = generator.choice(["a", "b", "c", "d"], 4)
        drawn.append(
            np.mean([v for p in chosen for q, v in zip(patients, values, strict=True) if p == q])
        )
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.02)
    assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.02)


def test_copies_of_a_case_do_not_narrow_the_interval_over_patients() -> None:
    values = np.linspace(0, 1, 8)
    apart = ratio(values, np.ones(8), list("abcdefgh"), FEW)
    copied = ratio(
        np.repeat(values, 5), np.ones(40), [p for p in "abcdefgh" for _ in range(5)], FEW
    )
    assert (copied.low, copied.high) == pytest.approx((apart.low, apart.high))


def test_a_95_percent_interval_contains_the_true_mean_in_about_95_percent_of_experiments() -> None:
    generator = np.random.default_rng(3)
    patients = np.repeat(np.arange(40), 3).astype(str)
    held = 0
    for seed in range(300):
        effects = np.repeat(generator.normal(0.5, 0.2, 40), 3)
        values = effects + generator.normal(0, 0.05, 120)
        found = ratio(values, np.ones(120), patients, Bootstrap(draws=300, seed=seed))
        held += found.low <= 0.5 <= found.high
    assert 0.90 <= held / 300 <= 0.98


def test_the_same_seed_gives_the_same_interval() -> None:
    values, patients = [0.1, 0.4, 0.7], ["a", "b", "c"]
    assert ratio(values, np.ones(3), patients, FEW) == ratio(values, np.ones(3), patients, FEW)


@pytest.mark.parametrize("values", [[], [math.nan, math.nan]])
def test_the_ratio_of_no_values_is_nan(values: list[float]) -> None:
    found = ratio(values, np.ones(len(values)), ["a", "b"][: len(values)], FEW)
    assert all(map(math.isnan, (found.value, found.low, found.high)))


def test_a_single_patient_has_a_ratio_but_no_interval() -> None:
    found = ratio([0.2, 0.4], [1, 1], ["a", "a"], FEW)
    assert found.value == pytest.approx(0.3)
    assert math.isnan(found.low)


def test_holms_correction_multiplies_by_the_remaining_tests_and_never_decreases() -> None:
    # sorted 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.9 x 1; the third is raised to the second
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]


def test_holms_correction_does_not_count_nan_as_tests() -> None:
    corrected = holm([math.nan, 0.02, 0.03])
    assert corrected == pytest.approx([math.nan, 0.04, 0.04], nan_ok=True)
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=50)
def test_holms_correction_is_between_the_raw_p_value_and_bonferronis(p: list[float]) -> None:
    for raw, corrected in zip(p, holm(p), strict=True):
        assert raw <= corrected <= min(1, raw * len(p)) + 1e-12


def test_the_signed_rank_test_agrees_with_ranks_counted_by_hand() -> None:
    # ranks 1, 2, 3, 4 for 0.1, -0.2, 0.3, 0.4; a zero has none: (1 + 3 + 4 - 2) / 10
    p, effect = signed_rank([0.1, -0.2, 0.3, 0.4, 0.0])
    assert effect == pytest.approx(0.6)
    assert p == pytest.approx(6 / 16)  # of 16 signs, 3 give a sum of at most 2; twice that


def test_the_signed_rank_test_agrees_with_scipy() -> None:
    differences = np.random.default_rng(0).normal(0.1, 0.3, 70)
    assert signed_rank(differences)[0] == stats.wilcoxon(differences).pvalue


def test_equal_pairs_have_neither_a_p_value_nor_an_effect() -> None:
    assert all(map(math.isnan, signed_rank([0, 0, math.nan])))


def test_separated_groups_have_an_auc_of_one_or_zero() -> None:
    p, auc = mann_whitney([3, 4, 5, math.nan], [0, 1, 2])
    assert auc == 1
    assert p == pytest.approx(2 / 20)  # 20 ways to choose 3 of 6
    assert mann_whitney([0, 1, 2], [3, 4, 5])[1] == 0


def test_the_mann_whitney_test_agrees_with_scipy_with_ties() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.normal(0, 1, 30).round(1), generator.normal(0.5, 1, 25).round(1)
    expected = stats.mannwhitneyu(one, other)
    assert mann_whitney(one, other) == (expected.pvalue, expected.statistic / 750)


@pytest.mark.parametrize(("one", "other"), [([], [1, 2]), ([1], []), ([1, 1], [1, 1])])
@pytest.mark.filterwarnings("error")
def test_empty_or_constant_groups_have_no_p_value(one: list[float], other: list[float]) -> None:
    assert all(map(math.isnan, mann_whitney(one, other)))


def test_a_correlation_agrees_with_one_computed_by_hand() -> None:
    r, p, n = correlation([1, 2, 3, math.nan], [1, 3, 2, 0])
    assert r == pytest.approx(0.5)
    assert n == 3
    assert p == pytest.approx(stats.pearsonr([1, 2, 3], [1, 3, 2]).pvalue)


@pytest.mark.parametrize(
    ("x", "y"), [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([0.3, 0.1 + 0.2, 0.3], [1, 2, 3])]
)
@pytest.mark.filterwarnings("error")
def test_too_few_or_constant_values_have_no_correlation(x: list[float], y: list[float]) -> None:
    r, p, n = correlation(x, y)
    assert math.isnan(r)
    assert math.isnan(p)
    assert n == len(x)


def test_a_method_in_the_middle_of_the_gap_has_a_share_of_one_half() -> None:
    one = np.ones(3)
    found = share_of_gap(([0.5, 0.6, 0.7], one), ([0.4] * 3, one), ([0.8] * 3, one), "abc", FEW)
    assert found.value == pytest.approx(0.5)  # 0.6 of 0.4 to 0.8
    assert found.low == pytest.approx(0.25)  # a alone, drawn three times
    assert found.high == pytest.approx(0.75)


def test_the_interval_of_the_share_agrees_with_a_bootstrap_loop_over_patients() -> None:
    patients = ["a", "a", "b", "c", "d", "e"]
    generator = np.random.default_rng(0)
    parts = [(generator.uniform(k, k + 2, 6), generator.uniform(4, 5, 6)) for k in (2.0, 0.0, 4.0)]
    method, baseline, ceiling = parts
    found = share_of_gap(method, baseline, ceiling, patients, Bootstrap(draws=20_000))
    drawn = []
    for _ in range(5_000):
        chosen = generator.choice(["a", "b", "c", "d", "e"], 5)
        rows = [i for p in chosen for i, q in enumerate(patients) if p == q]
        m, b, c = (sum(n[i] for i in rows) / sum(d[i] for i in rows) for n, d in parts)
        drawn.append((m - b) / (c - b))
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.02)
    assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.02)


@pytest.mark.filterwarnings("error")
def test_a_ceiling_below_the_baseline_has_no_share_of_the_gap() -> None:
    one = np.ones(3)
    found = share_of_gap(([0.5] * 3, one), ([0.4] * 3, one), ([0.3] * 3, one), "abc", FEW)
    assert math.isnan(found.value)
    assert math.isnan(found.low)


def test_a_share_has_no_interval_if_the_ceiling_is_often_below_the_baseline() -> None:
    one = np.ones(2)
    found = share_of_gap(([0.5] * 2, one), ([0.4] * 2, one), ([0.3, 0.6], one), "ab", FEW)
    assert found.value == pytest.approx(2)  # of 0.4 to 0.45
    assert math.isnan(found.low)  # one draw in four has a ceiling of 0.3


@given(st.floats(0.05, 0.95))
@settings(max_examples=25)
def test_the_fitted_exponent_of_points_on_a_curve_is_that_of_the_curve(gamma: float) -> None:
    fpr = np.array([0.01, 0.05, 0.2, 0.6])
    assert rate_exponent(fpr, fpr**gamma) == pytest.approx(gamma, abs=1e-4)


def test_the_fitted_exponent_agrees_with_scipys_curve_fit() -> None:
    fpr, tpr = np.array([0.008, 0.067, 0.006]), np.array([0.555, 0.624, 0.421])  # Wu 2020
    (gamma,), _ = optimize.curve_fit(lambda x, g: x**g, fpr, tpr, p0=[0.2])
    assert rate_exponent([*fpr, math.nan], [*tpr, 0.5]) == pytest.approx(gamma, abs=1e-4)


def test_without_points_the_exponent_is_nan() -> None:
    assert math.isnan(rate_exponent([], []))


def test_points_where_all_curves_meet_have_no_exponent() -> None:
    assert math.isnan(rate_exponent([1.0, 0.999], [1.0, 1.0]))
    assert rate_exponent([1.0, 0.25], [1.0, 0.5]) == pytest.approx(0.5, abs=1e-4)


def test_the_smallest_p_values_are_reached_by_the_most_extreme_data() -> None:
    for n in (2, 4, 6):
        assert smallest_signed_rank_p(n) == pytest.approx(signed_rank(range(1, n + 1))[0])
        low, high = range(n), range(10, 13)
        assert smallest_mann_whitney_p(n, 3) == pytest.approx(mann_whitney(low, high)[0])
    assert smallest_signed_rank_p(0) == smallest_mann_whitney_p(0, 5) == 1
