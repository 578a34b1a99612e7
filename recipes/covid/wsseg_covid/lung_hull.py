"""What a lung would fill if it were all air: holes, and bays of its outline at the chest wall."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg_covid.planes import (
    Centres,
    Mask,
    Spacing,
    at_edge,
    closed,
    numbered,
    numbered_in_slice,
)

EROSIONS_MM = (2, 4, 6, 8, 10, 12)
COMPARABLE = 0.15  # of the larger lung's volume: more than lobes or scraps that come off
COARSER = 2  # pixels of the slices in which lungs are told apart


def parted(air: Mask, spacing_mm: Spacing) -> list[Mask]:
    """Part both lungs where they touch, in front of the heart or behind it.

    They are eroded until the two largest pieces are comparable; then every voxel belongs to the
    nearer of both. One mask if that never happens.
    """
    small = air[:, ::COARSER, ::COARSER]
    sampling = (spacing_mm[0], COARSER * spacing_mm[1], COARSER * spacing_mm[2])
    for left in _ever_less(small, sampling):
        labels, _ = numbered(left)
        volumes = np.bincount(labels.ravel())
        volumes[0] = 0
        first, second = [*np.argsort(volumes)[::-1], 0][:2]
        if volumes[second] > COMPARABLE * volumes[first]:
            is_first = _nearer(labels == first, labels == second, sampling)
            for axis in (1, 2):
                is_first = is_first.repeat(COARSER, axis=axis)
            is_first = is_first[:, : air.shape[1], : air.shape[2]]
            return [air & is_first, air & ~is_first]
    return [air]


def rim(lungs: Mask, spacing_mm: Spacing, depth_mm: float) -> Mask:
    """Return what lies not deeper than `depth_mm` in the convex hull of both lungs."""
    chest = [convex_hull(plane) for plane in lungs]
    return np.stack([hull & (_depth_mm(hull, spacing_mm) <= depth_mm) for hull in chest])


def bridged(lung: Mask, lungs: Mask, within: Mask, spacing_mm: Spacing, radius_mm: float) -> Mask:
    """Join the parts of a lung that consolidation parts along the chest wall.

    The outline is closed with a disc, but only `within` the rim of both `lungs`.
    """
    return lung | (closed(lung, radius_mm, spacing_mm) & within & ~(lungs & ~lung))


def with_consolidation(
    lung: Mask,
    outline: Mask,
    other: Mask,
    centres: Centres,
    spacing_mm: Spacing,
    hole_mm: float,
    wall_mm: float,
) -> Mask:
    """Add to a lung, slice by slice, its holes and the bays that open towards the chest wall.

    `outline` is the part of the lung whose convex hull is meant, `other` the other lung.
    """
    result = lung.copy()
    for z in np.flatnonzero(outline.any(axis=(1, 2))):
        hull = convex_hull(outline[z])
        labels, count = numbered_in_slice(hull & ~lung[z] & ~other[z])
        if count:
            edge = at_edge(labels, hull)
            accepted = _bays(labels, edge, count, centres[z], spacing_mm)
            if accepted.any() and other[z].any():
                depth_mm = _depth_mm(convex_hull(outline[z] | other[z]), spacing_mm)
                accepted &= _means(depth_mm, edge, count) <= wall_mm
            accepted |= _holes(labels, edge, count, spacing_mm, hole_mm)
            result[z] |= accepted[labels]
    return result


def closed_along_z(mask: Mask, gap_slices: int) -> Mask:
    """Fill what has mask above and below it, both at most `gap_slices` away."""
    if gap_slices == 0:
        return mask
    padded = np.pad(mask, ((gap_slices, gap_slices), (0, 0), (0, 0)))
    as_image = padded.reshape(len(padded), -1).astype(np.uint8)
    column = np.ones((2 * gap_slices + 1, 1), np.uint8)
    closed = cv2.morphologyEx(as_image, cv2.MORPH_CLOSE, column).reshape(padded.shape)
    return np.asarray(closed[gap_slices:-gap_slices] > 0)


def closed_along_wall(lungs: Mask, centres: Centres, spacing_mm: Spacing, gap_slices: int) -> Mask:
    """Fill what has lung above and below it and opens towards the chest wall, if at all."""
    gaps = closed_along_z(lungs, gap_slices) & ~lungs
    result = lungs.copy()
    for z in np.flatnonzero(gaps.any(axis=(1, 2))):
        labels, count = numbered_in_slice(gaps[z])
        edge = at_edge(labels, lungs[z] | gaps[z])
        accepted = _bays(labels, edge, count, centres[z], spacing_mm) | _closed_off(edge, count)
        result[z] |= accepted[labels]
    return result


def convex_hull(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the convex hull of a slice's mask, which the ends of its rows have, too."""
    hull = np.zeros(mask.shape, np.uint8)
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows):
        first = mask[rows].argmax(axis=1)
        last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
        ends = np.stack([np.append(first, last), np.append(rows, rows)], axis=1)
        cv2.fillConvexPoly(hull, cv2.convexHull(ends.astype(np.int32)), (1,))
    return hull.astype(np.bool_)


