"""Checks on what was read: the image's unit, a mask's grid and its labels."""

from collections.abc import Collection
from itertools import chain

from wsseg.core.volume import Grid, Volume
from wsseg.errors import InputError

BINARY: tuple[set[int], ...] = ({0, 1}, {0, 255})
BEYOND_THE_SCANNER_HU = -1100  # files put less than air outside the field of view
HIGHEST_MINIMUM_HU = -50  # air is -1000 and fat -100: some voxel of a CT is below this
LEAST_RANGE_HU = 100
EIGHT_BIT = 300  # the highest value of an 8-bit picture, with what resampling adds to 255
SAME_PLACE_VOXELS = 0.1  # how far a mask may lie from its image: rounding in the header


def check_hu(volume: Volume, name: str) -> None:
    """Raise `InputError` unless the voxels of `name` can be Hounsfield units."""
    seen = (image[image >= BEYOND_THE_SCANNER_HU] for image in volume.voxels)
    spans = ((float(values.min()), float(values.max())) for values in seen if values.size)
    lowest, highest = next(spans, (0.0, 0.0))
    for low, high in chain([(lowest, highest)], spans):
        lowest, highest = min(low, lowest), max(high, highest)
        if not not_hu(lowest, highest):
            return  # mostly after a few slices
    raise InputError(f"{name}: {not_hu(lowest, highest)}")


def not_hu(lowest: float, highest: float) -> str:
    """Say why values in this range, of what the scanner saw, are not Hounsfield units; or "".

    A normalised image, an 8-bit picture and a CT without its intercept are told apart.
    """
    if lowest < HIGHEST_MINIMUM_HU and highest - lowest > LEAST_RANGE_HU:
        return ""
    if highest - lowest <= LEAST_RANGE_HU:
        looks = "a normalised or nearly constant image. Give the scan as it came from the scanner"
    elif highest <= EIGHT_BIT:
        looks = "an 8-bit picture. Give the scan itself, or HU computed from the picture's window"
    else:
        looks = "CT without its rescale intercept. Add it, most often -1024, to every voxel"
    return f"is not in HU: its values go from {lowest:g} to {highest:g}, like {looks}."


def misplaced(mask: Grid, image: Grid) -> str:
    """Say why a mask is not on its image's grid; "" where it is, but for rounding."""
    if mask.canonical_shape != image.canonical_shape:
        return (
            f"its shape is {mask.shape}, its image's {image.shape}. "
            "Resample the mask to the image's grid (nearest neighbour)."
        )
    shift_mm, tolerance_mm = mask.shift_mm(image), SAME_PLACE_VOXELS * min(image.spacing_mm)
    if shift_mm > tolerance_mm:
        return (
            f"lies up to {shift_mm:.3g} mm from its image (more than the {tolerance_mm:.2g} mm of "
            "rounding): their affines differ. "
            "Resample the mask to the image's grid, or give both the same affine."
        )
    return ""


def strange_labels(
    held: Collection[float], values: tuple[int, ...] | None, known: Collection[int] | None
) -> str:
    """Say which labels of a file are not expected, and which are; "" where all are."""
    if known is not None:
        if strange := set(held) - set(known):
            return f"has {_listed(strange)}; possible: {', '.join(map(str, sorted(known)))}"
    elif values is None and not any(set(held) <= binary for binary in BINARY):
        return (
            f"has {_listed(set(held) - {0, 1})}; a mask has 0 and 1 (or 0 and 255). "
            "Or say which labels count, with the cohort's mask_values."
        )
    return ""


def _listed(labels: Collection[float]) -> str:
    first = sorted(labels)[:5]
    dots = ", …" if len(labels) > len(first) else ""
    return f"unknown labels {', '.join(f'{label:g}' for label in first)}{dots}"
