"""Morphology of a stack of slices, each for itself, with sizes in millimetres."""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg.tools import in_voxels, map_in_threads, rounded_mm

Mask: TypeAlias = NDArray[np.bool_]  # (Z, H, W)
Spacing: TypeAlias = tuple[float, float, float]  # mm along (z, row, column)
Centres: TypeAlias = NDArray[np.float64]  # (Z, 2), of a mask's slices: row and column
Box: TypeAlias = tuple[slice, slice, slice]
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
IN_PLANE = np.stack([0 * CROSS, CROSS, 0 * CROSS])


@dataclass(frozen=True)
class Planes:
    """A scan, coarse enough to be worked on quickly."""

    hu: NDArray[np.float32]  # (Z, H, W)
    spacing_mm: Spacing
    step: tuple[int, int, int]  # voxels of the scan in one of these, along each axis


def coarse(voxels: NDArray[Any], spacing_mm: Spacing, to_mm: float) -> Planes:
    """Average blocks of voxels, so that none is larger than `to_mm` unless the scan's are.

    What does not fill a block at the end of an axis is filled with the last voxel's value. Spacings
    are rounded to 0.001 mm: rounding errors in a header must not decide what is a lung.
    """
    z_mm, row_mm, column_mm = map(rounded_mm, spacing_mm)
    z, row, column = (max(1, round(in_voxels(to_mm, mm))) for mm in (z_mm, row_mm, column_mm))
    slabs = (voxels[start : start + z] for start in range(0, len(voxels), z))
    hu = np.stack(list(map_in_threads(lambda slab: _block_means(slab, (z, row, column)), slabs)))
    return Planes(hu, (z_mm * z, row_mm * row, column_mm * column), (z, row, column))


def _block_means(slab: NDArray[Any], step: tuple[int, int, int]) -> NDArray[np.float32]:
    """Average the blocks of a slab that is one block high, (H, W)."""
    after = [(0, -n % each) for n, each in zip(slab.shape, step, strict=True)]
    whole = np.pad(slab, after, mode="edge").sum(axis=0, dtype=np.float32)
    rows = whole.reshape(-1, step[1], whole.shape[1]).sum(axis=1)
    return np.asarray(rows.reshape(len(rows), -1, step[2]).sum(axis=2) / math.prod(step))


def fine(
    plane: NDArray[np.bool_], step: tuple[int, int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Undo `coarse` for a slice of a mask: every pixel of a block gets the block's value."""
    whole = plane.repeat(step[1], axis=0).repeat(step[2], axis=1)
    return whole[: shape[1], : shape[2]]


def eroded(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Take a disc's radius off every slice's borders, but not off the image's."""
    return _morphology(cv2.MORPH_ERODE, mask, radius_mm, spacing_mm)


def dilated(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Add a disc's radius to every slice."""
    return _morphology(cv2.MORPH_DILATE, mask, radius_mm, spacing_mm)


def opened(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Keep what a disc fits into."""
    return dilated(eroded(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def closed(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Add what a disc outside does not fit into."""
    return eroded(dilated(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def numbered(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number the connected pieces of a stack from 1 on, and count them."""
    labels, count = ndimage.label(mask)
    return np.asarray(labels, np.int32), int(count)


def numbered_in_slice(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number the connected pieces of one slice from 1 on, and count them."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.asarray(labels, np.int32), count - 1


def numbered_in_plane(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Number the connected pieces of each slice, over all slices."""
    labels, count = ndimage.label(mask, IN_PLANE)
    return np.asarray(labels, np.int32), int(count)


def at_border(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """List the pieces that touch the border of their slice."""
    edges = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    found = np.unique(np.concatenate([edge.ravel() for edge in edges]))
    return found[found > 0]


def at_edge(labels: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Keep of a slice's pieces, which lie in `mask`, what touches the mask's edge.

    The slice's border is no edge.
    """
    return np.where(cv2.erode(mask.astype(np.uint8), CROSS) > 0, 0, labels)


def centres(mask: Mask) -> Centres:
    """Return the centre of each slice's mask; 0 where there is none."""
    pixels = mask.sum(axis=(1, 2)).clip(min=1)
    along = (mask.sum(axis=2), mask.sum(axis=1))
    return np.stack([each @ np.arange(each.shape[1]) / pixels for each in along], axis=1)


def box_around(mask: Mask, margin_mm: float, spacing_mm: Spacing) -> Box:
    """Return the box around what is on in `mask`, with a margin of a voxel at least."""
    sides = []
    for axis, (length, each_mm) in enumerate(zip(mask.shape, spacing_mm, strict=True)):
        on = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        more = int(in_voxels(margin_mm, each_mm)) + 1
        sides.append(slice(max(0, on[0] - more), min(length, on[-1] + 1 + more)))
    z, row, column = sides
    return z, row, column


def _morphology(how: int, mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """Use a disc of at least one pixel."""
    row, column = (max(1, round(in_voxels(radius_mm, mm))) for mm in spacing_mm[1:])
    y, x = np.ogrid[-row : row + 1, -column : column + 1]
    disc = ((y / row) ** 2 + (x / column) ** 2 <= 1).astype(np.uint8)
    planes = [cv2.morphologyEx(plane, how, disc) for plane in mask.astype(np.uint8)]
    return np.stack(planes).astype(np.bool_)
