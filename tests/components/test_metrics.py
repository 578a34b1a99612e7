import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pydantic import ValidationError

from tests.components.sheared_grids import (
    grid_of,
    positions_mm,
    sheared_grid,
    sheared_grids,
)
from wsseg.components.metrics import Dice, Rates, Share, SurfaceDistance, VolumeError
from wsseg.core.volume import Grid, Spacing, VoxelMask

ISOTROPIC = grid_of((1, 1, 1))
SMALL = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[VoxelMask, VoxelMask, VoxelMask]:
    shape = draw(SMALL)
    one, other, region = (draw(hnp.arrays(bool, shape)) for _ in range(3))
    return one, other, region


def masks(*rows: str) -> VoxelMask:
    """Return a slice in which '#' is in the mask."""
    return np.array([[[c == "#" for c in row] for row in rows]])


def everywhere(mask: VoxelMask) -> VoxelMask:
    return np.ones_like(mask)


def test_dice_of_one_common_voxel_and_three_errors_is_two_fifths() -> None:
    prediction, truth = masks("##.", ".#."), masks(".##", "...")
    row = Dice()(prediction, truth, ISOTROPIC, everywhere(truth))
    assert row == {"dice": 2 / 5, "tp_voxels": 1, "fp_voxels": 2, "fn_voxels": 1}


def test_dice_counts_truth_outside_the_region() -> None:
    prediction, truth, region = masks("#..."), masks("#..#"), masks("##..")
    assert Dice()(prediction, truth, ISOTROPIC, region)["fn_voxels"] == 1


@given(mask_pairs())
@settings(max_examples=50)
def test_dice_equals_a_count_voxel_by_voxel(drawn: tuple[VoxelMask, VoxelMask, VoxelMask]) -> None:
    prediction, truth, region = drawn
    both = either = 0
    for p, t in zip(prediction.flat, truth.flat, strict=True):
        both += bool(p and t)
        either += int(p) + int(t)
    dice = Dice()(prediction, truth, ISOTROPIC, region)["dice"]
    assert math.isnan(dice) if either == 0 else dice == 2 * both / either


def test_dice_and_hd95_of_empty_masks_are_0_or_undefined() -> None:
    nothing, something = masks("..."), masks(".#.")
    for prediction, truth, dice in [
        (nothing, nothing, math.nan),
        (nothing, something, 0.0),
        (something, nothing, 0.0),
    ]:
        found = Dice()(prediction, truth, ISOTROPIC, everywhere(truth))["dice"]
        distance = SurfaceDistance()(prediction, truth, ISOTROPIC, everywhere(truth))["hd95_mm"]
        assert found == pytest.approx(dice, nan_ok=True)
        assert math.isnan(distance)


def test_rates_count_only_voxels_of_the_region() -> None:
    region = masks("####..")
    truth = masks("##..#.")  # the fifth voxel is true, but the region leaves it out
    prediction = masks("#.#.##")  # of the two predicted voxels outside, one is true
    assert Rates()(prediction, truth, ISOTROPIC, region) == {
        "tpr": 1 / 2,
        "fpr": 1 / 2,
        "tn_voxels": 1,
        "positive_voxels": 2,
        "negative_voxels": 2,
    }


def test_rates_without_positives_or_negatives_are_undefined() -> None:
    nothing, full = masks("..."), masks("###")
    assert math.isnan(Rates()(nothing, nothing, ISOTROPIC, full)["tpr"])
    assert math.isnan(Rates()(nothing, full, ISOTROPIC, full)["fpr"])
    outside = Rates()(nothing, full, ISOTROPIC, nothing)
    assert math.isnan(outside["tpr"])
    assert math.isnan(outside["fpr"])


def test_hd95_of_two_points_is_their_distance_in_mm() -> None:
    prediction, truth = np.zeros((2, 5, 5), bool), np.zeros((2, 5, 5), bool)
    prediction[0, 0, 0] = truth[1, 0, 3] = True
    row = SurfaceDistance()(prediction, truth, grid_of((4, 1, 1)), everywhere(truth))
    assert row == {"hd95_mm": 5}  # 4 mm up and 3 mm along


def test_hd95_is_the_larger_of_the_two_directed_percentiles() -> None:
    prediction, truth = masks("#........."), masks("##########")
    # prediction to truth is 0; truth to prediction is 0..9, whose 95th percentile is 8.55
    row = SurfaceDistance()(prediction, truth, ISOTROPIC, everywhere(truth))
    assert row["hd95_mm"] == pytest.approx(8.55)


def test_the_column_of_the_surface_distance_contains_its_percentile() -> None:
    prediction, truth = masks("#........."), masks("##########")
    row = SurfaceDistance(percentile=100)(prediction, truth, ISOTROPIC, everywhere(truth))
    assert row == {"hd100_mm": 9}
    with pytest.raises(ValidationError):
        SurfaceDistance(percentile=101)


