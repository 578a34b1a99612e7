"""Comparison of Dice and HD95 with MONAI."""

import math
from types import ModuleType

import numpy as np
import pytest

from tests.components.sheared_grids import grid_of
from wsseg.components.metrics import Dice, SurfaceDistance
from wsseg.core.volume import Spacing, VoxelMask

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def metrics() -> ModuleType:
    """MONAI's metrics, which take seconds to import."""
    module: ModuleType = pytest.importorskip(
        "monai.metrics", reason="MONAI is not installed; extra: dev"
    )
    return module


def blobs(seed: int, shape: tuple[int, ...]) -> VoxelMask:
    """Return a mask of three balls."""
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    mask = np.zeros(shape, bool)
    for _ in range(3):
        centre = generator.uniform(0.25, 0.75, len(shape)) * shape
        mask |= np.linalg.norm(grid - centre, axis=-1) < generator.uniform(2, 5)
    return mask


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.8)])
def test_hd95_and_dice_equal_those_of_monai(
    metrics: ModuleType, seed: int, spacing_mm: Spacing
) -> None:
    prediction, truth = blobs(seed, (10, 24, 22)), blobs(seed + 100, (10, 24, 22))
    ours = Dice()(prediction, truth, grid_of(spacing_mm), truth)["dice"]
    ours_mm = SurfaceDistance()(prediction, truth, grid_of(spacing_mm), truth)["hd95_mm"]
    p, t = (torch.from_numpy(mask[None, None]).float() for mask in (prediction, truth))
    assert ours == pytest.approx(float(metrics.compute_dice(p, t)))
    theirs = metrics.compute_hausdorff_distance(
        p, t, include_background=True, percentile=95, spacing=list(spacing_mm)
    )
    assert ours_mm == pytest.approx(float(theirs), rel=1e-5)


def test_hd95_of_a_single_slice_equals_that_of_monai_in_2d(metrics: ModuleType) -> None:
    prediction, truth = blobs(1, (30, 30))[None], blobs(2, (30, 30))[None]
    ours = SurfaceDistance()(prediction, truth, grid_of((5, 0.5, 2)), truth)["hd95_mm"]
    p, t = (torch.from_numpy(mask[None]).float() for mask in (prediction, truth))
    theirs = metrics.compute_hausdorff_distance(
        p, t, include_background=True, percentile=95, spacing=[0.5, 2.0]
    )
    assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_dice_of_two_empty_masks_is_nan_as_in_monai(metrics: ModuleType) -> None:
    nothing = np.zeros((2, 4, 4), bool)
    assert math.isnan(Dice()(nothing, nothing, grid_of((1, 1, 1)), nothing)["dice"])
    empty = torch.zeros(1, 1, 2, 4, 4)
    assert math.isnan(float(metrics.compute_dice(empty, empty, ignore_empty=True)))
