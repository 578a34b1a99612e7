"""Where a prediction errs: at the border of what is annotated, or away from it."""

from typing import Annotated, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat
from scipy import ndimage, spatial
from typing_extensions import override

from wsseg.core.interfaces import Metric
from wsseg.core.volume import Spacing, VoxelMask
from wsseg.data.spacing import TOLERANCE, in_voxels

CROSS: VoxelMask = ndimage.generate_binary_structure(2, 1)[None]  # in-plane, 4 neighbours


@final
class DilatedFallOut(Metric):
    """False positives left when the truth is dilated k times in-plane, k = 0 to `steps`.

    FPR(k) = `fp_dilated_<k>_voxels` / `negative_dilated_<k>_voxels`, over the annotated region
    less the dilated truth (Wu 2020, Fig. 6; the cross of 4 neighbours is the authors'). Errors at
    the border are gone after few steps; those that stay are elsewhere.
    """

    in_annotated_region: ClassVar[bool] = True
    steps: Annotated[int, Field(ge=0)] = 9

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, spacing_mm: Spacing, region: VoxelMask
    ) -> dict[str, float]:
        box = _box(truth, margin=self.steps)
        positive, wrong, inside = truth[box], (prediction & region)[box], region[box]
        fp_outside = _count(prediction & region) - _count(wrong)
        negative_outside = _count(region) - _count(inside)
        row: dict[str, float] = {}
        for step in range(self.steps + 1):
            if step:
                positive = ndimage.binary_dilation(positive, CROSS)
            row[f"fp_dilated_{step}_voxels"] = fp_outside + _count(wrong & ~positive)
            row[f"negative_dilated_{step}_voxels"] = negative_outside + _count(inside & ~positive)
        return row


@final
class ErrorPlaces(Metric):
    """Counts errors by where they lie: at the border, in thin structures, elsewhere.

    `fp_border_voxels` and `fn_border_voxels` are no further than `border_mm` (3-D) from a voxel on
    the other side of the true border. `fp_thin_voxels` are not, and lie where what is predicted is
    narrower than `thin_mm`: removed by an in-plane opening with a disc of that diameter. Both
    lengths have a relative tolerance of 1e-3, so that rounding errors of the spacing do not count.
    Vessels and fissures look so; masks alone cannot tell them from other small things. What is in
    none of these, of `fp_voxels` and `fn_voxels`, is elsewhere.
    """

    border_mm: PositiveFloat = 3.0  # two pixels of a chest's 350 mm on 256: the scanner's blur
    thin_mm: PositiveFloat = 6.0  # of vessels beyond the segmental ones

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, spacing_mm: Spacing, region: VoxelMask
    ) -> dict[str, float]:
        box = _box(prediction | truth, margin=1)
        prediction, truth = prediction[box], truth[box]
        fp, fn = prediction & ~truth, truth & ~prediction
        at_border = self._near(fp, truth, spacing_mm)
        away = np.argwhere(fp)[~at_border]
        thick = self._thick(prediction, spacing_mm)
        return {
            "fp_border_voxels": _count(at_border),
            "fp_thin_voxels": len(away) - _count(thick[tuple(away.T)]),
            "fn_border_voxels": _count(self._near(fn, ~truth, spacing_mm)),
        }

    def _near(
        self, errors: VoxelMask, other_side: VoxelMask, spacing_mm: Spacing
    ) -> NDArray[np.bool_]:
        """Tell which of the errors' voxels, (N,), are within `border_mm` of the other side."""
        points = np.argwhere(errors)
        surface = other_side & ~ndimage.binary_erosion(other_side, border_value=1)
        if not (len(points) and surface.any()):
            return np.zeros(len(points), np.bool_)
        tree = spatial.KDTree(np.argwhere(surface) * np.array(spacing_mm))
        limit_mm = self.border_mm * (1 + TOLERANCE)  # the bound itself counts as near
        distance_mm, _ = tree.query(points * np.array(spacing_mm), distance_upper_bound=limit_mm)
        near: NDArray[np.bool_] = np.isfinite(distance_mm)
        return near

    def _thick(self, prediction: VoxelMask, spacing_mm: Spacing) -> VoxelMask:
        """Return the part of a mask that a disc of `thin_mm` across fits into, slice by slice."""
        _, row_mm, column_mm = spacing_mm
        reach = [int(in_voxels(self.thin_mm / 2, mm)) for mm in (row_mm, column_mm)]
        rows, columns = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
        limit_mm = self.thin_mm / 2 * (1 + TOLERANCE)
        disc = np.hypot(rows * row_mm, columns * column_mm) <= limit_mm
        thick: VoxelMask = ndimage.binary_opening(prediction, disc[None])
        return thick


def _box(mask: VoxelMask, margin: int) -> tuple[slice, ...]:
    """Return where a mask is, with a margin of so many voxels; nowhere if it is empty."""
    found = ndimage.find_objects(mask.astype(np.uint8))
    sides = found[0] if found else (slice(0, 0),) * mask.ndim
    return tuple(slice(max(0, side.start - margin), side.stop + margin) for side in sides)


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))
