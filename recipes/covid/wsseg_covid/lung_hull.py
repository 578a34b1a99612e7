"""Consolidated parts of the lungs: holes and bays of their aerated part, by its convex hull."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg_covid.planes import (
    Centres,
    Mask,
    Spacing,
    at_mask_edge,
    closing,
    components_in_slice,
    connected_components,
)

EROSIONS_MM = (2, 4, 6, 8, 10, 12)
COMPARABLE = 0.15  # least volume relative to the larger lung; lobes that separate are smaller
COARSER = 2  # downsampling for the separation of the lungs


def split_lungs(air: Mask, spacing_mm: Spacing) -> list[Mask]:
    """Separate the two lungs where they touch, in front of the heart or behind it.

    The air is eroded until the two largest components have comparable volumes. Each voxel then
    belongs to the nearer component. If no erosion separates them, the result is one mask.
    """
    small = air[:, ::COARSER, ::COARSER]
    sampling = (spacing_mm[0], COARSER * spacing_mm[1], COARSER * spacing_mm[2])
    for eroded in _successive_erosions(small, sampling):
        labels, _ = connected_components(eroded)
        volumes = np.bincount(labels.ravel())
        volumes[0] = 0
        first, second = [*np.argsort(volumes)[::-1], 0][:2]
        if volumes[second] > COMPARABLE * volumes[first]:
            is_first = _nearer_to_first(labels == first, labels == second, sampling)
            for axis in (1, 2):
                is_first = is_first.repeat(COARSER, axis=axis)
            is_first = is_first[:, : air.shape[1], : air.shape[2]]
            return [air & is_first, air & ~is_first]
    return [air]


def hull_rim(lungs: Mask, spacing_mm: Spacing, depth_mm: float) -> Mask:
    """Return the pixels of the lungs' convex hull within `depth_mm` of its edge, slice by slice."""
    chest = [convex_hull(plane) for plane in lungs]
    return np.stack([hull & (_depth_mm(hull, spacing_mm) <= depth_mm) for hull in chest])


def bridge_gaps(
    lung: Mask, lungs: Mask, within: Mask, spacing_mm: Spacing, radius_mm: float
) -> Mask:
    """Fill gaps along the chest wall that consolidation leaves in the aerated part of a lung.

    The lung is closed with a disc, but only `within` a mask and not into the other of both `lungs`.
    """
    return lung | (closing(lung, radius_mm, spacing_mm) & within & ~(lungs & ~lung))


@dataclass(frozen=True)
class Lung:
    """One of the two lungs, with the parts of it that are known."""

    mask: Mask
    outline: Mask  # the part of `mask` that determines the convex hull
    other: Mask  # the other lung


def fill_consolidation(
    side: Lung, centres: Centres, spacing_mm: Spacing, max_hole_mm: float, max_depth_mm: float
) -> Mask:
    """Add to a lung, slice by slice, its holes and the bays that open towards the chest wall.

    Holes have a radius of at most `max_hole_mm`. Bays open within `max_depth_mm` of the convex hull
    of both lungs. `centres` are those of the body.
    """
    lung, outline, other = side.mask, side.outline, side.other
    result = lung.copy()
    for z in np.flatnonzero(outline.any(axis=(1, 2))):
        hull = convex_hull(outline[z])
        labels, count = components_in_slice(hull & ~lung[z] & ~other[z])
        if count:
            edge = at_mask_edge(labels, hull)
            accepted = _opens_outwards(labels, edge, count, centres[z], spacing_mm)
            if accepted.any() and other[z].any():
                depth_mm = _depth_mm(convex_hull(outline[z] | other[z]), spacing_mm)
                accepted &= _component_means(depth_mm, edge, count) <= max_depth_mm
            accepted |= _is_hole(labels, edge, count, spacing_mm, max_hole_mm)
            result[z] |= accepted[labels]
    return result


def closing_along_z(mask: Mask, gap_slices: int) -> Mask:
    """Fill gaps between mask above and mask below of at most 2 `gap_slices` slices."""
    if gap_slices == 0:
        return mask
    padded = np.pad(mask, ((gap_slices, gap_slices), (0, 0), (0, 0)))
    as_image = padded.reshape(len(padded), -1).astype(np.uint8)
    column = np.ones((2 * gap_slices + 1, 1), np.uint8)
    closing = cv2.morphologyEx(as_image, cv2.MORPH_CLOSE, column).reshape(padded.shape)
    return np.asarray(closing[gap_slices:-gap_slices] > 0)


