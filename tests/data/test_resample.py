from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsseg.core.input import Thick
from wsseg.data.resample import (
    Placement,
    combine_slices,
    linear_weights,
    nearest_indices,
    placement,
    prepared_weights,
    resize_slice,
    scan_weights,
    slice_positions,
    smoothing_weights,
    thick_for,
)

THICK = Thick(thinner_than_mm=4, to_mm=5, smoothing=0.25)


def test_only_slices_thinner_than_the_limit_are_resampled_along_z() -> None:
    assert thick_for(THICK, 10, 3.9) is THICK
    assert thick_for(THICK, 10, 4.0) is None
    assert thick_for(THICK, 1, 1.0) is None  # a single slice
    assert thick_for(None, 10, 1.0) is None


def test_thick_slices_are_centred_in_the_extent_of_the_scan() -> None:
    # 10 slices of 1 mm are 2 of 5 mm, whose centres are at 2.5 and 7.5 mm: slices 2 and 7
    assert slice_positions(10, 1.0, THICK).tolist() == [2, 7]
    # 12 mm hold 2 of 5 mm with 1 mm left at both ends: centres at 3.5 and 8.5 mm
    assert slice_positions(12, 1.0, THICK).tolist() == [3, 8]
    assert slice_positions(4, 2.5, THICK).tolist() == [0.5, 2.5]
    assert slice_positions(3, 5.0, None).tolist() == [0, 1, 2]


@given(st.integers(2, 400), st.floats(0.4, 3.9))
def test_thick_slices_have_the_new_spacing_and_the_centre_of_the_scan(
    count: int, spacing_mm: float
) -> None:
    positions = slice_positions(count, spacing_mm, THICK)
    assert np.diff(positions) * spacing_mm == pytest.approx(5)
    assert positions.mean() == pytest.approx((count - 1) / 2)


def test_linear_weights_are_those_computed_by_hand() -> None:
    weights = linear_weights(np.array([0, 0.25, 1.5, -0.3, 9]), 3)
    expected = [[1, 0, 0], [0.75, 0.25, 0], [0, 0.5, 0.5], [1, 0, 0], [0, 0, 1]]
    assert weights == pytest.approx(np.array(expected))


def test_smoothing_weights_are_a_gaussian_and_sum_to_1() -> None:
    weights = smoothing_weights(21, 1.25)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights[10, 11] / weights[10, 10] == pytest.approx(np.exp(-0.5 / 1.25**2))
    assert weights[10, 12] / weights[10, 10] == pytest.approx(np.exp(-0.5 * (2 / 1.25) ** 2))
    assert np.array_equal(smoothing_weights(3, 0), np.eye(3))


@pytest.mark.parametrize("spacing_mm", [0.5, 1.0, 1.25])
def test_the_gaussian_has_a_standard_deviation_of_a_quarter_of_the_new_spacing(
    spacing_mm: float,
) -> None:
    impulse = np.zeros(41)
    impulse[20] = 1
    positions = np.arange(41.0)
    spread = prepared_weights(positions, 41, spacing_mm, THICK) @ impulse
    variance_mm2 = (spread * ((positions - 20) * spacing_mm) ** 2).sum() / spread.sum()
    assert np.sqrt(variance_mm2) == pytest.approx(5 / 4, rel=0.01)


def test_resampling_along_z_keeps_a_ramp() -> None:
    ramp = np.arange(40.0)
    positions = slice_positions(40, 1.0, THICK)
    values = prepared_weights(positions, 40, 1.0, THICK) @ ramp
    assert values[1:-1] == pytest.approx(positions[1:-1])


