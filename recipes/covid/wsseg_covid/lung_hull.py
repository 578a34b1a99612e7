"""What a lung would fill if it were all air: holes, and bays of its outline at the chest wall."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsseg_covid.planes import Mask, Planes, Spacing, closed, numbered

EROSIONS_MM = (0, 2, 4, 6, 8, 10, 12)
COMPARABLE = 0.15  # of the larger lung's volume: more than lobes or scraps that come off
COARSER = 2  # pixels of the slices in which lungs are told apart


def parted(air: Mask, spacing_mm: Spacing) -> list[Mask]:
    """Part both lungs where they touch, in front of the heart or behind it.

    They are eroded until the two largest pieces are comparable; then every voxel belongs to the
    nearer of both. One mask if that never happens.
    """
    small = air[:, ::COARSER, ::COARSER]
    sampling = (spacing_mm[0], COARSER * spacing_mm[1], COARSER * spacing_mm[2])
    depth_mm = ndimage.distance_transform_edt(small, sampling=sampling)
    for least_mm in EROSIONS_MM:
        labels, _ = numbered(depth_mm > least_mm)
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


def bridged(lung: Mask, lungs: Mask, planes: Planes, radius_mm: float, rim_mm: float) -> Mask:
    """Join the parts of a lung that consolidation parts along the chest wall.

    The outline is closed with a disc, but only in the rim of the convex hull of both `lungs`.
    """
    chest = np.stack([convex_hull(plane) for plane in lungs])
    depth_mm = np.stack([_depth_mm(plane, planes) for plane in chest])
    rim = chest & (depth_mm <= rim_mm) & ~(lungs & ~lung)
    return lung | (closed(lung, radius_mm, planes.spacing_mm) & rim)


def with_consolidation(
    lung: Mask,
    outline: Mask,
    other: Mask,
    body: Mask,
    planes: Planes,
    hole_mm: float,
    wall_mm: float,
) -> Mask:
    """Add to a lung, slice by slice, its holes and the bays that open towards the chest wall.

    `outline` is the part of the lung whose convex hull is meant, `other` the other lung.
    """
    result = lung.copy()
    for z in np.flatnonzero(outline.any(axis=(1, 2))):
        hull = convex_hull(outline[z])
        chest = convex_hull(outline[z] | other[z]) if other[z].any() else None
        labels, count = numbered(hull & ~lung[z] & ~other[z])
        if count:
            edge = np.where(ndimage.binary_dilation(~hull), labels, 0)
            bays = _bays(labels, edge, count, chest, body[z], planes, wall_mm)
            holes = _holes(labels, edge, count, planes, hole_mm)
            result[z] |= (bays | holes)[labels]
    return result


def closed_along_z(mask: Mask, gap_slices: int) -> Mask:
    """Fill what has mask above and below it, both at most `gap_slices` away."""
    if gap_slices == 0:
        return mask
    size = (2 * gap_slices + 1, 1, 1)
    padded = np.pad(mask, ((gap_slices, gap_slices), (0, 0), (0, 0)))
    closed = ndimage.minimum_filter(ndimage.maximum_filter(padded, size), size)
    return np.asarray(mask | closed[gap_slices:-gap_slices])


def closed_along_wall(lungs: Mask, body: Mask, planes: Planes, gap_slices: int) -> Mask:
    """Fill what has lung above and below it and opens towards the chest wall, if at all."""
    gaps = closed_along_z(lungs, gap_slices) & ~lungs
    result = lungs.copy()
    for z in np.flatnonzero(gaps.any(axis=(1, 2))):
        labels, count = numbered(gaps[z])
        edge = np.where(ndimage.binary_dilation(~(lungs[z] | gaps[z])), labels, 0)
        bays = _bays(labels, edge, count, None, body[z], planes, wall_mm=0)
        result[z] |= (bays | _closed_off(edge, count))[labels]
    return result


def convex_hull(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the convex hull of a slice's mask."""
    hull = np.zeros(mask.shape, np.uint8)
    points = cv2.findNonZero(mask.astype(np.uint8))
    if points is not None:
        cv2.fillConvexPoly(hull, cv2.convexHull(points), (1,))
    return hull.astype(np.bool_)


def _bays(
    labels: NDArray[np.int32],
    edge: NDArray[np.int32],
    count: int,
    chest: NDArray[np.bool_] | None,
    body: NDArray[np.bool_],
    planes: Planes,
    wall_mm: float,
) -> NDArray[np.bool_]:
    """Say of each piece whether it opens towards the chest wall.

    A bay's mouth is its part of the hull's edge. Towards the chest wall it is farther from the
    body's centre than the bay is, and near the convex hull of both lungs; towards heart and liver
    one of these fails.
    """
    opens = np.unique(edge[edge > 0])
    row, column = ndimage.center_of_mass(body)
    y, x = np.ogrid[: body.shape[0], : body.shape[1]]
    far_mm = np.hypot((y - row) * planes.spacing_mm[1], (x - column) * planes.spacing_mm[2])
    mouth_mm = np.asarray(ndimage.mean(far_mm, edge, opens))
    outwards = mouth_mm > np.asarray(ndimage.mean(far_mm, labels, opens))
    if chest is not None:
        outwards &= np.asarray(ndimage.mean(_depth_mm(chest, planes), edge, opens)) <= wall_mm
    accepted = np.zeros(count + 1, np.bool_)
    accepted[opens[outwards]] = True
    return accepted


def _holes(
    labels: NDArray[np.int32], edge: NDArray[np.int32], count: int, planes: Planes, hole_mm: float
) -> NDArray[np.bool_]:
    """Say of each piece whether it is a hole, and not so large that it is the liver's dome."""
    radius_mm, pieces = np.zeros(count + 1), labels > 0
    np.maximum.at(radius_mm, labels[pieces], _depth_mm(pieces, planes)[pieces])
    return np.asarray((radius_mm <= hole_mm) & _closed_off(edge, count))


def _closed_off(edge: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """Say of each piece whether it has nothing at the edge."""
    closed_off = np.ones(count + 1, np.bool_)
    closed_off[edge] = False
    closed_off[0] = False
    return closed_off


def _nearer(first: Mask, second: Mask, sampling: Spacing) -> Mask:
    to_first = ndimage.distance_transform_edt(~first, sampling=sampling)
    to_second = ndimage.distance_transform_edt(~second, sampling=sampling)
    return np.asarray(to_first < to_second)


def _depth_mm(mask: NDArray[np.bool_], planes: Planes) -> NDArray[np.float64]:
    """Return how far from the mask's edge its pixels are; the slice's border is no edge."""
    pixel_mm = (planes.spacing_mm[1] + planes.spacing_mm[2]) / 2
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(depth, np.float64) * pixel_mm  # without any edge it is float32's largest
