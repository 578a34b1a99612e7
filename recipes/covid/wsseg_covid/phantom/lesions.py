"""The extent of ground-glass and consolidation, as an annotator would outline them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsseg_covid.phantom.anatomy import Anatomy
from wsseg_covid.phantom.space import Field, Points, Space, smooth_noise

NOWHERE_MM = -99.0  # depth outside all lesions
CRAZY_PAVED = 0.6  # share of patients with crazy paving
SOLID = 0.55  # share of foci with consolidation, in patients that have any


@dataclass(frozen=True)
class Disease:
    """The pneumonia of a patient."""

    consolidation: bool
    foci: int
    largest_mm: float
    rind_mm: float  # mean thickness of the ground-glass along the pleura; often negative: none
    crazy_paving_hu: float  # of the septa between lobules
    density: float  # of the ground-glass, in standard deviations
    atelectasis_hu: float  # of the dependent lung, which is not annotated


@dataclass(frozen=True)
class Lesions:
    """Depths below the outline in mm on the coarse grid; negative outside."""

    ground_glass: Field  # including the consolidation
    consolidation: Field


def disease(rng: np.random.Generator, *, consolidation: bool) -> Disease:
    """Draw the pneumonia of a patient; its extent does not depend on `consolidation`."""
    return Disease(
        consolidation=consolidation,
        foci=int(rng.integers(20, 36)),
        largest_mm=rng.uniform(34, 54),
        rind_mm=rng.uniform(-8, -1),
        crazy_paving_hu=rng.uniform(0, 170) * (rng.random() < CRAZY_PAVED),
        density=rng.uniform(-0.3, 0.3),
        atelectasis_hu=rng.uniform(0, 140),
    )


def spread(rng: np.random.Generator, space: Space, organs: Anatomy, ill: Disease) -> Lesions:
    """Distribute foci over the lungs: mostly near the pleura, posterior and in the lower lobes."""
    centres = _centres(rng, space, organs, ill.foci)
    radii = ill.largest_mm * np.linspace(1, 0.3, ill.foci) ** 2 * rng.uniform(0.8, 1.2, ill.foci)
    rind = ill.rind_mm + 6 * smooth_noise(rng, space, 38) + 0.05 * space.y + organs.pleura
    ragged = 3.5 * smooth_noise(rng, space, 11)
    depth = np.minimum(np.maximum(_depth(space, centres, radii), rind) + ragged, -organs.lung)
    if not ill.consolidation:
        return Lesions(depth, np.full_like(depth, NOWHERE_MM))
    solid = rng.random(ill.foci) < SOLID
    solid[rng.integers(3)] = True
    cores = radii * rng.uniform(0.55, 1.0, ill.foci)
    towards_back = centres + 0.3 * (radii - cores)[:, None] * np.array([0, 1, 0])
    patches = 0.8 * rind - 6 + 6 * smooth_noise(rng, space, 30)
    core = np.maximum(_depth(space, towards_back[solid], cores[solid]), patches)
    core += 0.7 * ragged + 1.5 * smooth_noise(rng, space, 8)
    return Lesions(depth, np.minimum(core, depth - 0.5))


def _centres(rng: np.random.Generator, space: Space, organs: Anatomy, count: int) -> Points:
    """Draw voxels of the lungs with the probability of pneumonia there."""
    places = np.argwhere(organs.lung < -1)
    z, y, x = (
        axis[place]
        for axis, place in zip((space.z_mm, space.y_mm, space.x_mm), places.T, strict=True)
    )
    depth = -organs.pleura[tuple(places.T)]
    often = np.exp(-depth / 12 + y / 55 - z / 80)
    chosen = rng.choice(len(places), count, p=often / often.sum())
    return np.stack([x, y, z], axis=1)[chosen]


def _depth(space: Space, centres: Points, radii: NDArray[np.float64]) -> Field:
    """Return the depth of each voxel in the ball that contains it most deeply, in mm."""
    depth = np.full(space.shape, NOWHERE_MM, np.float32)
    for centre, radius in zip(centres, radii, strict=True):
        z, y, x = (
            slice(*np.searchsorted(axis, [middle - radius - 12, middle + radius + 12]))
            for axis, middle in zip((space.z_mm, space.y_mm, space.x_mm), centre[::-1], strict=True)
        )
        dz, dy, dx = (
            along - np.float32(middle)
            for along, middle in zip(
                (space.z[z], space.y[:, y], space.x[:, :, x]), centre[::-1], strict=True
            )
        )
        ball = np.float32(radius) - np.sqrt(dx * dx + dy * dy + 1.5 * dz * dz)  # flattened along z
        depth[z, y, x] = np.maximum(depth[z, y, x], ball)
    return depth
