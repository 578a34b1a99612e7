"""The mediastinum: heart, great vessels, oesophagus, trachea and main bronchi."""

from dataclasses import dataclass

import numpy as np

from wsseg_covid.phantom.shapes import Point, blended, column, ellipsoid, tube, union
from wsseg_covid.phantom.space import Field, Space, smooth_noise

CARINA: Point = (-1, 14, 106)
HILA: dict[int, Point] = {-1: (-42, 16, 90), 1: (46, 20, 88)}  # by side; roots of the vessel trees


@dataclass(frozen=True)
class Mediastinum:
    """Signed distances in mm on the coarse grid."""

    outline: Field  # border of the lungs
    organs: Field  # heart, vessels, oesophagus and airway walls
    airways: Field  # lumen of trachea and main bronchi


def mediastinum(rng: np.random.Generator, space: Space) -> Mediastinum:
    """Draw the organs; size and position of the heart vary between patients."""
    pericardium = _heart(space, centre=(rng.uniform(28, 36), -26, 58), size=rng.uniform(0.9, 1.08))
    aorta, others = _aorta(space), _other_vessels(space)
    airways = _airways(space)
    outline = blended(pericardium, _upper_part(space), 22)
    for organ in (aorta - 2, others - 3, airways - 3, _spine_bulge(space)):
        outline = blended(outline, organ, 12)
    outline += 2.2 * smooth_noise(rng, space, 26)
    oesophagus = tube(space, [(7, 38, -40), (8, 38, 90), (4, 38, 220)], [8, 7, 7])
    organs = union(
        pericardium + 3 + 1.5 * smooth_noise(rng, space, 18), aorta, others, oesophagus, airways - 2
    )
    return Mediastinum(outline, organs, airways)


def _heart(space: Space, centre: Point, size: float) -> Field:
    ventricles = ellipsoid(space, centre, (66 * size, 50 * size, 47 * size), turn_deg=-32)
    atria = ellipsoid(space, (-4, 2, 76), (40 * size, 32 * size, 30))
    return blended(ventricles, atria, 15)


def _upper_part(space: Space) -> Field:
    middle = column(space, (3, 4), (28, 58))
    front = column(space, (0, -50), (5, 60))
    return blended(middle, front, 14)


def _spine_bulge(space: Space) -> Field:
    return column(space, (0, 64), (23, 24))


def _aorta(space: Space) -> Field:
    path: list[Point] = [
        (-10, -26, 84), (-14, -30, 118), (-8, -24, 140), (6, -4, 151),
        (20, 24, 148), (25, 44, 132), (25, 48, 80), (18, 48, -40),
    ]  # fmt: skip
    return tube(space, path, [15, 15, 14, 13.5, 13, 12.5, 12, 11])


def _other_vessels(space: Space) -> Field:
    trunk = tube(space, [(14, -40, 84), (22, -32, 106), (32, -4, 110)], [14, 13.5, 11])
    to_right = tube(space, [(18, -24, 106), (-10, -8, 102), (-40, 4, 96)], [12, 11, 8.5])
    to_left = tube(space, [(32, -4, 110), (44, 16, 100)], [11, 9])
    cava = tube(space, [(-26, -8, 62), (-28, -22, 110), (-28, -22, 166)], [11, 9.5, 9])
    veins = tube(space, [(-28, -22, 166), (-38, -16, 215)], [8.5, 8])
    crossing = tube(space, [(-26, -24, 164), (6, -36, 168), (40, -26, 190)], [8, 7, 7])
    neck = [
        tube(space, [(-8, -20, 144), (-18, -10, 175), (-26, -8, 215)], [7, 6.5, 6]),
        tube(space, [(4, -8, 150), (12, -6, 215)], [5, 4.5]),
        tube(space, [(14, 10, 148), (24, 12, 185), (40, 6, 215)], [6, 5.5, 5]),
    ]
    return union(trunk, to_right, to_left, cava, veins, crossing, *neck)


def _airways(space: Space) -> Field:
    trachea = tube(space, [(2, 2, 240), (0, 8, 160), CARINA], [8.5, 8.5, 9])
    right = tube(space, [CARINA, HILA[-1]], [7.5, 5.5])
    left = tube(space, [CARINA, HILA[1]], [7, 5])
    return np.minimum(trachea, np.minimum(right, left))
