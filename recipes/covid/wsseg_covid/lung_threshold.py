"""The lungs of a CT by an HU threshold and morphology, with the consolidation at their walls."""

from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from wsseg import Case, Region, RegionLimits, Volume
from wsseg.tools import in_voxels, run_in_threads
from wsseg_covid.lung_air import from_walled_air_mm, outside_air
from wsseg_covid.lung_hull import (
    bridged,
    closed_along_wall,
    closed_along_z,
    parted,
    rim,
    with_consolidation,
)
from wsseg_covid.planes import (
    Centres,
    Mask,
    Planes,
    Spacing,
    box_around,
    centres,
    coarse,
    dilated,
    eroded,
    fine,
    numbered,
    opened,
)

AIRWAY_WALL_MM = 4.0  # with what is blurred: not lung
NEAR_AIRWAY_MM = 15.0  # branches and scraps of the bowel's air are in this distance
BRANCH_MM = 2.5  # radius of what is no branch any more
MOST_NEAR_AIRWAY = 0.5  # of a piece of lung
LUNGS = RegionLimits(
    volume_litres=(0.8, 10), full_length_mm=250, max_area_cm2=550, median=(-950, -300)
)
"""Of adults: wider than any healthy or ill lung, narrower than one with the air around a body."""


@final
class LungThreshold(Region):
    """Air in the body that is neither airway nor bowel, and what is dense between it and the ribs.

    1. On a copy with coarser pixels: what a slice's border reaches without crossing the body is
       outside, if it is as thin as air; the lungs of a cropped scan are denser.
    2. Lumps of pure air that tissue surrounds are trachea, bronchi, stomach or bowel.
    3. Lungs are pieces of some size of what is left below `threshold_hu`.
    4. In each slice consolidation is added: gaps in the lung along the chest wall, holes, and
       those bays of its outline that open towards the chest wall, not towards heart and liver.
    5. On the scan's own voxels, the aerated border follows `threshold_hu` again.

    Empty where there is no lung. A lobe with hardly any air, down to its border with the rest of
    the lung, is not found, and a consolidation that reaches from the chest wall to the heart only
    in part.
    """

    version: ClassVar = 2
    plausible: ClassVar = LUNGS

    threshold_hu: float = -320  # from aerated and ground-glass lung to tissue
    pure_air_hu: float = -935  # from air to lung, which is some -860 on average
    working_mm: PositiveFloat = 2  # pixels of the copy that is worked on
    smallest_cm2: PositiveFloat = 4  # a piece of lung, in its largest slice
    largest_hole_mm: PositiveFloat = 25  # radius of a hole; a larger one is the liver's dome
    wall_mm: PositiveFloat = 12  # how far from the hull of both lungs a bay may open
    bridge_mm: PositiveFloat = 15  # half of a gap that is closed along the chest wall
    rim_mm: PositiveFloat = 20  # as deep below the hull of both lungs
    gap_mm: PositiveFloat = 12  # half of what is filled along z between lung above and lung below
    wall_gap_mm: PositiveFloat = 20  # the same where it opens towards the chest wall

    def __call__(self, case: Case, volume: Volume) -> Mask:  # noqa: ARG002 - the image is enough
        """Find both lungs, (Z, H, W)."""
        planes = coarse(volume.voxels, volume.spacing_mm, self.working_mm)
        outside = outside_air(planes, self.threshold_hu, self.pure_air_hu)
        airway_mm = from_walled_air_mm(planes, outside, self.pure_air_hu, NEAR_AIRWAY_MM)
        not_lung = outside | (airway_mm <= AIRWAY_WALL_MM)
        air = self._pieces(planes, (planes.hu < self.threshold_hu) & ~not_lung, airway_mm)
        lungs = self._whole(planes, air, airway_mm, body=~outside) & ~not_lung
        return self._on_voxels(volume.voxels, planes, air, lungs, not_lung)

    def _pieces(self, planes: Planes, air: Mask, airway_mm: NDArray[np.float32]) -> Mask:
        """Keep pieces of some size; those that keep to airways or bowel belong to them."""
        labels, count = numbered(air)
        pixels = np.max([np.bincount(plane.ravel(), minlength=count + 1) for plane in labels], 0)
        pixel_cm2 = planes.spacing_mm[1] * planes.spacing_mm[2] / 100
        near = np.bincount(labels[np.isfinite(airway_mm)], minlength=count + 1)
        keep = pixels * pixel_cm2 >= self.smallest_cm2
        keep &= near < MOST_NEAR_AIRWAY * np.bincount(labels.ravel(), minlength=count + 1)
        keep[0] = False
        return np.asarray(keep[labels])

    def _whole(self, planes: Planes, air: Mask, airway_mm: NDArray[np.float32], body: Mask) -> Mask:
        """Add to the air in the lungs what is dense in them; only their box is looked at."""
        whole = air.copy()
        if air.any():
            box = box_around(air, self.bridge_mm, planes.spacing_mm)
            middles = centres(body[box[0]]) - (box[1].start, box[2].start)
            whole[box] = self._filled(planes.spacing_mm, air[box], airway_mm[box], middles)
        return whole

    def _filled(
        self, spacing_mm: Spacing, air: Mask, airway_mm: NDArray[np.float32], middles: Centres
    ) -> Mask:
        lungs, wall = np.zeros_like(air), rim(air, spacing_mm, self.rim_mm)
        for aerated in parted(air, spacing_mm):
            side = bridged(aerated, air, wall, spacing_mm, self.bridge_mm)
            thick = opened(side, BRANCH_MM, spacing_mm) & side
            outline = thick | (side & np.isinf(airway_mm))
            lungs |= with_consolidation(
                side,
                outline,
                air & ~aerated,
                middles,
                spacing_mm,
                self.largest_hole_mm,
                self.wall_mm,
            )
        gap, wall_gap = (
            int(in_voxels(mm, spacing_mm[0])) for mm in (self.gap_mm, self.wall_gap_mm)
        )
        lungs = closed_along_z(lungs, gap)
        return closed_along_wall(lungs, middles, spacing_mm, wall_gap)

    def _on_voxels(
        self, voxels: NDArray[Any], planes: Planes, air: Mask, lungs: Mask, not_lung: Mask
    ) -> Mask:
        """Bring the lungs to the scan's voxels, whose own values decide at the aerated border."""
        inside = (lungs & ~air) | eroded(lungs, self.working_mm, planes.spacing_mm)
        around = dilated(air, self.working_mm, planes.spacing_mm) & ~not_lung
        whole = np.empty(voxels.shape, np.bool_)

        def bring(z: int) -> None:
            slab = slice(z * planes.step[0], (z + 1) * planes.step[0])
            near, sure = (fine(each[z], planes.step, voxels.shape) for each in (around, inside))
            np.logical_or(near & (voxels[slab] < self.threshold_hu), sure, out=whole[slab])

        run_in_threads(bring, range(len(inside)))
        return whole