def test_the_surface_of_a_single_slice_is_its_outline() -> None:
    truth = np.ones((1, 7, 7), bool)
    prediction = np.zeros((1, 7, 7), bool)
    prediction[0, 3, 3] = True  # 3 from each side; 4 corners at 3 sqrt(2)
    farthest = SurfaceDistance(percentile=100)(prediction, truth, ISOTROPIC, truth)["hd100_mm"]
    nearest = SurfaceDistance(percentile=0.001)(truth, prediction, ISOTROPIC, truth)
    assert farthest == pytest.approx(3 * math.sqrt(2))
    assert nearest["hd0.001_mm"] == pytest.approx(
        3, abs=1e-3
    )  # inner voxels are not on the surface


@given(mask_pairs(), st.tuples(*[st.sampled_from([0.5, 1.0, 2.5])] * 3))
@settings(max_examples=60)
def test_hd95_agrees_with_a_naive_loop(
    drawn: tuple[VoxelMask, VoxelMask, VoxelMask], spacing: Spacing
) -> None:
    prediction, truth, region = drawn
    found = SurfaceDistance()(prediction, truth, grid_of(spacing), region)["hd95_mm"]
    one, other = naive_surface(prediction), naive_surface(truth)
    expected = naive_hd95(*(np.reshape(each, (-1, 3)) * spacing for each in (one, other)))
    assert found == pytest.approx(expected, nan_ok=True)


@given(st.data(), mask_pairs())
@settings(max_examples=80)
def test_hd95_on_sheared_grids_agrees_with_a_naive_loop_over_positions_in_the_patient(
    data: st.DataObject, drawn: tuple[VoxelMask, VoxelMask, VoxelMask]
) -> None:
    prediction, truth, region = drawn
    grid = data.draw(sheared_grids(truth.shape))
    found = SurfaceDistance()(prediction, truth, grid, region)["hd95_mm"]
    surfaces = [np.zeros_like(prediction), np.zeros_like(truth)]
    for surface, mask in zip(surfaces, (prediction, truth), strict=True):
        for voxel in naive_surface(mask):
            surface[voxel] = True
    expected = naive_hd95(*(positions_mm(surface, grid) for surface in surfaces))
    assert found == pytest.approx(expected, nan_ok=True)


def test_slices_that_drift_sideways_move_the_surface_with_them() -> None:
    prediction, truth = np.zeros((2, 11, 11), bool), np.zeros((2, 11, 11), bool)
    prediction[0, 4, 4] = truth[1, 4, 4] = True
    grid = sheared_grid(truth.shape, (4, 1, 1), (3, 0, 0))  # each slice 3 mm further back
    row = SurfaceDistance()(prediction, truth, grid, truth)
    assert row["hd95_mm"] == pytest.approx(5)


def naive_hd95(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if not len(one) or not len(other):
        return math.nan

    def directed(start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
        return float(np.percentile([min(math.dist(a, b) for b in end) for a in start], 95))

    return max(directed(one, other), directed(other, one))


def naive_surface(mask: VoxelMask) -> list[tuple[int, ...]]:
    found = []
    for voxel in itertools.product(*map(range, mask.shape)):
        neighbours = []
        for axis, step in itertools.product(range(3), (-1, 1)):
            if mask.shape[axis] > 1:
                there = list(voxel)
                there[axis] += step
                inside = 0 <= there[axis] < mask.shape[axis]
                neighbours.append(bool(inside and mask[tuple(there)]))
        if mask[voxel] and not (neighbours and all(neighbours)):
            found.append(voxel)
    return found


def test_volumes_are_in_ml() -> None:
    prediction, truth = masks("####"), masks("#...")
    row = VolumeError()(
        prediction, truth, grid_of((5, 10, 10)), everywhere(truth)
    )  # 0.5 ml a voxel
    assert row == {"volume_ml": 2.0, "volume_true_ml": 0.5, "volume_error_ml": 1.5}


def test_share_is_the_ratio_of_two_masks_and_undefined_if_the_second_is_empty() -> None:
    severity = Share(of="lesion", within="organ")
    assert severity.needs == {"lesion", "organ"}
    assert severity({"lesion": masks("#..."), "organ": masks("####")}) == 0.25
    assert math.isnan(severity({"lesion": masks("...."), "organ": masks("....")}))


def test_distances_and_areas_of_pictures_are_in_pixels() -> None:
    picture = Grid((7, 5, 1), np.diag([-1, -1, 1, 1]), unit="px")
    prediction, truth = np.zeros((2, 1, 5, 7), np.bool_)
    prediction[0, 2, 0:2], truth[0, 2, 4] = True, True
    everywhere = np.ones_like(truth)
    assert SurfaceDistance(percentile=100)(prediction, truth, picture, everywhere) == {
        "hd100_px": 4.0
    }
    assert VolumeError()(prediction, truth, picture, everywhere) == {
        "area_px": 2.0,
        "area_true_px": 1.0,
        "area_error_px": 1.0,
    }
