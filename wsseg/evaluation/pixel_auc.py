"""The pixel AUROC: how well probabilities rank pixels with a class above pixels without it.

    AUROC = P(p > p') + P(p = p') / 2

where p is the probability of a random pixel with the class, and p' that of one without it. It is
computed from pixel counts in narrow bins of the log-odds, which can be added over cases. Pixels in
the same bin count as equal.

Source: Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating
characteristic (ROC) curve".
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

LIMIT = 20.0  # of the log-odds, which are clipped to [-LIMIT, LIMIT]
STEPS = 512  # bins in one unit of the log-odds
BINS = int(2 * LIMIT * STEPS) + 1


@dataclass(frozen=True)
class RankedPixels:
    """Numbers of pixels with and without a class in bins of their log-odds, (N,) each."""

    present: NDArray[np.int64]
    absent: NDArray[np.int64]

    @classmethod
    def of(cls, probability: NDArray[np.float32], present: NDArray[np.bool_]) -> Self:
        """Count pixels, given by arrays of equal length."""
        p = probability.astype(np.float64)
        with np.errstate(divide="ignore"):
            log_odds = np.log(p) - np.log1p(-p)
        bins = np.rint((log_odds.clip(-LIMIT, LIMIT) + LIMIT) * STEPS).astype(np.int64)
        return cls(
            np.bincount(bins[present], minlength=BINS), np.bincount(bins[~present], minlength=BINS)
        )

    def __add__(self, other: "RankedPixels") -> "RankedPixels":
        """Return the counts of the pixels of both."""
        return RankedPixels(self.present + other.present, self.absent + other.absent)

    @property
    def auc(self) -> float | None:
        """The pixel AUROC; None if all pixels have the class, or none has it."""
        pairs = int(self.present.sum()) * int(self.absent.sum())
        if not pairs:
            return None
        below = np.cumsum(self.absent) - self.absent
        return float(self.present @ (below + self.absent / 2)) / pairs
