"""The densities of body, lungs and lesions in HU."""

import numpy as np
from numpy.typing import NDArray

from wsseg_covid.phantom.anatomy import Anatomy
from wsseg_covid.phantom.lesions import Disease, Lesions
from wsseg_covid.phantom.shapes import inside, paint
from wsseg_covid.phantom.space import Field, Space, smooth_noise
from wsseg_covid.phantom.strewn import filled_share
from wsseg_covid.phantom.trees import joined, lung_trees

AIR_HU, FAT_HU, SKIN_HU, SOFT_HU, MARROW_HU, CORTEX_HU = -1000, -98, 5, 48, 170, 480
LUNG_HU, GAS_HU, BLOOD_HU = -868, -990, 40
TABLE_MM = 380
ONE, BRONCHI_WIDENED = np.float32(1), np.float32(3)  # area without and with consolidation

# Densities of lesions at these normal deviates (5, 25, 50, 75 and 95 %), chosen such that the
# annotated regions, including vessels, soft borders and noise, have the HU quantiles of MedSeg's
# annotations.
DEVIATES = np.array([-1.645, -0.674, 0, 0.674, 1.645])
GROUND_GLASS_HU = np.array([-950, -775, -645, -520, -245])
CONSOLIDATION_HU = np.array([-860, -485, -270, -70, 45])


def body(rng: np.random.Generator, space: Space, organs: Anatomy) -> Field:
    """Return the densities of a patient on a table, with air instead of the lungs."""
    edge_mm = 1.2 * space.spacing_mm[1]
    hu = np.full(space.shape, AIR_HU, np.float32)
    _lay_table(space, hu)
    skin, bone = space.refine(organs.skin), space.refine(organs.bone)
    soft_hu = SOFT_HU + 7 * smooth_noise(rng, space.coarse, 9)
    marrow_hu = MARROW_HU + 45 * smooth_noise(rng, space.coarse, 7)
    paint(hu, inside(skin, edge_mm), SKIN_HU)
    paint(hu, inside(skin + 2.5, edge_mm), FAT_HU)
    paint(hu, inside(space.refine(organs.soft), edge_mm), space.refine(soft_hu))
    paint(hu, inside(bone, edge_mm), CORTEX_HU)
    paint(hu, inside(bone + 2.4, edge_mm), space.refine(marrow_hu))
    return hu


def _lay_table(space: Space, hu: Field) -> None:
    """Draw the upper and lower shell of the table: the padding and the board."""
    for top_mm, sag_mm, value_hu in ((126, 2, -350), (148, 4, -500)):
        curve = top_mm - sag_mm * np.square(space.x / 60)
        shell = np.maximum(np.abs(space.y - curve) - 1.2, np.abs(space.x) - TABLE_MM / 2)
        paint(hu, inside(shell, 1.5), value_hu)


def lung(
    rng: np.random.Generator, space: Space, organs: Anatomy, ill: Disease, lesions: Lesions
) -> Field:
    """Return the densities of the lungs: parenchyma, lesions, vessels and airways."""
    grain = smooth_noise(rng, space, 3.2)
    tissue = _parenchyma(rng, space, organs, ill) + 16 * grain
    depth, core = space.refine(lesions.ground_glass), space.refine(lesions.consolidation)
    broad, lobular = smooth_noise(rng, space.coarse, 24), smooth_noise(rng, space.coarse, 8)
    texture = space.refine(0.6 * (broad + lobular)) + 0.5 * grain
    veil_hu = _looked_up(texture + ill.density, GROUND_GLASS_HU) + _crazy_paving(rng, space, ill)
    paint(tissue, inside(-depth - 1 - 1.5 * grain, 5), veil_hu)
    if ill.consolidation:
        thick = np.clip((core - 4) / 5, -1.5, 1.5)  # fully airless only deep inside
        solid_hu = _looked_up(0.8 * texture + thick, CONSOLIDATION_HU)
        paint(tissue, inside(-core - 1 - 1.2 * grain, 3), solid_hu)
    trees = lung_trees(rng, space.coarse, organs.lung)
    paint(tissue, filled_share(rng, space, joined(trees.vessels, trees.airway_walls)), BLOOD_HU)
    air = filled_share(rng, space, trees.airways) * np.where(core > 0, BRONCHI_WIDENED, ONE)
    paint(tissue, np.minimum(air, 1), GAS_HU)  # air bronchograms in consolidation
    return tissue


def _parenchyma(rng: np.random.Generator, space: Space, organs: Anatomy, ill: Disease) -> Field:
    """Return the densities of aerated lung, higher at the back (gravity) and at fissures."""
    coarse = space.coarse
    gravity = 0.45 * coarse.y
    behind = np.clip(coarse.y / 60, 0, 1) * np.exp(np.clip(organs.pleura, -60, 0) / 5)
    uneven = 12 * smooth_noise(rng, coarse, 14)
    tissue = space.refine(LUNG_HU + gravity + ill.atelectasis_hu * behind + uneven)
    lines: Field = np.clip(1 - space.refine(organs.fissures) / 1.6, 0, 1)
    return tissue + 120 * lines


def _crazy_paving(rng: np.random.Generator, space: Space, ill: Disease) -> Field | float:
    """Return the density of thickened septa: lines where a smooth field is near 0."""
    if not ill.crazy_paving_hu:
        return 0.0
    septa: Field = np.exp(-np.square(smooth_noise(rng, space, 6) / 0.22))
    return ill.crazy_paving_hu * septa


def _looked_up(deviate: Field, hu: NDArray[np.int64]) -> Field:
    """Return the density at each normal deviate by linear interpolation."""
    return np.interp(deviate, DEVIATES, hu).astype(np.float32)
