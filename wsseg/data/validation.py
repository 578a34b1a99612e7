"""Checks of the unit of an image, and of the grid and the labels of a mask."""

from collections.abc import Collection
from itertools import chain
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.core.image_unit import ImageUnit
from wsseg.core.volume import Grid
from wsseg.errors import InputError

BINARY: tuple[set[int], ...] = ({0, 1}, {0, 255})
MAX_SHIFT_VOXELS = 0.1  # between a mask and its image: rounding errors in the header


def check_unit(voxels: NDArray[Any], unit: ImageUnit, name: str) -> None:
    """Raise `InputError` if the voxels of `name`, (Z, H, W), cannot be in `unit`."""
    from_value = lowest_measured(unit)
    measured = (image[image >= from_value] for image in voxels)
    ranges = ((float(values.min()), float(values.max())) for values in measured if values.size)
    lowest, highest = next(ranges, (0.0, 0.0))
    for low, high in chain([(lowest, highest)], ranges):
        lowest, highest = min(low, lowest), max(high, highest)
        if not unit_mismatch(unit, lowest, highest):
            return  # in most scans after a few slices
    raise InputError(f"{name}: the image {unit_mismatch(unit, lowest, highest)}")


def unit_mismatch(unit: ImageUnit, lowest: float, highest: float) -> str:
    """Return the reason why values in this range are not in `unit`, or ''."""
    if instead := unit.mismatch(lowest, highest):
        return (
            f"is not in {unit.name}: its values go from {lowest:g} to {highest:g}, like {instead}."
        )
    return ""


def lowest_measured(unit: ImageUnit) -> float:
    """Return the lowest value inside a scanner's field of view."""
    return -inf if unit.lowest_measured is None else unit.lowest_measured


def grid_mismatch(mask: Grid, image: Grid) -> str:
    """Return the reason why a mask is not on the grid of its image, or ''."""
    if mask.canonical_shape != image.canonical_shape:
        return (
            f"its shape is {mask.shape}, but its image has {image.shape}. "
            "Resample the mask to the image's grid (nearest neighbour)."
        )
    if "px" in (mask.unit, image.unit):  # a picture has no position
        return ""
    shift_mm, tolerance_mm = mask.shift_mm(image), MAX_SHIFT_VOXELS * min(image.spacing_mm)
    if shift_mm > tolerance_mm:
        return (
            f"lies up to {shift_mm:.3g} mm from its image (more than the {tolerance_mm:.2g} mm of "
            "rounding): their affines differ. "
            "Resample the mask to the image's grid, or give both the same affine."
        )
    return ""


def unexpected_labels(
    labels: Collection[float], values: tuple[int, ...] | None, known: Collection[int] | None
) -> str:
    """Describe the unexpected labels of a file and list the possible ones, or return ''."""
    if known is not None:
        if unknown := set(labels) - set(known):
            return f"has {_first_labels(unknown)}; possible: {', '.join(map(str, sorted(known)))}"
    elif values is None and not any(set(labels) <= binary for binary in BINARY):
        return (
            f"has {_first_labels(set(labels) - {0, 1})}; a mask has 0 and 1 (or 0 and 255). "
            "Otherwise, list the labels that belong to it in the cohort's mask_values."
        )
    return ""


def _first_labels(labels: Collection[float]) -> str:
    first = sorted(labels)[:5]
    dots = ", …" if len(labels) > len(first) else ""
    return f"unknown labels {', '.join(map(_in_full, first))}{dots}"


def _in_full(label: float) -> str:
    """Return a label that was read as float32 with all of its digits."""
    return np.format_float_positional(np.float32(label), trim="-")
