"""What values the voxels of a scan have, counted a slice at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.data.validation import BEYOND_THE_SCANNER_HU

MOST_LABELS = 256  # a file with more distinct values holds an image, not labels
CODES = 2**16  # of int16
LEAST = -(2**15)


@dataclass(frozen=True)
class Values:
    """A summary of voxels."""

    lowest: float
    highest: float
    seen_lowest: float  # of those not below air: what the scanner saw; 0 where there are none
    seen_highest: float
    beyond_share: float  # of voxels below air, as files have them outside the field of view
    highest_share: float  # of voxels that have the highest value
    labels: tuple[float, ...]  # its distinct values, where they are few; else the first ones


def values_of(voxels: NDArray[Any]) -> Values:
    """Summarise voxels, (Z, H, W), int16 or float32."""
    return _of_int16(voxels) if voxels.dtype == np.int16 else _of_floats(voxels)


def _of_int16(voxels: NDArray[np.int16]) -> Values:
    counts = np.zeros(CODES, np.int64)
    for plane in voxels:
        codes = plane.ravel().astype(np.int32) - LEAST
        counts += np.bincount(codes, minlength=CODES)
    distinct = np.flatnonzero(counts) + LEAST
    seen = distinct[distinct >= BEYOND_THE_SCANNER_HU]
    return Values(
        lowest=float(distinct[0]),
        highest=float(distinct[-1]),
        seen_lowest=float(seen[0]) if len(seen) else 0.0,
        seen_highest=float(seen[-1]) if len(seen) else 0.0,
        beyond_share=float(counts[: BEYOND_THE_SCANNER_HU - LEAST].sum() / voxels.size),
        highest_share=float(counts[distinct[-1] - LEAST] / voxels.size),
        labels=tuple(distinct[: MOST_LABELS + 1].astype(float).tolist()),
    )


def _of_floats(voxels: NDArray[Any]) -> Values:
    seen = [plane[plane >= BEYOND_THE_SCANNER_HU] for plane in voxels]
    spans = [(float(values.min()), float(values.max())) for values in seen if values.size]
    labels = set[float]()
    for plane in voxels:
        if len(labels) <= MOST_LABELS:
            labels |= set(np.unique(plane)[: MOST_LABELS + 1].astype(float).tolist())
    highest = float(voxels.max())
    return Values(
        lowest=float(voxels.min()),
        highest=highest,
        seen_lowest=min((low for low, _ in spans), default=0.0),
        seen_highest=max((high for _, high in spans), default=0.0),
        beyond_share=1 - sum(values.size for values in seen) / voxels.size,
        highest_share=float(np.count_nonzero(voxels == highest) / voxels.size),
        labels=tuple(sorted(labels)),
    )
