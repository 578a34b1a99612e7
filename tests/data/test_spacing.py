from hypothesis import given
from hypothesis import strategies as st

from wsseg.core.input import Thick
from wsseg.data.resample import slice_positions, thick_for
from wsseg.data.spacing import exceeds, in_voxels, rounded_mm

FACTORS = st.floats(1 - 1e-6, 1 + 1e-6)
DECIMAL_MM = st.integers(50, 100_000).map(lambda steps: steps / 1000)
FIELD_OF_VIEW_MM = st.integers(50, 3900).map(lambda view: view / 1024)  # 2 x view over 2048
FIVE_DECIMALS_MM = st.integers(5_000, 390_000).map(lambda steps: steps / 100_000)
COMMON_MM = DECIMAL_MM | FIELD_OF_VIEW_MM | FIVE_DECIMALS_MM
THICK = Thick(thinner_than_mm=4, to_mm=5)


def test_spacings_are_rounded_to_a_thousandth_of_a_millimetre() -> None:
    assert rounded_mm(5.0000000000005) == 5.0
    assert rounded_mm(4.999995) == 5.0
    assert rounded_mm(0.7) == 0.7
    assert rounded_mm(0.703125) == 0.703
    assert rounded_mm(0.6875) == 0.687  # 352 mm / 512 pixels: a midpoint is rounded down ...
    assert rounded_mm(0.687503) == 0.687  # ... and so are slightly larger values
    assert rounded_mm(0.687505) == 0.688
    assert rounded_mm(1e-9) == 0.001


@given(COMMON_MM, FACTORS)
def test_a_common_spacing_with_a_rounding_error_is_rounded_like_the_exact_one(
    spacing_mm: float, factor: float
) -> None:
    assert rounded_mm(spacing_mm * factor) == rounded_mm(spacing_mm)
    assert abs(rounded_mm(spacing_mm) - spacing_mm) < 0.00051


@given(st.integers(50, 100_000))
def test_spacings_with_three_decimals_are_not_changed(steps: int) -> None:
    assert rounded_mm(steps / 1000) == steps / 1000


def test_lengths_in_voxels_are_exact_near_multiples_of_one_half() -> None:
    assert in_voxels(20, 5) == 4
    assert int(in_voxels(20, 5.0000000000005)) == 4
    assert int(in_voxels(20, 5.1)) == 3
    assert in_voxels(2, 0.8) == 2.5
    assert in_voxels(2, 0.8000004) == 2.5  # 2.49999875
    assert in_voxels(2, 0.9) == 2 / 0.9


@given(st.floats(0.5, 40), COMMON_MM, FACTORS)
def test_multiples_of_half_a_voxel_survive_rounding_errors(
    halves: float, spacing_mm: float, factor: float
) -> None:
    voxels = round(halves) / 2
    assert in_voxels(voxels * spacing_mm, spacing_mm * factor) == voxels


def test_a_limit_is_exceeded_by_more_than_one_thousandth() -> None:
    assert not exceeds(4.0, 4.0)
    assert not exceeds(4.003, 4.0)
    assert exceeds(4.005, 4.0)


@given(st.integers(1, 700), COMMON_MM, FACTORS)
def test_common_spacings_with_a_rounding_error_give_the_same_slices(
    count: int, spacing_mm: float, factor: float
) -> None:
    almost_mm = spacing_mm * factor
    thick = thick_for(THICK, count, spacing_mm)
    assert thick_for(THICK, count, almost_mm) == thick
    slices = slice_positions(count, rounded_mm(spacing_mm), thick)
    assert slice_positions(count, rounded_mm(almost_mm), thick).tolist() == slices.tolist()


def test_scans_at_the_thickness_limit_are_not_resampled_whatever_their_rounding_error() -> None:
    for spacing_mm in (4.0, 3.9999999999, 3.999996, 4.000004):
        assert thick_for(THICK, 10, spacing_mm) is None
    assert thick_for(THICK, 10, 3.9) is THICK


def test_a_remaining_half_slice_is_dropped_whatever_the_rounding_error() -> None:
    for spacing_mm in (2.5, 2.5 * (1 - 1e-6), 2.5 * (1 + 1e-6)):
        assert len(slice_positions(5, spacing_mm, THICK)) == 2  # 12.5 mm
