"""A scan of a phantom patient with its masks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsseg_covid.phantom import lesions, tissue
from wsseg_covid.phantom.anatomy import anatomy
from wsseg_covid.phantom.scanner import Scanner, scan
from wsseg_covid.phantom.shapes import inside, paint
from wsseg_covid.phantom.space import Space

FIELD_OF_VIEW_MM, LUNG_HEIGHT_MM = 378.0, 200.0


@dataclass(frozen=True)
class Protocol:
    """The protocol of a scan."""

    scanner: Scanner
    size: int  # width and height in pixels
    slices: int
    slice_mm: float


@dataclass(frozen=True)
class Phantom:
    """A scan with its masks, all (Z, H, W) as in `wsseg.Volume`."""

    image: NDArray[np.int16]  # HU
    lung: NDArray[np.bool_]  # with lesions, without main bronchi
    infection: NDArray[np.bool_]  # ground-glass and consolidation
    consolidation: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]


def phantom(rng: np.random.Generator, protocol: Protocol, *, consolidation: bool) -> Phantom:
    """Draw a patient with pneumonia and scan the part of the chest that the slices cover."""
    patient_scale = rng.uniform(0.92, 1.04)
    pixel_mm = FIELD_OF_VIEW_MM * rng.uniform(0.96, 1.03) / protocol.size
    lowest_mm = _lowest_slice(rng, protocol.slices * protocol.slice_mm / patient_scale)
    heights = lowest_mm + np.arange(protocol.slices) * protocol.slice_mm / patient_scale
    space = Space.centred(protocol.size, pixel_mm / patient_scale, heights.astype(np.float32))

    organs = anatomy(rng, space.coarse)
    ill = lesions.disease(rng, consolidation=consolidation)
    outlines = lesions.spread(rng, space.coarse, organs, ill)
    hu = tissue.body(rng, space, organs)
    edge_mm = 1.2 * space.spacing_mm[1]
    lung_tissue = tissue.lung(rng, space, organs, ill, outlines)
    paint(hu, inside(space.refine(organs.lung), edge_mm), lung_tissue)
    paint(hu, inside(space.refine(organs.gas), edge_mm), tissue.GAS_HU)

    lung = space.refine(organs.annotated_lung) < 0
    infection = lung & (space.refine(outlines.ground_glass) > 0)
    return Phantom(
        image=scan(rng, space, hu, protocol.scanner),
        lung=lung,
        infection=infection,
        consolidation=infection & (space.refine(outlines.consolidation) > 0),
        spacing_mm=(protocol.slice_mm, pixel_mm, pixel_mm),
    )


def _lowest_slice(rng: np.random.Generator, range_mm: float) -> float:
    """Draw the height of the first slice: below the lungs, or inside them for short scans."""
    return float(-22 + rng.uniform(0.2, 0.5) * max(0.0, LUNG_HEIGHT_MM - range_mm))
