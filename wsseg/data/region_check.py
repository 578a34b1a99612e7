"""Whether a region can be the organ that it is meant to be: nothing found, or a leak."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.core.interfaces import RegionLimits
from wsseg.data.spacing import exceeds

MM3_PER_LITRE, MM2_PER_CM2 = 1e6, 100.0
ENOUGH = 10**6  # voxels that a median is taken of


def doubt(
    mask: NDArray[Any],
    image: NDArray[Any],
    spacing_mm: tuple[float, float, float] | None,
    plausible: RegionLimits | None,
) -> str:
    """Say in words why `mask`, (Z, H, W), is not the organ; "" where nothing speaks against it.

    Sizes are judged where `spacing_mm` is known, the median where `image` is as the scanner gave
    it, int16; a standardized one is not.
    """
    if not mask.any():
        return "is empty: nothing was found"
    if plausible is None:
        return ""
    sizes = "" if spacing_mm is None else _doubt_size(mask, spacing_mm, plausible)
    return sizes or (_doubt_median(mask, image, plausible) if image.dtype == np.int16 else "")


def _doubt_size(
    mask: NDArray[Any], spacing_mm: tuple[float, float, float], plausible: RegionLimits
) -> str:
    z_mm, row_mm, column_mm = spacing_mm
    pixels = np.count_nonzero(mask, axis=(1, 2))
    litres = float(pixels.sum()) * z_mm * row_mm * column_mm / MM3_PER_LITRE
    largest_cm2 = float(pixels.max()) * row_mm * column_mm / MM2_PER_CM2
    least, most = plausible.litres
    if exceeds(litres, most):
        return f"has {litres:.1f} litres, over {most:g}: it leaks, or the spacing is wrong"
    if exceeds(largest_cm2, plausible.largest_cm2):
        where = int(pixels.argmax())
        return (
            f"has {largest_cm2:.0f} cm² in slice {where}, over {plausible.largest_cm2:g}: it leaks"
        )
    if exceeds(least, litres) and not exceeds(plausible.whole_mm, len(mask) * z_mm):
        return f"has {litres:.2f} litres, under {least:g}: most of it was not found"
    return ""


def _doubt_median(mask: NDArray[Any], image: NDArray[Any], plausible: RegionLimits) -> str:
    step = max(1, int(np.count_nonzero(mask)) // ENOUGH)
    inside = np.concatenate([image[z][mask[z] > 0][::step] for z in range(len(mask))])
    median, (low, high) = float(np.median(inside)), plausible.median
    if low <= median <= high:
        return ""
    return f"has a median value of {median:.0f}, not {low:g} to {high:g}: it leaks, or is elsewhere"
