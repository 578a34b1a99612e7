"""Segmentation of the lungs on CT, including consolidation, by a threshold and morphology."""

from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from wsseg import Case, PairLimits, Region, RegionLimits, Volume
from wsseg.tools import in_voxels, run_in_threads
from wsseg_covid.lung_air import distance_to_walled_air_mm, outside_air
from wsseg_covid.lung_blank import replaced_voxels
from wsseg_covid.lung_hull import (
    Lung,
    bridge_gaps,
    closing_along_wall,
    closing_along_z,
    fill_consolidation,
    hull_rim,
    split_lungs,
)
from wsseg_covid.planes import (
    Centres,
    CoarseScan,
    Mask,
    Spacing,
    bounding_box,
    connected_components,
    dilation,
    downsample,
    erosion,
    opening,
    slice_centres,
    upsample_slice,
)

AIRWAY_WALL_MM = 4.0  # thickness, with blur
NEAR_AIRWAY_MM = 15.0  # largest distance of airway branches and remnants of bowel gas
BRANCH_MM = 2.5  # opening radius that removes branches
MAX_SHARE_NEAR_AIRWAY = 0.5  # of a component of lung
TISSUE_HU = 40
LUNGS = RegionLimits(
    volume_litres=(0.8, 10),
    full_length_mm=200,
    max_area_cm2=550,
    median=(-980, -300),
    pair=PairLimits(one_sided=(0.15, 35), front=(0.06, 17), back_rise_mm=40, end_area=0.85),
    remedy="Lung without air and lung with the density of gas need the region lungmask (plugin "
    "wsseg-lungmask) or your own masks, {use: file, mask: lung}; a blanked scan needs its original",
)
"""For adults: wide enough for any lung, too narrow for a mask with the air around the body."""


