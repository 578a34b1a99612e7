import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from tests.components.sheared_grids import (
    grid_of,
    positions_mm,
    sheared_grid,
    sheared_grids,
)
from wsseg.components.error_metrics import CROSS, DilatedFallOut, ErrorPlaces
from wsseg.core.volume import Grid, VoxelMask
from wsseg.data.spacing import TOLERANCE

ISOTROPIC = grid_of((1, 1, 1))
SMALL = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
PLACES = ErrorPlaces(border_mm=3, thin_mm=6)


@st.composite
def mask_triples(draw: st.DrawFn) -> tuple[VoxelMask, VoxelMask, VoxelMask]:
    shape = draw(SMALL)
    one, other, region = (draw(hnp.arrays(bool, shape)) for _ in range(3))
    return one, other, region


def masks(*rows: str) -> VoxelMask:
    return np.array([[[c == "#" for c in row] for row in rows]])


def cross_distance(truth: VoxelMask, z: int, y: int, x: int) -> float:
    """Return the number of 4-neighbour steps from a voxel to the truth in its slice."""
    return min((abs(y - j) + abs(x - i) for j, i in np.argwhere(truth[z])), default=np.inf)


def naive_dilated(
    prediction: VoxelMask, truth: VoxelMask, region: VoxelMask, step: int
) -> tuple[int, int]:
    fp = negative = 0
    for z, y, x in np.argwhere(region):
        if cross_distance(truth, z, y, x) > step:
            negative += 1
            fp += int(prediction[z, y, x])
    return fp, negative


def naive_near(errors: VoxelMask, other: VoxelMask, grid: Grid, limit_mm: float) -> int:
    there = positions_mm(other, grid)
    return sum(
        any(np.linalg.norm(p - o) <= limit_mm * (1 + TOLERANCE) for o in there)
        for p in positions_mm(errors, grid)
    )


def test_false_positives_at_the_border_disappear_after_one_dilation() -> None:
    prediction, truth = masks(".###....", "......#."), masks("..##....", "........")
    row = DilatedFallOut(steps=1)(prediction, truth, ISOTROPIC, np.ones_like(truth))
    assert row == {
        "fp_dilated_0_voxels": 2,
        "negative_dilated_0_voxels": 14,
        "fp_dilated_1_voxels": 1,  # the distant one remains
        "negative_dilated_1_voxels": 10,  # four fewer: left, right and two below
    }


def test_the_default_of_dilated_fall_out_is_0_to_9_dilations() -> None:
    nothing = masks("....")
    row = DilatedFallOut()(nothing, nothing, ISOTROPIC, ~nothing)
    assert [row[f"negative_dilated_{k}_voxels"] for k in range(10)] == [4] * 10
    assert len(row) == 20


@given(mask_triples(), st.integers(0, 4))
@settings(max_examples=60)
def test_k_dilations_remove_errors_within_k_steps_of_the_truth_in_a_slice(
    drawn: tuple[VoxelMask, VoxelMask, VoxelMask], step: int
) -> None:
    prediction, truth, region = drawn
    row = DilatedFallOut(steps=step)(prediction, truth, ISOTROPIC, region)
    found = row[f"fp_dilated_{step}_voxels"], row[f"negative_dilated_{step}_voxels"]
    assert found == naive_dilated(prediction, truth, region, step)


@given(st.data(), mask_triples(), st.floats(0.5, 6))
@settings(max_examples=80)
def test_errors_at_the_border_are_those_within_border_mm_of_the_other_side(
    data: st.DataObject, drawn: tuple[VoxelMask, VoxelMask, VoxelMask], border_mm: float
) -> None:
    prediction, truth, region = drawn
    grid = data.draw(sheared_grids(truth.shape))
    row = ErrorPlaces(border_mm=border_mm, thin_mm=6)(prediction, truth, grid, region)
    fp, fn = prediction & ~truth, truth & ~prediction
    assert row["fp_border_voxels"] == naive_near(fp, truth, grid, border_mm)
    assert row["fn_border_voxels"] == naive_near(fn, ~truth, grid, border_mm)
    assert row["fp_thin_voxels"] <= fp.sum() - row["fp_border_voxels"]


def test_a_line_far_from_the_truth_is_thin_and_a_square_is_not() -> None:
    truth = np.zeros((1, 40, 40), bool)
    truth[0, :4, :4] = True
    prediction = truth.copy()
    prediction[0, :4, 4] = True  # next to the truth
    prediction[0, 30, 5:35] = True  # a vessel
    prediction[0, 12:22, 12:22] = True  # a nodule
    row = ErrorPlaces(border_mm=2, thin_mm=4)(prediction, truth, ISOTROPIC, truth)
    assert row["fp_border_voxels"] == 4
    corners = 4 * 3  # voxels of the nodule that no disc of radius 2 inside it reaches
    assert row["fp_thin_voxels"] == 30 + corners
    assert row["fn_border_voxels"] == 0


def test_the_width_of_thin_structures_is_in_mm() -> None:
    truth = np.zeros((1, 9, 9), bool)
    prediction = truth.copy()
    prediction[0, 3:6, :] = True  # 3 voxels wide
    places = ErrorPlaces(border_mm=3, thin_mm=4)
    assert places(prediction, truth, grid_of((5, 1, 1)), truth)["fp_thin_voxels"] == 27
    assert places(prediction, truth, grid_of((5, 2, 2)), truth)["fp_thin_voxels"] < 27


def test_thin_structures_of_sheared_slices_are_measured_in_the_patient() -> None:
    """A disc of 4 mm has 13 pixels; in slices with a sheared row, those of a slanted disc."""
    truth = np.zeros((1, 11, 13), bool)
    disc = truth.copy()
    grid = sheared_grid(truth.shape, (5, 1, 1), (0, 0, 1))  # each row 1 mm further along
    for row, column in np.argwhere(~truth[0]):
        disc[0, row, column] = math.hypot(row - 5, column - 6 + (row - 5)) <= 2
    places = ErrorPlaces(border_mm=1, thin_mm=4)
    assert disc.sum() == 13
    assert places(disc, truth, grid, truth)["fp_thin_voxels"] == 0
    assert places(disc, truth, ISOTROPIC, truth)["fp_thin_voxels"] == 13


@pytest.mark.parametrize("pixel_mm", [0.3, 0.5, 0.6, 0.703125, 0.75, 0.78125, 1.0, 1.2, 1.5])
def test_locations_of_errors_do_not_depend_on_rounding_errors_of_the_spacing(
    pixel_mm: float,
) -> None:
    prediction, truth = np.random.default_rng(0).random((2, 3, 40, 40)) < [[[[0.5]]], [[[0.02]]]]
    prediction = ndimage.binary_closing(prediction, CROSS)
    row = PLACES(prediction, truth, grid_of((3.0, pixel_mm, pixel_mm)), truth)
    assert row["fp_border_voxels"] > 0
    for factor in (1 - 1e-6, 1 + 1e-6, 1 + 1e-13):
        rounded_mm = grid_of((3.0 / factor, pixel_mm * factor, pixel_mm))
        assert PLACES(prediction, truth, rounded_mm, truth) == row


@pytest.mark.parametrize("metric", [DilatedFallOut(), PLACES])
def test_error_metrics_do_not_change_the_masks(metric: DilatedFallOut | ErrorPlaces) -> None:
    prediction, truth = masks("##..", "...#"), masks(".##.", "....")
    before = prediction.copy(), truth.copy()
    metric(prediction, truth, ISOTROPIC, np.ones_like(truth))
    assert (prediction == before[0]).all()
    assert (truth == before[1]).all()
