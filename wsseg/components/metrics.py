"""What is measured of a prediction: compared with the truth, or on its own.

Empty masks, everywhere in wsseg: where prediction and truth are both empty, Dice and HD95 are not
defined (NaN); where exactly one is, Dice is 0 and HD95 is not defined. Such cases are counted.
"""

from collections.abc import Mapping
from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage, spatial
from typing_extensions import override

from wsseg.core.interfaces import Metric, Score
from wsseg.core.volume import Spacing, VoxelMask

MM3_PER_ML = 1000.0


@final
class Dice(Metric):
    """Overlap: 2 tp / (2 tp + fp + fn), over all voxels; its counts give the pooled Dice."""

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, spacing_mm: Spacing, region: VoxelMask
    ) -> dict[str, float]:
        tp = _count(prediction & truth)
        fp = _count(prediction) - tp
        fn = _count(truth) - tp
        dice = _ratio(2 * tp, 2 * tp + fp + fn)
        return {"dice": dice, "tp_voxels": tp, "fp_voxels": fp, "fn_voxels": fn}


@final
class Rates(Metric):
    """Sensitivity tp / (tp + fn) and fall-out fp / (fp + tn), over voxels of the region only.

    As Wu 2020 counts: a true voxel that the region leaves out is the region's error and not counted
    here (Dice counts it). With the region's `positive_voxels` and `negative_voxels`, rates can be
    pooled over cases.
    """

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, spacing_mm: Spacing, region: VoxelMask
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
    """HD95: the larger of the two directed 95th percentiles of the distance between surfaces.

    max(P95 of d(p, T) for p in P, P95 of d(t, P) for t in T), where P and T are the surfaces of
    prediction and truth, and percentiles are interpolated linearly: MONAI's definition, not the
    percentile of both directions' distances taken together. A surface voxel is one of the mask with
    a face on a voxel outside it, or on the image's border; along an axis of one voxel there are no
    faces, so that a single slice is measured as a plane. Voxel (z, y, x) is taken to lie at
    (z, y, x) * spacing: on a sheared grid, the distance between slices is that along their normal,
    and their sideways shift is neglected.
    """

    percentile: Annotated[float, Field(gt=0, le=100)] = 95

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, spacing_mm: Spacing, region: VoxelMask
    ) -> dict[str, float]:
        column = f"hd{self.percentile:g}_mm"
        if not (prediction.any() and truth.any()):
            return {column: np.nan}
        axes = [axis for axis, length in enumerate(truth.shape) if length > 1] or [0]
        flat = tuple(truth.shape[axis] for axis in axes)
        prediction, truth = prediction.reshape(flat), truth.reshape(flat)
        (box,) = ndimage.find_objects((prediction | truth).astype(np.uint8))
        spacing = np.array(spacing_mm)[axes]
        of_prediction = _surface(prediction[box]) * spacing
        of_truth = _surface(truth[box]) * spacing
        there, _ = spatial.KDTree(of_truth).query(of_prediction)
        back, _ = spatial.KDTree(of_prediction).query(of_truth)
        return {column: float(max(np.percentile(d, self.percentile) for d in (there, back)))}


@final
class VolumeError(Metric):
    """Volumes of prediction and truth, and their signed difference, in millilitres.

    The volume of a voxel is the product of `spacing_mm`, also on a sheared grid.
    """

    @override
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, spacing_mm: Spacing, region: VoxelMask
    ) -> dict[str, float]:
        voxel_ml = float(np.prod(spacing_mm)) / MM3_PER_ML
        predicted_ml = _count(prediction) * voxel_ml
        true_ml = _count(truth) * voxel_ml
        return {
            "volume_ml": predicted_ml,
            "volume_true_ml": true_ml,
            "volume_error_ml": predicted_ml - true_ml,
        }


@final
class Share(Score):
    """Voxels of `of` / voxels of `within`, such as a severity (Wu 2020, eq. 14 and 15).

    NaN if `within` is empty.
    """

    of: str = Field(examples=["lesion"])
    within: str = Field(examples=["organ"])

    @property
    @override
    def needs(self) -> frozenset[str]:
        return frozenset({self.of, self.within})

    @override
    def __call__(self, masks: Mapping[str, VoxelMask]) -> float:
        return _ratio(_count(masks[self.of]), _count(masks[self.within]))


def _count(mask: VoxelMask) -> int:
    return int(np.count_nonzero(mask))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _surface(mask: VoxelMask) -> NDArray[np.intp]:
    """Return the coordinates of a mask's surface voxels, (N, D)."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask))
