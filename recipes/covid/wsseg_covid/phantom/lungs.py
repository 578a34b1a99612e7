"""The chest cavity, and the lungs between diaphragm and mediastinum."""

from dataclasses import dataclass

import numpy as np

from wsseg_covid.phantom.shapes import blended, column, union
from wsseg_covid.phantom.space import Field, Space, smooth_noise

APEX_MM = 188.0
RIGHT, LEFT = -1, 1  # the sign of x


@dataclass(frozen=True)
class Cavity:
    """The chest cavity as signed distances in mm on the coarse grid."""

    right: Field  # distance to the surface of each half
    left: Field
    diaphragm: Field  # negative above it

    @property
    def pleura(self) -> Field:
        """Distance to the chest wall; negative inside the cavity."""
        return union(self.right, self.left)


def chest_cavity(rng: np.random.Generator, space: Space) -> Cavity:
    """Draw both halves of the chest and the domes of the diaphragm."""
    uneven = 2.5 * smooth_noise(rng, space, 55)
    right, left = half_chest(space, RIGHT) + uneven, half_chest(space, LEFT) + uneven
    dome = np.maximum(
        _dome(space, right, peak_mm=rng.uniform(50, 60)),
        _dome(space, left, peak_mm=rng.uniform(46, 56)),
    )
    return Cavity(right, left, 0.8 * (dome - space.z + 2 * smooth_noise(rng, space, 40)))


def half_chest(space: Space, side: int) -> Field:
    """Return the distance to one half of the cavity: an oval column that tapers to the apex."""
    towards_apex = np.clip((space.z - 75) / (APEX_MM - 75), 0, 1)
    taper = np.clip(1 - towards_apex**2.3, 1e-3, 1) ** 0.55
    middle = (side * (44 + 20 * taper), 2 + 16 * (1 - taper))
    return column(space, middle, (66 * taper, 87 * taper), turn_deg=-11 * side)


def _dome(space: Space, half: Field, peak_mm: float) -> Field:
    """Return the height of the diaphragm, which falls towards the chest wall and the back."""
    outwards = np.clip(1 + half / 66, 0, 1.3)
    return (peak_mm - 0.22 * space.y) - 58 * outwards * outwards * np.sqrt(outwards)


def lungs(cavity: Cavity, mediastinum: Field) -> Field:
    """Return the distance to the surface of the lungs."""
    hollow = np.maximum(cavity.pleura, cavity.diaphragm)
    return -blended(-hollow, mediastinum, 8)


def fissures(rng: np.random.Generator, space: Space) -> Field:
    """Return the distance to the fissures: oblique in both lungs, horizontal in the right one."""
    bend = 4 * smooth_noise(rng, space, 45)
    slope = rng.uniform(0.9, 1.2)
    oblique = 0.7 * (space.y + slope * (space.z - 85) + bend)
    horizontal = np.where((space.x < 0) & (oblique < 0), space.z - 88 + bend, np.float32(1e3))
    nearest: Field = np.minimum(np.abs(oblique), np.abs(horizontal))
    return nearest
