"""Metrics that locate errors: at the border of the true mask or away from it."""

from typing import Annotated, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat
from scipy import ndimage, spatial
from typing_extensions import override

from wsseg.core.interfaces import Metric
from wsseg.core.volume import Grid, VoxelMask
from wsseg.data.spacing import TOLERANCE, in_voxels

CROSS: VoxelMask = ndimage.generate_binary_structure(2, 1)[None]  # in-plane, 4 neighbours


@final
class DilatedFallOut(Metric):
    """False positives that remain when the true mask is dilated k times in-plane, k = 0 to `steps`.

    Errors at the border of the true mask disappear after a few steps; those that remain are away
    from it. Voxels are counted inside the annotated region and outside the dilated true mask; the
    structuring element is the cross of 4 neighbours:

        FPR(k) = fp_dilated_<k>_voxels / negative_dilated_<k>_voxels

    Source: Wu et al. 2020, Fig. 6, and the published code.
    """

    in_annotated_region: ClassVar[bool] = True
    steps: Annotated[int, Field(ge=0)] = 9
    """The largest number of dilations."""

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, grid: Grid, region: VoxelMask
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
    """Counts of errors by their place: at the border, in thin structures or elsewhere.

    - `fp_border_voxels` and `fn_border_voxels`: errors within `border_mm` (in 3-D) of a voxel on
      the other side of the true border.
    - `fp_thin_voxels`: other false positives where the prediction is narrower than `thin_mm`: an
      in-plane opening with a disc of that diameter removes them. Vessels often cause these errors,
      but masks alone cannot distinguish vessels from other small structures.

    The remaining errors (`Dice` counts all, as `fp_voxels` and `fn_voxels`) are elsewhere. Both
    lengths have a relative tolerance of 1e-3, so that rounding errors of the spacing do not matter.
    """

    border_mm: PositiveFloat = Field(examples=[3.0])
    """Errors up to this distance from the true border count as errors at the border, in mm."""
    thin_mm: PositiveFloat = Field(examples=[6.0])
    """Predicted structures narrower than this count as thin, in mm."""

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, grid: Grid, region: VoxelMask
    ) -> dict[str, float]:
        box = _box(prediction | truth, margin=1)
        prediction, truth = prediction[box], truth[box]
        fp, fn = prediction & ~truth, truth & ~prediction
        at_border = self._near(fp, truth, grid)
        away = np.argwhere(fp)[~at_border]
        thick = self._thick(prediction, grid)
        return {
            "fp_border_voxels": _count(at_border),
            "fp_thin_voxels": len(away) - _count(thick[tuple(away.T)]),
            "fn_border_voxels": _count(self._near(fn, ~truth, grid)),
        }

    def _near(self, errors: VoxelMask, other_side: VoxelMask, grid: Grid) -> NDArray[np.bool_]:
        """Return which of N error voxels are within `border_mm` of the other side, (N,) bool."""
        points = np.argwhere(errors)
        # The nearest voxel is on this surface, also on grids sheared by up to 40 degrees.
        surface = other_side & ~ndimage.binary_erosion(other_side, border_value=1)
        if not (len(points) and surface.any()):
            return np.zeros(len(points), np.bool_)
        tree = spatial.KDTree(np.argwhere(surface) @ grid.steps_mm)
        limit_mm = self.border_mm * (1 + TOLERANCE)  # the bound itself is included
        distance_mm, _ = tree.query(points @ grid.steps_mm, distance_upper_bound=limit_mm)
        near: NDArray[np.bool_] = np.isfinite(distance_mm)
        return near

    def _thick(self, prediction: VoxelMask, grid: Grid) -> VoxelMask:
        """Return the in-plane opening of a mask with a disc of diameter `thin_mm`."""
        (row_mm, shift_mm), (_, column_mm) = grid.steps_mm[1:, 1:]
        reach = int(in_voxels(self.thin_mm / 2, row_mm))
        side = int(in_voxels(self.thin_mm / 2 + reach * abs(shift_mm), column_mm))
        rows, columns = np.ogrid[-reach : reach + 1, -side : side + 1]
        limit_mm = self.thin_mm / 2 * (1 + TOLERANCE)
        disc = np.hypot(rows * row_mm, columns * column_mm + rows * shift_mm) <= limit_mm
        thick: VoxelMask = ndimage.binary_opening(prediction, disc[None])
        return thick


def _box(mask: VoxelMask, margin: int) -> tuple[slice, ...]:
    """Return the bounding box of a mask, `margin` voxels larger; an empty box for an empty mask."""
    found = ndimage.find_objects(mask.astype(np.uint8))
    sides = found[0] if found else (slice(0, 0),) * mask.ndim
    return tuple(slice(max(0, side.start - margin), side.stop + margin) for side in sides)


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))
