"""Numbers with their uncertainty: a ratio with its interval, and the tests of the report.

What cannot be computed (too few values, constant values) is NaN.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

Part: TypeAlias = tuple[ArrayLike, ArrayLike]  # numerators and denominators of a ratio

LEAST_PAIRS = 3  # below, a correlation is certain whatever the numbers are
MEETING = 0.01  # from an FPR of 1: there, perfect and chance differ by less
CONSTANT = 1e-12  # relative range below which values differ by rounding only


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn."""

    draws: int = 2000
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class Estimate:
    """A number, and the interval that a repeated experiment would put it in."""

    value: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """Return the columns `<name>`, `<name>_low` and `<name>_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def ratio(
    numerator: ArrayLike, denominator: ArrayLike, patients: Iterable[str], bootstrap: Bootstrap
) -> Estimate:
    """Estimate sum(numerator) / sum(denominator) with an interval over patients.

    With a denominator of ones it is a mean; with voxel counts it is a pooled measure. Pairs with a
    NaN are left out. The interval needs two patients.
    """
    sums = _sums([(numerator, denominator)], patients)
    (total, whole) = sums.sum(axis=0)
    value = float(total / whole) if whole > 0 else np.nan
    if len(sums) < 2:  # noqa: PLR2004 - one patient says nothing of others
        return Estimate(value, np.nan, np.nan)
    drawn = _drawn(sums, bootstrap)
    drawn = drawn[drawn[:, 1] > 0]
    return _estimate(value, drawn[:, 0] / drawn[:, 1], bootstrap)


def share_of_way(
    method: Part, baseline: Part, ceiling: Part, patients: Iterable[str], bootstrap: Bootstrap
) -> Estimate:
    """Estimate (m - b) / (c - b) with an interval over patients; each is a ratio as in `ratio`.

    0 is the baseline and 1 the ceiling. Undefined where the ceiling is not above the baseline, and
    without an interval where that is so in more draws than the interval leaves out: the share then
    has no bounds.
    """
    sums = _sums([method, baseline, ceiling], patients)
    value = float(_way(sums.sum(axis=0, keepdims=True))[0])
    if len(sums) < 2 or np.isnan(value):  # noqa: PLR2004 - see `ratio`
        return Estimate(value, np.nan, np.nan)
    drawn = _way(_drawn(sums, bootstrap))
    if np.isnan(drawn).mean() > 1 - bootstrap.level:
        return Estimate(value, np.nan, np.nan)
    return _estimate(value, drawn[~np.isnan(drawn)], bootstrap)


def rate_exponent(fpr: ArrayLike, tpr: ArrayLike) -> float:
    """Return gamma of the curve TPR = FPR^gamma nearest to points (Wu 2020, Fig. 4).

    Least squares in TPR, gamma in [0, 1]: 0 is perfect, 1 is chance. All curves meet at (1, 1), so
    that points there alone have no exponent.
    """
    points = np.stack([np.asarray(fpr, float), np.asarray(tpr, float)])
    x, y = points[:, ~np.isnan(points).any(axis=0)]
    if not (x < 1 - MEETING).any():
        return np.nan

    def error(gamma: float) -> float:
        return float(((x**gamma - y) ** 2).sum())

    return float(optimize.minimize_scalar(error, bounds=(0, 1), options={"xatol": 1e-7}).x)


def correlation(x: ArrayLike, y: ArrayLike) -> tuple[float, float, int]:
    """Return Pearson's r, its two-sided p, and the number of pairs it is from."""
    pairs = np.stack([np.asarray(x, float), np.asarray(y, float)])
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    n = pairs.shape[1]
    if n < LEAST_PAIRS or (np.ptp(pairs, axis=1) <= CONSTANT * np.abs(pairs).max(axis=1)).any():
        return np.nan, np.nan, n
    found = stats.pearsonr(*pairs)
    return float(found.statistic), float(found.pvalue), n


def signed_rank(differences: ArrayLike) -> tuple[float, float]:
    """Return the two-sided Wilcoxon p of paired differences, and their rank-biserial correlation.

    (ranks of positive - ranks of negative differences) / all ranks; zeros are left out.
    """
    found = _defined(differences)
    found = found[found != 0]
    if not found.size:
        return np.nan, np.nan
    ranks = stats.rankdata(np.abs(found))
    effect = (ranks * np.sign(found)).sum() / ranks.sum()
    return float(stats.wilcoxon(found).pvalue), float(effect)


def mann_whitney(present: ArrayLike, absent: ArrayLike) -> tuple[float, float]:
    """Return the two-sided Mann-Whitney p of two groups, and the AUC: U of the first / (n1 n2)."""
    one, other = _defined(present), _defined(absent)
    if not (one.size and other.size) or np.ptp(np.concatenate([one, other])) == 0:
        return np.nan, np.nan
    found = stats.mannwhitneyu(one, other)
    return float(found.pvalue), float(found.statistic / (one.size * other.size))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return step-down corrected p-values; a NaN stays one and does not count as a test."""
    p = np.asarray(p_values, float)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN sorts last
    corrected = np.full_like(p, np.nan)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return [float(value) for value in corrected]


def _defined(values: ArrayLike) -> NDArray[np.float64]:
    array: NDArray[np.float64] = np.asarray(values, float)
    return array[~np.isnan(array)]


def _sums(parts: Sequence[Part], patients: Iterable[str]) -> NDArray[np.float64]:
    """Sum numerators and denominators by patient, (patients, 2 x parts); NaN leaves a case out."""
    columns = [np.asarray(column, float) for part in parts for column in part]
    whole = pd.DataFrame(dict(enumerate(columns))).dropna()
    sums: NDArray[np.float64] = (
        whole.groupby(pd.Series(list(patients), dtype=object)).sum().to_numpy()
    )
    return sums


def _drawn(sums: NDArray[np.float64], bootstrap: Bootstrap) -> NDArray[np.float64]:
    """Sum as many patients as there are, drawn with replacement, (draws, columns)."""
    patients = len(sums)
    generator = np.random.default_rng(bootstrap.seed)
    weights = generator.multinomial(patients, np.full(patients, 1 / patients), bootstrap.draws)
    drawn: NDArray[np.float64] = weights @ sums
    return drawn


def _way(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (m - b) / (c - b) of summed parts, (draws, 6); NaN where c is not above b."""
    with np.errstate(divide="ignore", invalid="ignore"):
        method, baseline, ceiling = (sums[:, 0::2] / sums[:, 1::2]).T
    way = np.where(ceiling > baseline, ceiling - baseline, np.nan)
    share: NDArray[np.float64] = (method - baseline) / way
    return share


def _estimate(value: float, drawn: NDArray[np.float64], bootstrap: Bootstrap) -> Estimate:
    if not drawn.size:
        return Estimate(value, np.nan, np.nan)
    outside = (1 - bootstrap.level) / 2
    low, high = np.quantile(drawn, [outside, 1 - outside])
    return Estimate(value, float(low), float(high))
