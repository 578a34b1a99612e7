"""Checks whether a region is plausible for its organ, or is empty or leaks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg.core.interfaces import RegionLimits
from wsseg.data.region_shape import implausible_pair
from wsseg.data.spacing import exceeds

MM3_PER_LITRE, MM2_PER_CM2 = 1e6, 100.0
MEDIAN_VOXELS = 10**6  # about the number of voxels used for the median
ADJACENT_LITRES = 0.8  # of dark voxels that may adjoin a pair; tubes that lead to it have less
ADJACENT_SHARE = 0.2  # the same, as a share of the pair
IN_PLANE = np.array([[[0] * 3] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0] * 3] * 3], np.bool_)


def implausibility(
    mask: NDArray[Any],
    image: NDArray[Any],
    spacing_mm: tuple[float, float, float] | None,
    plausible: RegionLimits | None,
) -> str:
    """Return the reason why `mask`, (Z, H, W), cannot be the organ, or ''.

    Sizes are checked if `spacing_mm` is known, and the median if `image` has the scanner's values,
    int16, rather than standardized ones. The shape of a pair of organs, and what adjoins it, are
    checked if both hold.
    """
    if not mask.any():
        return "is empty: nothing was found"
    if plausible is None:
        return ""
    if spacing_mm is not None and (reason := _implausible_size(mask, spacing_mm, plausible)):
        return reason
    if image.dtype != np.int16:
        return ""
    if (reason := _implausible_median(mask, image, plausible)) or spacing_mm is None:
        return reason
    return implausible_pair(mask, image, spacing_mm, plausible) or _left_out(
        mask > 0, image, spacing_mm, plausible
    )


def _implausible_size(
    mask: NDArray[Any], spacing_mm: tuple[float, float, float], plausible: RegionLimits
) -> str:
    z_mm, row_mm, column_mm = spacing_mm
    pixels = np.count_nonzero(mask, axis=(1, 2))
    litres = float(pixels.sum()) * z_mm * row_mm * column_mm / MM3_PER_LITRE
    largest_cm2 = float(pixels.max()) * row_mm * column_mm / MM2_PER_CM2
    least, most = plausible.volume_litres
    if exceeds(litres, most):
        return f"has {litres:.1f} litres, over {most:g}: it leaks, or the spacing is wrong"
    if exceeds(largest_cm2, plausible.max_area_cm2):
        index = int(pixels.argmax())
        return (
            f"has {largest_cm2:.0f} cm² in slice {index}, over {plausible.max_area_cm2:g}: it leaks"
        )
    if exceeds(least, litres) and not exceeds(plausible.full_length_mm, len(mask) * z_mm):
        return f"has {litres:.2f} litres, under {least:g}: most of it was not found"
    return ""


def _implausible_median(mask: NDArray[Any], image: NDArray[Any], plausible: RegionLimits) -> str:
    step = max(1, int(np.count_nonzero(mask)) // MEDIAN_VOXELS)
    inside = np.concatenate([image[z][mask[z] > 0][::step] for z in range(len(mask))])
    median, (low, high) = float(np.median(inside)), plausible.median
    if low <= median <= high:
        return ""
    return f"has a median value of {median:.0f}, not {low:g} to {high:g}: it leaks, or is elsewhere"


def _left_out(
    mask: NDArray[np.bool_],
    image: NDArray[Any],
    spacing_mm: tuple[float, float, float],
    plausible: RegionLimits,
) -> str:
    """Find a large part of the body that adjoins the mask of a pair of organs and is as dark.

    Dark voxels that are connected to the border of their slice are outside the body.
    """
    if plausible.pair is None:
        return ""
    litres_per_voxel = float(np.prod(spacing_mm)) / MM3_PER_LITRE
    limit = max(ADJACENT_LITRES, ADJACENT_SHARE * np.count_nonzero(mask) * litres_per_voxel)
    dark = (image <= plausible.median[1]) & ~mask
    labels, _ = ndimage.label(dark, IN_PLANE)
    sides = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    at_border = np.unique(np.concatenate([side.ravel() for side in sides]))
    dark &= ~np.isin(labels, at_border)
    if exceeds(limit, np.count_nonzero(dark) * litres_per_voxel):
        return ""
    parts, _ = ndimage.label(dark)
    adjacent = np.unique(parts[ndimage.binary_dilation(mask)])
    litres = np.count_nonzero(np.isin(parts, adjacent[adjacent > 0])) * litres_per_voxel
    if not exceeds(litres, limit):
        return ""
    return f"leaves out {litres:.1f} litres that adjoin it inside the body and are as dark"
