"""Comparisons of voxel spacings that do not depend on rounding errors.

The spacing of one scanner setting may be stored as 5, as 4.99999 or, if it is computed from a
rotated affine, as 5.0000000000005. Every decision that depends on a spacing uses these functions,
so that these values give the same result.
"""

from math import floor

STEPS_PER_MM = 1000  # finer than the settings of scanners
ROUND_UP_FROM = 0.5 + 1 / 256  # fraction of a step
TOLERANCE = 1e-3  # relative: above rounding errors, below differences that matter


def rounded_mm(spacing_mm: float) -> float:
    """Return the spacing rounded to steps of 0.001 mm, at least 0.001 mm.

    It is rounded up if it is 1/256 of a step or more above the midpoint of two steps. Common
    spacings have at most five decimals, or are a field of view in full millimetres divided by 512
    or 1024 pixels. Many of them are midpoints (352 mm / 512 = 0.6875 mm), at which ordinary
    rounding would depend on rounding errors. None is nearer than 1/256 of a step, 3.9e-6 mm, to the
    limit used here.

    Example:
        >>> from wsseg.tools import rounded_mm
        >>> rounded_mm(4.99999), rounded_mm(5.0000000000005)
        (5.0, 5.0)
    """
    return max(1, floor(spacing_mm * STEPS_PER_MM + 1 - ROUND_UP_FROM)) / STEPS_PER_MM


def in_voxels(length_mm: float, spacing_mm: float) -> float:
    """Return a length in voxels, not rounded to an integer.

    A result within a relative tolerance of 1e-3 of a multiple of 1/2 is replaced by that multiple,
    so that `round` and `int` of it do not depend on rounding errors.

    Example:
        >>> from wsseg.tools import in_voxels
        >>> in_voxels(10, 4.99999), in_voxels(10, 3)
        (2.0, 3.3333333333333335)
    """
    voxels = length_mm / spacing_mm
    nearest = round(2 * voxels) / 2
    return nearest if abs(voxels - nearest) <= TOLERANCE * voxels else voxels


def exceeds(size: float, limit: float) -> bool:
    """Return whether `size` is larger than `limit` by more than a relative tolerance of 1e-3.

    Example:
        >>> from wsseg.tools import exceeds
        >>> exceeds(5.00001, 5), exceeds(5.1, 5)
        (False, True)
    """
    return size > limit * (1 + TOLERANCE)
