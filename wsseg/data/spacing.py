"""Lengths against voxel spacings, whose last digits are rounding errors.

The spacing of one scanner setting is stored as 5, as 4.99999 or, where it is computed from a
rotated affine, as 5.0000000000005. Everything that decides by a spacing uses these functions, so
that such spacings give the same result.
"""

from math import floor

STEPS_PER_MM = 1000  # finer than spacings are set on a scanner
ROUNDED_UP = 0.5 + 1 / 256  # from this fraction of a step on
TOLERANCE = 1e-3  # relative: more than rounding changes, less than what matters in an image


def rounded_mm(spacing_mm: float) -> float:
    """Return the spacing rounded to 0.001 mm, and 0.001 mm at least.

    Halfway between two steps it is rounded down, and up from 1/256 of a step above on. Common
    spacings have at most five decimals, or are a field of view in whole millimetres divided by 512
    or 1024 pixels. Many are halfway (352 mm / 512 = 0.6875 mm), where rounding errors would decide;
    none of them is nearer than 1/256 of a step, 3.9e-6 mm, to the limit used here.
    """
    return max(1, floor(spacing_mm * STEPS_PER_MM + 1 - ROUNDED_UP)) / STEPS_PER_MM


def in_voxels(length_mm: float, spacing_mm: float) -> float:
    """Return a length in voxels, to be rounded by the caller.

    Within a relative tolerance of 1e-3 of a multiple of 1/2 it is that multiple, so that neither
    `round` nor `int` depends on rounding errors.
    """
    voxels = length_mm / spacing_mm
    nearest = round(2 * voxels) / 2
    return nearest if abs(voxels - nearest) <= TOLERANCE * voxels else voxels


def exceeds(size: float, limit: float) -> bool:
    """Return whether a size is over a limit by more than a relative tolerance of 1e-3."""
    return size > limit * (1 + TOLERANCE)
