"""Shapes as signed distances in mm, negative inside."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from wsseg_covid.phantom.space import Field, Space

Point: TypeAlias = tuple[float, float, float]  # (x, y, z) in mm
FAR_MM = 1e3
TINY = 1e-3


def ellipsoid(space: Space, centre: Point, radii_mm: Point, turn_deg: float = 0) -> Field:
    """Return the distance to an ellipsoid that is rotated in the axial plane."""
    u, v = _turned(space.x - centre[0], space.y - centre[1], turn_deg)
    return _distance((u, v, space.z - centre[2]), radii_mm)


def column(
    space: Space,
    centre: tuple[Field | float, Field | float],
    radii_mm: tuple[Field | float, Field | float],
    turn_deg: float = 0,
) -> Field:
    """Return the distance to an elliptic column; centre and radii may depend on z, (Z, 1, 1)."""
    return _distance(_turned(space.x - centre[0], space.y - centre[1], turn_deg), radii_mm)


def _turned(x: Field, y: Field, turn_deg: float) -> tuple[Field, Field]:
    cos, sin = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    return cos * x + sin * y, cos * y - sin * x


def _distance(from_centre: Sequence[Field], radii_mm: Sequence[Field | float]) -> Field:
    """Return |p/r| (|p/r| − 1) / |p/r²|, which is exact on the surface and for spheres."""
    scaled = [part / radius for part, radius in zip(from_centre, radii_mm, strict=True)]
    steep = [part / radius for part, radius in zip(scaled, radii_mm, strict=True)]
    norm, gradient = _norm(scaled), _norm(steep)
    return (
        (norm - 1) * (norm + TINY) / (gradient + TINY / radii_mm[0])
    )  # avoids 0 / 0 at the centre


def _norm(parts: Sequence[Field]) -> Field:
    norm: Field = np.sqrt(sum((part * part for part in parts[1:]), parts[0] * parts[0]))
    return norm


def tube(space: Space, points: Sequence[Point], radii_mm: Sequence[float]) -> Field:
    """Return the distance to a tube along `points`, whose radius is interpolated linearly."""
    distance = np.full(space.shape, FAR_MM, np.float32)
    for start, end, first, last in zip(
        points[:-1], points[1:], radii_mm[:-1], radii_mm[1:], strict=True
    ):
        reach = 12 + max(first, last)
        near = (space.z_mm > min(start[2], end[2]) - reach) & (
            space.z_mm < max(start[2], end[2]) + reach
        )
        if near.any():
            slab = Space(space.z_mm[near], space.y_mm, space.x_mm)
            distance[near] = np.minimum(distance[near], _pipe(slab, start, end, first, last))
    return distance


def _pipe(space: Space, start: Point, end: Point, first_mm: float, last_mm: float) -> Field:
    ax, ay, az = np.subtract(end, start).astype(np.float32)
    px, py, pz = space.x - start[0], space.y - start[1], space.z - start[2]
    along = np.clip((px * ax + py * ay + pz * az) / (ax * ax + ay * ay + az * az), 0, 1)
    dx, dy, dz = px - along * ax, py - along * ay, pz - along * az
    pipe: Field = np.sqrt(dx * dx + dy * dy + dz * dz) - (first_mm + (last_mm - first_mm) * along)
    return pipe


def union(*distances: Field) -> Field:
    """Return the distance to the nearest of several shapes."""
    nearest = distances[0]
    for distance in distances[1:]:
        nearest = np.minimum(nearest, distance)
    return nearest


def blended(first: Field, second: Field, radius_mm: float) -> Field:
    """Return the polynomial smooth minimum: a union whose crease is filled over `radius_mm`."""
    share = np.clip(1 - np.abs(first - second) / radius_mm, 0, None)
    filled: Field = np.minimum(first, second) - share * share * np.float32(radius_mm / 4)
    return filled


def without(distance: Field, hole: Field) -> Field:
    """Return the distance to a shape minus another."""
    cut: Field = np.maximum(distance, -hole)
    return cut


def inside(distance: Field, edge_mm: float) -> Field:
    """Return the share of each voxel inside a shape, in [0, 1], for an edge of width `edge_mm`."""
    share = np.float32(0.5) - distance * np.float32(1 / edge_mm)
    return np.clip(share, 0, 1, out=share)


def paint(hu: Field, share: Field, value_hu: Field | float) -> None:
    """Mix `share` of another tissue into each voxel of `hu`, in place."""
    hu += share * (value_hu - hu)
