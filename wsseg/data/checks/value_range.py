"""The range of values of a scan, measured one slice at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_LABELS = 256  # a file with more distinct values contains an image, not labels
CODES = 2**16  # of int16
FIRST_CODE = -(2**15)


@dataclass(frozen=True)
class ValueRange:
    """A summary of the values of voxels."""

    lowest: float
    highest: float
    measured_lowest: float
    """The lowest value that the scanner measured; 0 if there is none."""
    measured_highest: float
    """The highest value that the scanner measured; 0 if there is none."""
    unmeasured_share: float
    """The share of voxels with lower values, which are outside the field of view."""
    highest_share: float
    """The share of voxels with the highest value."""
    labels: tuple[float, ...]
    """The distinct values; if there are more than `MAX_LABELS`, at least one more than that."""


def value_range(voxels: NDArray[Any], lowest_measured: float) -> ValueRange:
    """Summarise voxels, (Z, H, W), int16 or float32; lower values were not measured."""
    if voxels.dtype == np.int16:
        return _int16_range(voxels, lowest_measured)
    return _float_range(voxels, lowest_measured)


def _int16_range(voxels: NDArray[np.int16], lowest_measured: float) -> ValueRange:
    counts = np.zeros(CODES, np.int64)
    for plane in voxels:
        codes = plane.ravel().astype(np.int32) - FIRST_CODE
        counts += np.bincount(codes, minlength=CODES)
    values = np.flatnonzero(counts) + FIRST_CODE
    inside = values >= lowest_measured
    measured = values[inside]
    return ValueRange(
        lowest=float(values[0]),
        highest=float(values[-1]),
        measured_lowest=float(measured[0]) if len(measured) else 0.0,
        measured_highest=float(measured[-1]) if len(measured) else 0.0,
        unmeasured_share=float(counts[values[~inside] - FIRST_CODE].sum() / voxels.size),
        highest_share=float(counts[values[-1] - FIRST_CODE] / voxels.size),
        labels=tuple(values[: MAX_LABELS + 1].astype(float).tolist()),
    )


def _float_range(voxels: NDArray[Any], lowest_measured: float) -> ValueRange:
    measured = [plane[plane >= lowest_measured] for plane in voxels]
    ranges = [(float(values.min()), float(values.max())) for values in measured if values.size]
    labels = set[float]()
    for plane in voxels:
        if len(labels) <= MAX_LABELS:
            labels |= set(np.unique(plane)[: MAX_LABELS + 1].astype(float).tolist())
    highest = float(voxels.max())
    return ValueRange(
        lowest=float(voxels.min()),
        highest=highest,
        measured_lowest=min((low for low, _ in ranges), default=0.0),
        measured_highest=max((high for _, high in ranges), default=0.0),
        unmeasured_share=1 - sum(values.size for values in measured) / voxels.size,
        highest_share=float(np.count_nonzero(voxels == highest) / voxels.size),
        labels=tuple(sorted(labels)),
    )
