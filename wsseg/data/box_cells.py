"""Boxes in cells of tables."""

from math import isfinite

from wsseg.core.weak_labels import Box

POSSIBLE = (
    "x y width height, or x y z width height depth, in voxels of the image, with / between boxes, "
    "such as 12 30 40 25 / 90 14 20 20"
)
IN_SLICE, IN_SCAN = 4, 6  # number of values of a box


def parse_boxes(cell: str, slice_index: int | None = None) -> tuple[Box, ...]:
    """Return the boxes in a cell. With `slice_index`, they lie in that slice.

    Raises:
        ValueError: The cell cannot be parsed, or a box is empty.

    Example:
        >>> from wsseg.tools import parse_boxes
        >>> parse_boxes("12 30 40 25")
        (Box(x=12.0, y=30.0, width=40.0, height=25.0, slices=None),)
        >>> parse_boxes("12 30 5 40 25 2")[0].slices
        (5, 6)
    """
    return tuple(_box(text, cell, slice_index) for text in cell.split("/")) if cell else ()


def _box(text: str, cell: str, slice_index: int | None) -> Box:
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    allowed = (IN_SLICE, IN_SCAN) if slice_index is None else (IN_SLICE,)
    if len(numbers) not in allowed or not all(map(isfinite, numbers)):
        raise ValueError(f"is {cell!r}; possible: {POSSIBLE}")
    x, y, *z, width, height, depth = numbers if len(numbers) == IN_SCAN else [*numbers, 1.0]
    slices = None if slice_index is None else (slice_index, slice_index)
    if z:
        slices = int(z[0]), int(z[0] + depth) - 1
    if min(width, height, depth) <= 0 or min(x, y, *(slices or (0,))) < 0:
        raise ValueError(
            f"is {cell!r}; a box must not start before 0, and its size must be positive; possible: "
            f"{POSSIBLE}"
        )
    return Box(x, y, width, height, slices)
