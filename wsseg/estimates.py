"""Numbers with their uncertainty: a ratio with its interval, and the tests of the report.

What cannot be computed (too few values, constant values) is NaN.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEAST_PAIRS = 3  # below, a correlation is certain whatever the numbers are
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
    frame = pd.DataFrame({"n": np.asarray(numerator, float), "d": np.asarray(denominator, float)})
    sums = frame.dropna().groupby(pd.Series(list(patients), dtype=object)).sum().to_numpy()
    clusters = len(sums)
    total, whole = sums.sum(axis=0)
    value = float(total / whole) if whole > 0 else np.nan
    if clusters < 2:  # noqa: PLR2004 - one patient says nothing of others
        return Estimate(value, np.nan, np.nan)
    generator = np.random.default_rng(bootstrap.seed)
    weights = generator.multinomial(clusters, np.full(clusters, 1 / clusters), bootstrap.draws)
    drawn = weights @ sums
    drawn = drawn[drawn[:, 1] > 0]
    if not len(drawn):
        return Estimate(value, np.nan, np.nan)
    outside = (1 - bootstrap.level) / 2
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [outside, 1 - outside])
    return Estimate(value, float(low), float(high))


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


def separation(present: ArrayLike, absent: ArrayLike) -> tuple[float, float]:
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