def closing_along_wall(lungs: Mask, centres: Centres, spacing_mm: Spacing, gap_slices: int) -> Mask:
    """Fill gaps between lung above and below that are enclosed or open towards the chest wall."""
    gaps = closing_along_z(lungs, gap_slices) & ~lungs
    result = lungs.copy()
    for z in np.flatnonzero(gaps.any(axis=(1, 2))):
        labels, count = components_in_slice(gaps[z])
        edge = at_mask_edge(labels, lungs[z] | gaps[z])
        accepted = _opens_outwards(labels, edge, count, centres[z], spacing_mm) | _is_enclosed(
            edge, count
        )
        result[z] |= accepted[labels]
    return result


def convex_hull(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the convex hull of a slice's mask, computed from the ends of its rows."""
    hull = np.zeros(mask.shape, np.uint8)
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows):
        first = mask[rows].argmax(axis=1)
        last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
        ends = np.stack([np.append(first, last), np.append(rows, rows)], axis=1)
        cv2.fillConvexPoly(hull, cv2.convexHull(ends.astype(np.int32)), (1,))
    return hull.astype(np.bool_)


def _opens_outwards(
    labels: NDArray[np.int32],
    edge: NDArray[np.int32],
    count: int,
    centre: NDArray[np.float64],
    spacing_mm: Spacing,
) -> NDArray[np.bool_]:
    """Return for each label whether its component opens away from the centre of the body.

    A bay opens where it meets the edge of the convex hull. If it opens towards the chest wall, this
    edge is on average farther from `centre` than the bay. If it opens towards heart or liver, it is
    mostly nearer, or deep inside the convex hull of both lungs.
    """
    y, x = np.ogrid[: labels.shape[0], : labels.shape[1]]
    far_mm = np.hypot((y - centre[0]) * spacing_mm[1], (x - centre[1]) * spacing_mm[2])
    outwards = _component_means(far_mm, edge, count) > _component_means(far_mm, labels, count)
    return np.asarray(outwards & ~_is_enclosed(edge, count))


def _is_hole(
    labels: NDArray[np.int32],
    edge: NDArray[np.int32],
    count: int,
    spacing_mm: Spacing,
    hole_mm: float,
) -> NDArray[np.bool_]:
    """Return for each label whether its component is enclosed and smaller than the liver's dome."""
    closed_off = _is_enclosed(edge, count)
    if closed_off.any():
        depth_mm = _depth_mm(labels > 0, spacing_mm)
        closed_off[labels[depth_mm > hole_mm]] = False
    return closed_off


def _is_enclosed(edge: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """Return for each label whether its component does not meet the edge."""
    closed_off = np.ones(count + 1, np.bool_)
    closed_off[edge] = False
    closed_off[0] = False
    return closed_off


def _component_means(
    values: NDArray[np.float64], labels: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """Return the mean of `values` in each component, or 0 if it has no pixel."""
    inside = labels > 0
    own = labels[inside]
    pixels = np.bincount(own, minlength=count + 1).clip(min=1)
    return np.asarray(np.bincount(own, values[inside], count + 1) / pixels)


def _successive_erosions(air: Mask, sampling: Spacing) -> Iterator[Mask]:
    """Yield the mask, then its erosions with increasing radius."""
    yield air
    depth_mm = ndimage.distance_transform_edt(air, sampling=sampling)
    yield from (depth_mm > least_mm for least_mm in EROSIONS_MM)


def _nearer_to_first(first: Mask, second: Mask, sampling: Spacing) -> Mask:
    """Return for each voxel whether the first mask is nearer than the second."""
    nearest = ndimage.distance_transform_edt(
        ~(first | second), sampling=sampling, return_distances=False, return_indices=True
    )
    return np.asarray(first[tuple(nearest)])


def _depth_mm(mask: NDArray[np.bool_], spacing_mm: Spacing) -> NDArray[np.float64]:
    """Return the distance of each pixel of a mask from its edge; the image's border is not one."""
    pixel_mm = (spacing_mm[1] + spacing_mm[2]) / 2
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(depth, np.float64) * pixel_mm  # without an edge: the largest float32
