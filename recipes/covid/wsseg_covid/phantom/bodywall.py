"""The wall of the chest: skin, muscles, ribs, spine, sternum and shoulder blades."""

import numpy as np

from wsseg_covid.phantom.lungs import LEFT, RIGHT, Cavity
from wsseg_covid.phantom.shapes import blended, column, ellipsoid, union, without
from wsseg_covid.phantom.space import Field, Space, smooth_noise

RIB_PITCH_MM, VERTEBRA_PITCH_MM = 27.0, 24.0
INTERCOSTAL_MM = 9.0  # thickness of the muscle between the ribs, which has no clefts


def rib_cage(space: Space, cavity: Cavity) -> Field:
    """Return the distance to the inner surface of the rib cage."""
    return blended(cavity.pleura, column(space, (0, 0), (70, 80)), 25)


def skin(rng: np.random.Generator, space: Space, cage: Field) -> Field:
    """Return the distance to the skin, which is wider at the shoulders and flat on the table."""
    shoulders = np.clip((space.z - 95) / 70, 0, 1)
    fat = rng.uniform(-5, 9)
    breadth, depth = 158 + fat + 22 * shoulders**1.5, 113 + 0.8 * fat - 6 * shoulders
    u, v = np.abs(space.x) / breadth, np.abs(space.y - 8) / depth
    trunk = (np.power(u**2.6 + v**2.6, 1 / 2.6) - 1) * 115
    surface: Field = np.maximum(blended(trunk, cage - (20 + fat), 25), 0.9 * (space.y - 122))
    return surface + 1.5 * smooth_noise(rng, space, 60)


def angle_from_back(space: Space) -> Field:
    """Return the angle around the chest, from 0 at the spine to 1 at the sternum."""
    angle: Field = np.arctan2(np.abs(space.x), space.y) / np.float32(np.pi)
    return angle


def muscles(rng: np.random.Generator, space: Space, cage: Field, around: Field) -> Field:
    """Return the distance to the muscles, which are separated by clefts of fat."""
    thickness = 12 + 9 * np.exp(-(((around - 0.42) / 0.13) ** 2)) + 3 * smooth_noise(rng, space, 35)
    sheet = np.maximum(cage - thickness, 1.5 - cage)
    parts = [sheet]
    for side in (RIGHT, LEFT):
        erector = ellipsoid(space, (side * 31, 102, 90), (25, 14, 260), turn_deg=7 * side)
        pectoral = ellipsoid(space, (side * 76, -88, 135), (58, 12, 62), turn_deg=17 * side)
        blade = ellipsoid(space, (side * 116, 68, 165), (52, 17, 82), turn_deg=-36 * side)
        parts += [erector, pectoral, blade]
    clefts = 1.5 - np.abs(smooth_noise(rng, space, 22)) * 9
    clefts = np.where(cage > INTERCOSTAL_MM, clefts, -INTERCOSTAL_MM)
    return np.maximum(union(*parts), clefts)


def bones(rng: np.random.Generator, space: Space, cage: Field, around: Field) -> Field:
    """Return the distance to the bones."""
    sternum = ellipsoid(space, (0, -92, 110), (19, 5.5, 75))
    return union(_ribs(rng, space, cage, around), _spine(rng, space), sternum, _blades(space))


def _ribs(rng: np.random.Generator, space: Space, cage: Field, around: Field) -> Field:
    """Return the distance to the ribs, rings that descend from the spine to the front."""
    height = space.z + 104 * around + rng.uniform(0, RIB_PITCH_MM)
    from_axis = np.mod(height, RIB_PITCH_MM) - RIB_PITCH_MM / 2
    section = np.hypot((cage - 6.5) / 3.8, from_axis / 5.6)
    gaps = 40 * np.clip(around - 0.84, 0, None) + 60 * np.clip(0.05 - around, 0, None)
    ribs: Field = (section - 1) * 3.8 + gaps  # none in front, where the ribs are cartilage
    return ribs


def _spine(rng: np.random.Generator, space: Space) -> Field:
    from_disc = np.mod(space.z + rng.uniform(0, VERTEBRA_PITCH_MM), VERTEBRA_PITCH_MM)
    between = np.abs(from_disc - VERTEBRA_PITCH_MM / 2)  # 0 at the middle of a vertebra
    vertebra = np.maximum(column(space, (0, 62), (17.5, 15)), between - 9.5)
    arch = without(column(space, (0, 82), (14, 13)), column(space, (0, 81), (9.5, 8.5)))
    spinous = column(space, (0, 104), (3.2, 14)) + 0.4 * np.clip(between - 4, 0, None)
    transverse = [
        column(space, (side * 24, 88), (17, 4.2), turn_deg=14 * side)
        + 0.8 * np.clip(between - 3, 0, None)
        for side in (RIGHT, LEFT)
    ]
    return union(vertebra, arch, spinous, *transverse)


def _blades(space: Space) -> Field:
    right, left = (
        ellipsoid(space, (side * 116, 68, 165), (44, 2.7, 72), turn_deg=-36 * side)
        for side in (RIGHT, LEFT)
    )
    return np.minimum(right, left)
