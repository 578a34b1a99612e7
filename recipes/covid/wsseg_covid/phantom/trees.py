"""Vessels and airways of the lungs: trees that branch from the hila to the pleura."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsseg_covid.phantom.mediastinum import HILA
from wsseg_covid.phantom.shapes import Point
from wsseg_covid.phantom.space import Field, Points, Space

TRUNKS, GENERATIONS, THINNEST_MM = 11, 10, 0.3
THINNEST_BRONCHUS_MM = 0.45
HILAR_GENERATIONS = 2  # which may lie in the mediastinum
VEIN_MOUTHS: tuple[Point, ...] = ((-33, 0, 79), (37, 4, 77))  # nearer to the heart than the hila


@dataclass(frozen=True)
class Pipes:
    """Straight segments of a tree."""

    start: Points
    end: Points
    radius_mm: NDArray[np.float32]  # (N,)


@dataclass(frozen=True)
class LungTrees:
    """Vessels and airways of both lungs."""

    vessels: Pipes
    airways: Pipes  # lumen

    @property
    def airway_walls(self) -> Pipes:
        """The airways including walls of a tenth of the radius plus 0.15 mm."""
        return Pipes(self.airways.start, self.airways.end, self.airways.radius_mm * 1.1 + 0.15)


def lung_trees(rng: np.random.Generator, space: Space, lung: Field) -> LungTrees:
    """Draw arteries and veins on both sides, and a bronchus along each larger artery."""
    arteries = [_grow(rng, space, lung, hilum, 3.3) for hilum in HILA.values()]
    veins = [_grow(rng, space, lung, mouth, 3.0) for mouth in VEIN_MOUTHS]
    return LungTrees(joined(*arteries, *veins), _bronchi(joined(*arteries)))


def _bronchi(arteries: Pipes) -> Pipes:
    """Return bronchi along the larger arteries, with three quarters of their radius."""
    larger = arteries.radius_mm > THINNEST_BRONCHUS_MM
    radius = arteries.radius_mm[larger]
    offset = radius[:, None] * np.array([0, -1.7, 1.1], np.float32)
    return Pipes(arteries.start[larger] + offset, arteries.end[larger] + offset, 0.75 * radius)


def _grow(
    rng: np.random.Generator, space: Space, lung: Field, hilum: Point, radius_mm: float
) -> Pipes:
    """Draw a tree whose branches fork until they are thin or leave the lung."""
    tip = np.tile(np.array(hilum, np.float32), (TRUNKS, 1))
    way = _ways_into_lung(rng, np.sign(hilum[0]))
    radius = (radius_mm * rng.uniform(0.65, 1.1, TRUNKS)).astype(np.float32)
    pieces = []
    for generation in range(GENERATIONS):
        length = 24 * 0.86**generation * rng.uniform(0.6, 1.3, (len(tip), 1))
        end = (tip + way * length).astype(np.float32)
        kept = (space.at(lung, end) < 0) | (generation < HILAR_GENERATIONS)
        kept &= radius > THINNEST_MM
        tip, end, way, radius = tip[kept], end[kept], way[kept], radius[kept]
        pieces.append(Pipes(tip, end, radius))
        tip, way, radius = _fork(rng, end, way, radius)
    return joined(*pieces)


def joined(*parts: Pipes) -> Pipes:
    """Concatenate several sets of pipes."""
    return Pipes(
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.end for part in parts]),
        np.concatenate([part.radius_mm for part in parts]),
    )


def _ways_into_lung(rng: np.random.Generator, side: float) -> Points:
    """Return directions of the trunks, spread evenly over height and depth."""
    height = np.linspace(-0.95, 0.95, TRUNKS) + rng.uniform(-0.1, 0.1, TRUNKS)
    turn = rng.permutation(np.linspace(-1.5, 1.3, TRUNKS)) + rng.uniform(-0.15, 0.15, TRUNKS)
    across = np.sqrt(np.clip(1 - height**2, 0.05, 1))
    way = np.stack([side * across * np.cos(turn), across * np.sin(turn), height], axis=1)
    return way.astype(np.float32)


def _fork(
    rng: np.random.Generator, tip: Points, way: Points, radius: NDArray[np.float32]
) -> tuple[Points, Points, NDArray[np.float32]]:
    """Fork each tip into two branches on opposite sides, the thinner one at a larger angle.

    The radii follow Murray's law, r³ = r₁³ + r₂³.
    """
    sideways = np.cross(way, rng.standard_normal(way.shape))
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True) + 1e-6
    share = rng.uniform(0.2, 0.5, (len(tip), 1))
    thin, thick = way + 1.05 * (1 - share) * sideways, way - 1.05 * share * sideways
    ways = np.concatenate([thin, thick])
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    parts = np.concatenate([share, 1 - share])[:, 0]
    radii = np.tile(radius, 2) * np.cbrt(parts)
    return np.tile(tip, (2, 1)), ways.astype(np.float32), radii.astype(np.float32)