@final
class LungThreshold(Region):
    """Both lungs with their consolidation, from a threshold and morphology.

    Steps 1 to 4 use a downsampled scan. If everything but the lungs was replaced by one value below
    `pure_air_hu`, as other programs do, this value is read as tissue.

    1. Air that is connected to the border of a slice without crossing the body is outside, if its
       density is that of pure air; the lungs of a cropped scan are denser.
    2. Pure air that is surrounded by tissue is in trachea, bronchi, stomach or bowel, unless it has
       0.3 litres or more and is denser than gas, as in lungs with severe emphysema.
    3. The aerated lungs are the sufficiently large components below `threshold_hu` of the rest.
    4. Consolidation is added in each slice: gaps in the lung along the chest wall, holes, and the
       bays of its outline that open towards the chest wall rather than towards heart and liver.
    5. In the original voxels, the aerated border is found again with `threshold_hu`.

    The mask is empty if there is no lung. A lobe without air is not found, and a consolidation that
    extends from the chest wall to the heart is found only in part. A warning names such losses,
    except that of both upper lobes without air.
    """

    version: ClassVar = 2
    plausible: ClassVar = LUNGS

    threshold_hu: float = -320
    """Upper limit of aerated lung and ground-glass, in HU."""
    pure_air_hu: float = -935
    """Upper limit of pure air, in HU; healthy lung has about -860 HU on average."""
    working_mm: PositiveFloat = 2
    """Pixel size of the downsampled scan."""
    smallest_cm2: PositiveFloat = 4
    """Least area of a component of lung in its largest slice."""
    largest_hole_mm: PositiveFloat = 25
    """Largest radius of a hole that is filled; the dome of the liver is larger."""
    wall_mm: PositiveFloat = 12
    """Largest distance from the convex hull of both lungs at which a filled bay opens."""
    bridge_mm: PositiveFloat = 15
    """Half of the widest gap along the chest wall that is closed."""
    rim_mm: PositiveFloat = 20
    """Depth in the convex hull of both lungs to which such gaps are closed."""
    gap_mm: PositiveFloat = 12
    """Half of the largest distance along z between lung above and below that is filled."""
    wall_gap_mm: PositiveFloat = 20
    """The same for gaps that are enclosed in their slice or open towards the chest wall."""

    def __call__(self, case: Case, volume: Volume) -> Mask:  # noqa: ARG002
        """Return the mask of both lungs, (Z, H, W)."""
        voxels = volume.channel()
        scan = downsample(voxels, volume.spacing_mm, self.working_mm)
        replaced = replaced_voxels(voxels, scan, self.threshold_hu, self.pure_air_hu)
        if replaced is None:
            return self._lungs(voxels, scan)
        voxels = np.where(replaced, TISSUE_HU, voxels)
        coarse = downsample(voxels, volume.spacing_mm, self.working_mm)
        return self._lungs(voxels, coarse) & ~replaced

    def _lungs(self, voxels: NDArray[Any], scan: CoarseScan) -> Mask:
        """Return the mask of both lungs in a scan that has a body."""
        outside = outside_air(scan, self.threshold_hu, self.pure_air_hu)
        airway_mm = distance_to_walled_air_mm(scan, outside, self.pure_air_hu, NEAR_AIRWAY_MM)
        not_lung = outside | (airway_mm <= AIRWAY_WALL_MM)
        air = self._aerated_lungs(scan, (scan.hu < self.threshold_hu) & ~not_lung, airway_mm)
        lungs = self._with_consolidation(scan, air, airway_mm, body=~outside) & ~not_lung
        return self._on_original_grid(voxels, scan, air, lungs, not_lung)

    def _aerated_lungs(self, scan: CoarseScan, air: Mask, airway_mm: NDArray[np.float32]) -> Mask:
        """Keep the components that are large enough and not mostly near airways or bowel."""
        labels, count = connected_components(air)
        pixels = np.max([np.bincount(plane.ravel(), minlength=count + 1) for plane in labels], 0)
        pixel_cm2 = scan.spacing_mm[1] * scan.spacing_mm[2] / 100
        near = np.bincount(labels[np.isfinite(airway_mm)], minlength=count + 1)
        keep = pixels * pixel_cm2 >= self.smallest_cm2
        keep &= near < MAX_SHARE_NEAR_AIRWAY * np.bincount(labels.ravel(), minlength=count + 1)
        keep[0] = False
        return np.asarray(keep[labels])

    def _with_consolidation(
        self, scan: CoarseScan, air: Mask, airway_mm: NDArray[np.float32], body: Mask
    ) -> Mask:
        """Add the consolidation to the aerated lungs, in their bounding box."""
        lungs = air.copy()
        if air.any():
            box = bounding_box(air, self.bridge_mm, scan.spacing_mm)
            body_centres = slice_centres(body[box[0]]) - (box[1].start, box[2].start)
            lungs[box] = self._fill(scan.spacing_mm, air[box], airway_mm[box], body_centres)
        return lungs

    def _fill(
        self, spacing_mm: Spacing, air: Mask, airway_mm: NDArray[np.float32], centres: Centres
    ) -> Mask:
        """Fill gaps, holes and bays; `centres` are those of the body."""
        lungs, wall = np.zeros_like(air), hull_rim(air, spacing_mm, self.rim_mm)
        for aerated in split_lungs(air, spacing_mm):
            mask = bridge_gaps(aerated, air, wall, spacing_mm, self.bridge_mm)
            thick = opening(mask, BRANCH_MM, spacing_mm) & mask
            side = Lung(mask, outline=thick | (mask & np.isinf(airway_mm)), other=air & ~aerated)
            lungs |= fill_consolidation(
                side, centres, spacing_mm, self.largest_hole_mm, self.wall_mm
            )
        gap, wall_gap = (
            int(in_voxels(mm, spacing_mm[0])) for mm in (self.gap_mm, self.wall_gap_mm)
        )
        lungs = closing_along_z(lungs, gap)
        return closing_along_wall(lungs, centres, spacing_mm, wall_gap)

    def _on_original_grid(
        self, voxels: NDArray[Any], scan: CoarseScan, air: Mask, lungs: Mask, not_lung: Mask
    ) -> Mask:
        """Return the lungs in the original voxels, whose values decide at the aerated border."""
        inside = (lungs & ~air) | erosion(lungs, self.working_mm, scan.spacing_mm)
        around = dilation(air, self.working_mm, scan.spacing_mm) & ~not_lung
        result = np.empty(voxels.shape, np.bool_)

        def upsample(z: int) -> None:
            slab = slice(z * scan.step[0], (z + 1) * scan.step[0])
            near, sure = (
                upsample_slice(each[z], scan.step, voxels.shape) for each in (around, inside)
            )
            np.logical_or(near & (voxels[slab] < self.threshold_hu), sure, out=result[slab])

        run_in_threads(upsample, range(len(inside)))
        return result
