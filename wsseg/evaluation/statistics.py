"""Statistics of the report: ratios with bootstrap intervals, correlations and significance tests.

A statistic that cannot be computed (too few values, or constant ones) is NaN.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

RatioParts: TypeAlias = tuple[ArrayLike, ArrayLike]  # numerators and denominators of a ratio

MIN_PAIRS = 3  # with two pairs, Pearson's r is always 1 or -1
FPR_MARGIN = 0.01  # all curves TPR = FPR^gamma meet at FPR = 1; some FPR must be less by this
CONSTANT = 1e-12  # relative range below which values differ by rounding errors only


@dataclass(frozen=True)
class Bootstrap:
    """Settings of the bootstrap: number of draws, confidence level and random seed."""

    draws: int = 2000
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class Estimate:
    """An estimated number with its confidence interval; the bounds are NaN if there is none."""

    value: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """Return the columns `<name>`, `<name>_low` and `<name>_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def ratio(
    numerator: ArrayLike, denominator: ArrayLike, patients: Iterable[str], bootstrap: Bootstrap
) -> Estimate:
    """Estimate sum(numerator) / sum(denominator) with a bootstrap interval over patients.

    This is a mean where the denominators are 1, and a pooled measure where they are voxel counts.
    Pairs with a NaN are left out. There is no interval for fewer than two patients.
    """
    sums = _sum_by_patient([(numerator, denominator)], patients)
    numerator_sum, denominator_sum = sums.sum(axis=0)
    value = float(numerator_sum / denominator_sum) if denominator_sum > 0 else np.nan
    if len(sums) < 2:  # noqa: PLR2004 - a bootstrap of one patient has no variance
        return Estimate(value, np.nan, np.nan)
    draws = _bootstrap_sums(sums, bootstrap)
    draws = draws[draws[:, 1] > 0]
    return _with_interval(value, draws[:, 0] / draws[:, 1], bootstrap)


def share_of_gap(
    method: RatioParts,
    baseline: RatioParts,
    ceiling: RatioParts,
    patients: Iterable[str],
    bootstrap: Bootstrap,
) -> Estimate:
    """Estimate (m - b) / (c - b) with a bootstrap interval over patients.

    m, b and c are the ratios (see `ratio`) of the method, the baseline and the ceiling. The share
    is 0 at the baseline and 1 at the ceiling. It is NaN if the ceiling is not above the baseline,
    and has no interval if it is NaN in more than 1 - `bootstrap.level` of the draws.
    """
    sums = _sum_by_patient([method, baseline, ceiling], patients)
    value = float(_shares_of_gap(sums.sum(axis=0, keepdims=True))[0])
    if len(sums) < 2 or np.isnan(value):  # noqa: PLR2004 - see `ratio`
        return Estimate(value, np.nan, np.nan)
    draws = _shares_of_gap(_bootstrap_sums(sums, bootstrap))
    if np.isnan(draws).mean() > 1 - bootstrap.level:
        return Estimate(value, np.nan, np.nan)
    return _with_interval(value, draws[~np.isnan(draws)], bootstrap)


def rate_exponent(fpr: ArrayLike, tpr: ArrayLike) -> float:
    """Fit gamma of TPR = FPR^gamma to points, by least squares in TPR (Wu 2020, Fig. 4).

    gamma lies in [0, 1]: 0 is perfect, 1 is chance. All curves meet at (1, 1), so gamma is NaN if
    all points are there.
    """
    points = np.stack([np.asarray(fpr, float), np.asarray(tpr, float)])
    x, y = points[:, ~np.isnan(points).any(axis=0)]
    if not (x < 1 - FPR_MARGIN).any():
        return np.nan

    def error(gamma: float) -> float:
        return float(((x**gamma - y) ** 2).sum())

    return float(optimize.minimize_scalar(error, bounds=(0, 1), options={"xatol": 1e-7}).x)


def correlation(x: ArrayLike, y: ArrayLike) -> tuple[float, float, int]:
    """Return Pearson's r, its two-sided p-value, and the number of pairs without a NaN."""
    pairs = np.stack([np.asarray(x, float), np.asarray(y, float)])
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    n = pairs.shape[1]
    if n < MIN_PAIRS or (np.ptp(pairs, axis=1) <= CONSTANT * np.abs(pairs).max(axis=1)).any():
        return np.nan, np.nan, n
    test = stats.pearsonr(*pairs)
    return float(test.statistic), float(test.pvalue), n


def signed_rank(differences: ArrayLike) -> tuple[float, float]:
    """Return the two-sided p-value of Wilcoxon's signed-rank test, and its effect size.

    The effect size is the matched-pairs rank-biserial correlation (Kerby 2014): the sum of the
    ranks of positive differences minus that of negative ones, over the sum of all ranks. Zeros and
    NaN are left out.
    """
    nonzero = _without_nan(differences)
    nonzero = nonzero[nonzero != 0]
    if not nonzero.size:
        return np.nan, np.nan
    ranks = stats.rankdata(np.abs(nonzero))
    effect = (ranks * np.sign(nonzero)).sum() / ranks.sum()
    return float(stats.wilcoxon(nonzero).pvalue), float(effect)


def mann_whitney(present: ArrayLike, absent: ArrayLike) -> tuple[float, float]:
    """Return the two-sided p-value of the Mann-Whitney U test of two groups, and the AUC.

    AUC = U / (n1 n2), where U is the statistic of the first group: the probability that a value of
    the first group is larger than one of the second, with ties counted as half. NaN are left out.
    """
    first, second = _without_nan(present), _without_nan(absent)
    if not (first.size and second.size) or np.ptp(np.concatenate([first, second])) == 0:
        return np.nan, np.nan
    test = stats.mannwhitneyu(first, second)
    return float(test.pvalue), float(test.statistic / (first.size * second.size))


def smallest_signed_rank_p(pairs: int) -> float:
    """Return the smallest p-value of the two-sided Wilcoxon test of pairs with a difference.

    This is the exact p-value if all differences have the same sign, as in 2 of the 2^pairs equally
    likely outcomes.
    """
    return min(1.0, 2.0 ** (1 - pairs))


def smallest_mann_whitney_p(first: int, second: int) -> float:
    """Return the smallest p-value of the two-sided Mann-Whitney U test of groups of these sizes.

    This is the exact p-value if the groups do not overlap, as in 2 of the equally likely
    assignments of ranks to the groups.
    """
    return min(1.0, 2 / math.comb(first + second, first))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values with Holm's step-down correction (Holm 1979).

    A NaN stays NaN and is not counted as a test.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    corrected = np.full_like(p, np.nan)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return [float(value) for value in corrected]


def _without_nan(values: ArrayLike) -> NDArray[np.float64]:
    array: NDArray[np.float64] = np.asarray(values, float)
    return array[~np.isnan(array)]


def _sum_by_patient(ratios: Sequence[RatioParts], patients: Iterable[str]) -> NDArray[np.float64]:
    """Sum numerators and denominators by patient, (patients, 2 x ratios).

    A case with a NaN in any of them is left out.
    """
    columns = [np.asarray(column, float) for parts in ratios for column in parts]
    cases = pd.DataFrame(dict(enumerate(columns))).dropna()
    sums: NDArray[np.float64] = (
        cases.groupby(pd.Series(list(patients), dtype=object)).sum().to_numpy()
    )
    return sums


def _bootstrap_sums(sums: NDArray[np.float64], bootstrap: Bootstrap) -> NDArray[np.float64]:
    """Draw patients with replacement and sum over them: (patients, columns) → (draws, columns)."""
    patients = len(sums)
    generator = np.random.default_rng(bootstrap.seed)
    weights = generator.multinomial(patients, np.full(patients, 1 / patients), bootstrap.draws)
    draws: NDArray[np.float64] = weights @ sums
    return draws


def _shares_of_gap(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (m - b) / (c - b) for sums of shape (draws, 6); NaN where c is not above b."""
    with np.errstate(divide="ignore", invalid="ignore"):
        method, baseline, ceiling = (sums[:, 0::2] / sums[:, 1::2]).T
    gap = np.where(ceiling > baseline, ceiling - baseline, np.nan)
    shares: NDArray[np.float64] = (method - baseline) / gap
    return shares


def _with_interval(value: float, draws: NDArray[np.float64], bootstrap: Bootstrap) -> Estimate:
    """Return `value` with the percentile interval of its bootstrap draws."""
    if not draws.size:
        return Estimate(value, np.nan, np.nan)
    tail = (1 - bootstrap.level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
