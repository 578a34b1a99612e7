"""Metrics, which compare a predicted mask with the true one, and scores of masks.

If the predicted and the true mask are both empty, Dice and HD95 are undefined (NaN). If exactly one
of them is empty, Dice is 0 and HD95 is undefined. Reports give the number of these cases.
"""

from collections.abc import Mapping
from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage, spatial
from typing_extensions import override

from wsseg.core.interfaces import Metric, Score
from wsseg.core.volume import Grid, VoxelMask

MM3_PER_ML = 1000.0


@final
class Dice(Metric):
    """Dice coefficient over all voxels, inside and outside the region.

        dice = 2 tp / (2 tp + fp + fn)

    Columns: `dice`, from 0 to 1, NaN if both masks are empty; `tp_voxels`, `fp_voxels` and
    `fn_voxels`, from which the Dice coefficient can be pooled over cases.

    Source: Dice 1945, "Measures of the amount of ecologic association between species".

    Example:
        >>> prediction, truth = np.array([[[True, True, False]]]), np.array([[[False, True, True]]])
        >>> Dice()(prediction, truth, Grid((3, 1, 1), np.eye(4)), region=truth)
        {'dice': 0.5, 'tp_voxels': 1, 'fp_voxels': 1, 'fn_voxels': 1}
    """

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, grid: Grid, region: VoxelMask
    ) -> dict[str, float]:
        tp = _count(prediction & truth)
        fp = _count(prediction) - tp
        fn = _count(truth) - tp
        dice = _ratio(2 * tp, 2 * tp + fp + fn)
        return {"dice": dice, "tp_voxels": tp, "fp_voxels": fp, "fn_voxels": fn}


@final
class Rates(Metric):
    """Sensitivity and fall-out over the voxels of the region.

        tpr = tp / (tp + fn)        fpr = fp / (fp + tn)

    True voxels outside the region are not counted here, unlike in `Dice`. Columns: `tpr` and `fpr`,
    from 0 to 1, NaN without positives or negatives; `tn_voxels`; and the numbers of
    `positive_voxels` and `negative_voxels`, from which the rates can be pooled over cases.

    Source: Wu et al. 2020, section III.
    """

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, grid: Grid, region: VoxelMask
    ) -> dict[str, float]:
        positive = _count(truth & region)
        negative = _count(region) - positive
        tp = _count(prediction & truth & region)
        fp = _count(prediction & region) - tp
        return {
            "tpr": _ratio(tp, positive),
            "fpr": _ratio(fp, negative),
            "tn_voxels": negative - fp,
            "positive_voxels": positive,
            "negative_voxels": negative,
        }


@final
class SurfaceDistance(Metric):
    """Hausdorff distance between surfaces, by default its 95th percentile (HD95), in mm.

        hd = max(percentile of d(p, T) for p in P, percentile of d(t, P) for t in T)

    P and T are the surface voxels of prediction and truth, and d is the Euclidean distance to the
    nearest voxel of the other surface. The two directed percentiles are computed separately and
    interpolated linearly, as in MONAI.

    A surface voxel shares a face with a voxel outside the mask, or lies at the border of the image.
    Axes with a single voxel are ignored, so that a single slice is measured in its plane. Distances
    are between voxel centres in patient coordinates, also on sheared grids.

    Column: `hd95_mm`, or `hd95_px` for pictures, with the percentile in its name; NaN if a mask is
    empty.

    Source: Huttenlocher et al. 1993, "Comparing images using the Hausdorff distance".

    Example:
        >>> prediction, truth = np.eye(1, 4, 0, bool)[None], np.eye(1, 4, 3, bool)[None]
        >>> grid = Grid((4, 1, 1), np.diag([0.5, 1, 5, 1]))
        >>> SurfaceDistance()(prediction, truth, grid, region=truth)
        {'hd95_mm': 1.5}
    """

    percentile: Annotated[float, Field(gt=0, le=100)] = 95
    """The percentile of the distances; 100 is the Hausdorff distance itself."""

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, grid: Grid, region: VoxelMask
    ) -> dict[str, float]:
        column = f"hd{self.percentile:g}_{grid.unit}"
        if not (prediction.any() and truth.any()):
            return {column: np.nan}
        axes = [axis for axis, length in enumerate(truth.shape) if length > 1] or [0]
        shape = tuple(truth.shape[axis] for axis in axes)
        prediction, truth = prediction.reshape(shape), truth.reshape(shape)
        (box,) = ndimage.find_objects((prediction | truth).astype(np.uint8))
        steps_mm = grid.steps_mm[axes]
        predicted_mm = _surface(prediction[box]) @ steps_mm
        true_mm = _surface(truth[box]) @ steps_mm
        to_truth, _ = spatial.KDTree(true_mm).query(predicted_mm)
        to_prediction, _ = spatial.KDTree(predicted_mm).query(true_mm)
        distances_mm = (to_truth, to_prediction)
        return {column: float(max(np.percentile(d, self.percentile) for d in distances_mm))}


@final
class VolumeError(Metric):
    """Volumes of prediction and truth and their difference, in ml, or areas of pictures in pixels.

    Columns: `volume_ml`, `volume_true_ml` and `volume_error_ml`, which is the predicted volume
    minus the true one; for pictures `area_px`, `area_true_px` and `area_error_px`. The volume of a
    voxel is |det(affine)|, also on sheared grids.
    """

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, grid: Grid, region: VoxelMask
    ) -> dict[str, float]:
        predicted, true = (mask_size(mask, grid) for mask in (prediction, truth))
        what, unit = ("area", "px") if grid.unit == "px" else ("volume", "ml")
        return {
            f"{what}_{unit}": predicted,
            f"{what}_true_{unit}": true,
            f"{what}_error_{unit}": predicted - true,
        }


@final
class Share(Score):
    """Number of voxels of one mask divided by that of another, such as lesion and organ.

        share = |of| / |within|

    NaN if `within` is empty.

    Source: Wu et al. 2020, eq. 14 and 15, as a measure of severity.

    Example:
        >>> lesion, organ = np.array([[[True, False]]]), np.array([[[True, True]]])
        >>> Share(of="lesion", within="organ")({"lesion": lesion, "organ": organ})
        0.5
    """

    of: str = Field(examples=["lesion"])
    """The class or region in the numerator."""
    within: str = Field(examples=["organ"])
    """The class or region in the denominator."""

    @property
    @override
    def needs(self) -> frozenset[str]:
        return frozenset({self.of, self.within})

    @override
    def __call__(self, masks: Mapping[str, VoxelMask]) -> float:
        return _ratio(_count(masks[self.of]), _count(masks[self.within]))


def mask_size(mask: VoxelMask, grid: Grid) -> float:
    """Return the volume of a mask in ml, or its area in pixels if the image is a picture."""
    voxel = 1.0 if grid.unit == "px" else float(np.prod(grid.spacing_mm)) / MM3_PER_ML
    return _count(mask) * voxel


def _count(mask: VoxelMask) -> int:
    return int(np.count_nonzero(mask))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else np.nan


def _surface(mask: VoxelMask) -> NDArray[np.intp]:
    """Return the coordinates of a mask's surface voxels, (N, D)."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask))
