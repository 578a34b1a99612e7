"""The organs below the diaphragm that a chest CT shows."""

from dataclasses import dataclass

import numpy as np

from wsseg_covid.phantom.lungs import Cavity
from wsseg_covid.phantom.shapes import column, ellipsoid, union
from wsseg_covid.phantom.space import Field, Space


@dataclass(frozen=True)
class Abdomen:
    """Signed distances in mm on the coarse grid."""

    organs: Field
    gas: Field  # the air bubble in the stomach, above the fluid


def abdomen(rng: np.random.Generator, space: Space, cavity: Cavity, cage: Field) -> Abdomen:
    """Draw liver, spleen and stomach below the diaphragm."""
    under_heart = np.maximum(column(space, (0, -8), (60, 62)), space.z - 22)
    below = np.minimum(np.maximum(cage + 1, 3 - cavity.diaphragm), under_heart)
    liver = ellipsoid(space, (-60, -8, -10), (105, 110, 78))
    spleen = ellipsoid(space, (94, 44, 4), (34, 42, 44), turn_deg=-20)
    place = (rng.uniform(50, 64), rng.uniform(-34, -12), rng.uniform(-8, 4))
    stomach = ellipsoid(space, place, (42, rng.uniform(32, 44), 40)) + 2
    level_mm = rng.uniform(-52, -16)
    gas = np.maximum(np.maximum(below, stomach) + 4, space.y - level_mm)
    return Abdomen(np.maximum(below, union(liver, spleen, stomach)), gas)