def _bays(
    labels: NDArray[np.int32],
    edge: NDArray[np.int32],
    count: int,
    centre: NDArray[np.float64],
    spacing_mm: Spacing,
) -> NDArray[np.bool_]:
    """Say of each piece whether it opens away from the body's centre.

    A bay's mouth is its part of the hull's edge. Towards the chest wall it is farther from the
    body's `centre` than the bay is; towards heart and liver mostly not, or it is deep below the
    convex hull of both lungs.
    """
    y, x = np.ogrid[: labels.shape[0], : labels.shape[1]]
    far_mm = np.hypot((y - centre[0]) * spacing_mm[1], (x - centre[1]) * spacing_mm[2])
    outwards = _means(far_mm, edge, count) > _means(far_mm, labels, count)
    return np.asarray(outwards & ~_closed_off(edge, count))


def _holes(
    labels: NDArray[np.int32],
    edge: NDArray[np.int32],
    count: int,
    spacing_mm: Spacing,
    hole_mm: float,
) -> NDArray[np.bool_]:
    """Say of each piece whether it is a hole, and not so large that it is the liver's dome."""
    closed_off = _closed_off(edge, count)
    if closed_off.any():
        depth_mm = _depth_mm(labels > 0, spacing_mm)
        closed_off[labels[depth_mm > hole_mm]] = False
    return closed_off


def _closed_off(edge: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """Say of each piece whether it has nothing at the edge."""
    closed_off = np.ones(count + 1, np.bool_)
    closed_off[edge] = False
    closed_off[0] = False
    return closed_off


def _means(
    values: NDArray[np.float64], labels: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """Return the mean of `values` in each piece; 0 where it has no pixel."""
    inside = labels > 0
    own = labels[inside]
    pixels = np.bincount(own, minlength=count + 1).clip(min=1)
    return np.asarray(np.bincount(own, values[inside], count + 1) / pixels)


def _ever_less(air: Mask, sampling: Spacing) -> Iterator[Mask]:
    """Yield lungs, then what is left of them when more and more is taken off their border."""
    yield air
    depth_mm = ndimage.distance_transform_edt(air, sampling=sampling)
    yield from (depth_mm > least_mm for least_mm in EROSIONS_MM)


def _nearer(first: Mask, second: Mask, sampling: Spacing) -> Mask:
    """Say of each voxel whether the first mask is nearer than the second."""
    nearest = ndimage.distance_transform_edt(
        ~(first | second), sampling=sampling, return_distances=False, return_indices=True
    )
    return np.asarray(first[tuple(nearest)])


def _depth_mm(mask: NDArray[np.bool_], spacing_mm: Spacing) -> NDArray[np.float64]:
    """Return how far from the mask's edge its pixels are; the slice's border is no edge."""
    pixel_mm = (spacing_mm[1] + spacing_mm[2]) / 2
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(depth, np.float64) * pixel_mm  # without any edge it is float32's largest