def test_resizing_keeps_the_values_of_a_ramp_at_pixel_centres() -> None:
    ramp = np.tile(np.arange(8, dtype=np.float32) + 0.5, (6, 1))  # the coordinate of the centre
    half = resize_slice(ramp, (3, 4))
    assert half == pytest.approx(np.tile([1, 3, 5, 7], (3, 1)))  # pixels of width 2
    double = resize_slice(ramp, (12, 16))
    assert double[0, 1:-1] == pytest.approx(np.arange(0.75, 7.5, 0.5))  # pixels of width 1/2
    third = resize_slice(ramp.T.copy(), (4, 6))
    assert third[:, 0] == pytest.approx([1, 3, 5, 7])


def test_an_axis_that_shrinks_is_averaged_whether_or_not_the_other_grows() -> None:
    image = np.zeros((6, 2), np.float32)
    image[4, :] = 9
    assert resize_slice(image, (2, 2)) == pytest.approx(np.array([[0, 0], [3, 3]]))
    assert resize_slice(image, (2, 4)) == pytest.approx(np.array([[0] * 4, [3] * 4]))
    assert resize_slice(image, (6, 2)) == pytest.approx(image)


def test_nearest_indices_are_those_computed_by_hand() -> None:
    assert nearest_indices(4, 4).tolist() == [0, 1, 2, 3]
    assert nearest_indices(6, 3).tolist() == [
        1,
        3,
        5,
    ]  # centres on an edge: the upper pixel
    assert nearest_indices(2, 5).tolist() == [0, 0, 1, 1, 1]
    assert nearest_indices(9, 3).tolist() == [1, 4, 7]


@given(st.integers(1, 600), st.integers(1, 600))
def test_nearest_indices_are_valid_for_all_sizes(count: int, size: int) -> None:
    indices = nearest_indices(count, size)
    assert indices.min() >= 0
    assert indices.max() < count


def test_combined_slices_are_the_matrix_product_with_the_weights() -> None:
    generator = np.random.default_rng(0)
    slices = generator.normal(size=(5, 3, 4)).astype(np.float32)
    weights = generator.random((2, 5)) * (generator.random((2, 5)) < 0.5)
    expected = np.einsum("ij,jhw->ihw", weights, slices)
    assert combine_slices(slices, weights, (3, 4)) == pytest.approx(expected, abs=1e-5)


def test_weights_back_to_the_scan_are_1_at_the_position_of_a_prepared_slice() -> None:
    weights = scan_weights(np.array([2.0, 7.0]), 10)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights[2].tolist() == [1, 0]
    assert weights[0].tolist() == [1, 0]
    assert weights[4] == pytest.approx([0.6, 0.4])
    assert weights[9].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("sides_mm", "plane", "fit", "corner", "covered"),
    [
        ((400, 200), (64, 64), "stretch", (0, 0), (64, 64)),
        ((400, 200), (64, 64), "pad", (0, 16), (64, 32)),
        ((200, 400), (64, 64), "pad", (16, 0), (32, 64)),
        ((300, 300), (48, 64), "pad", (0, 8), (48, 48)),
        ((300, 100), (10, 10), "pad", (0, 3), (10, 3)),  # 3.33 columns of 30 mm
        ((1000, 1), (10, 10), "pad", (0, 4), (10, 1)),  # at least one
        ((384, 512), (48, 64), "pad", (0, 0), (48, 64)),
    ],
)
def test_slices_keep_the_ratio_of_their_sides_with_pad(
    sides_mm: tuple[float, float],
    plane: tuple[int, int],
    fit: Literal["stretch", "pad"],
    corner: tuple[int, int],
    covered: tuple[int, int],
) -> None:
    assert placement(sides_mm, plane, fit) == Placement(plane, corner, covered)


def test_padding_surrounds_the_covered_part() -> None:
    placed = placement((100, 50), (4, 4), "pad")
    planes = np.arange(8).reshape(1, 4, 2)
    padded = placed.padded(planes, -1)
    assert padded.tolist() == [[[-1, 0, 1, -1], [-1, 2, 3, -1], [-1, 4, 5, -1], [-1, 6, 7, -1]]]
    assert np.array_equal(padded[(..., *placed.box)], planes)
