"""Pairs of organs of which a part is missing are found, by numbers computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg.core.interfaces import PairLimits, RegionLimits
from wsseg.data.region_shape import implausible_pair

SPACING_MM = (10.0, 10.0, 10.0)
LIMITS = RegionLimits(
    volume_litres=(0, 100),
    full_length_mm=1000,
    max_area_cm2=1000,
    median=(-900, -300),
    pair=PairLimits(one_sided=(0.2, 30), front=(0.1, 15), back_rise_mm=40, end_area=0.8),
)
Mask = NDArray[np.bool_]


def pair(slices: int = 20, around: int = 4) -> Mask:
    """Return two organs, each 10 x 4 pixels in its middle slices and 2 x 4 pixels in 3 at each end.

    Their outline has 14 slices of 10 pixels and 6 of 2 pixels, of 1 cm² each: 152 cm². Above and
    below are `around` slices without mask.
    """
    mask = np.zeros((slices + 2 * around, 14, 16), np.bool_)
    for z in range(around, around + slices):
        taper = min(z - around, around + slices - 1 - z) < 3
        rows = slice(6, 8) if taper else slice(2, 12)
        mask[z, rows, 2:6] = mask[z, rows, 10:14] = True
    return mask


def image_of(mask: Mask) -> NDArray[np.int16]:
    """Return an image with a body of 12 x 14 pixels; what `mask` lacks of the pair is tissue."""
    image = np.full(mask.shape, -1000, np.int16)
    image[:, 1:13, 1:15] = 40
    image[mask] = -800
    return image


def reason(mask: Mask, limits: RegionLimits = LIMITS) -> str:
    return implausible_pair(mask, image_of(mask), SPACING_MM, limits)


def test_a_complete_pair_is_plausible() -> None:
    assert reason(pair()) == ""


@pytest.mark.parametrize(("columns", "side"), [(slice(8), "right"), (slice(8, None), "left")])
def test_a_missing_organ_is_found_with_its_side(columns: slice, side: str) -> None:
    mask = pair()
    mask[:, :, columns] = False
    assert reason(mask) == f"lacks 152 of 152 cm², seen from the side, on the patient's {side}"


@pytest.mark.parametrize(
    ("slices", "found"), [(3, ""), (4, "lacks 40 of 152 cm², seen from the side, on the patient's")]
)
def test_a_part_is_missing_if_both_its_share_and_its_area_exceed_the_limits(
    slices: int, found: str
) -> None:
    """10 pixels in 3 slices are 30 cm², just the limit, and in 4 slices 26 % of the outline."""
    mask = pair()
    mask[10 : 10 + slices, :, :8] = False
    assert reason(mask).startswith(found)
    assert bool(reason(mask)) == bool(found)


def test_a_large_area_with_a_small_share_is_plausible() -> None:
    """40 of 352 cm² are 11 %."""
    mask = pair(slices=40)
    mask[10:14, :, :8] = False
    assert reason(mask) == ""


@pytest.mark.parametrize(
    ("slices", "found"), [(4, ""), (5, "lacks 25 cm² in front but not at the back, seen from")]
)
def test_a_part_that_is_missing_only_in_front_is_found_from_a_smaller_area(
    slices: int, found: str
) -> None:
    """5 pixels in 4 slices are 20 cm², in 5 slices 25 cm²; the limits are 15 % of 152 and 15."""
    mask = pair()
    mask[8 : 8 + slices, 2:7, :8] = False
    pair_limits = PairLimits((0.2, 30), front=(0.15, 15), back_rise_mm=40, end_area=0.8)
    limits = replace(LIMITS, pair=pair_limits)
    assert reason(mask, limits).startswith(found)
    assert bool(reason(mask, limits)) == bool(found)


def test_an_organ_that_ends_higher_in_front_and_at_the_back_is_plausible() -> None:
    """Both ends are cut, so that the outline lacks 3 of 14 slices; 30 cm² are the limit."""
    mask = pair()
    mask[7:10, :, :8] = False
    assert reason(mask) == ""


def test_an_organ_thinner_than_10_mm_counts_as_missing() -> None:
    mask = pair()
    mask[:, :, 3:8] = False  # one column of 10 mm is left
    assert reason(mask).startswith("lacks 152 of 152 cm²")


def test_the_middle_of_the_body_does_not_depend_on_the_position_of_the_patient() -> None:
    mask = pair()
    mask[:, :, 8:] = False
    image = np.pad(image_of(mask), ((0, 0), (0, 0), (30, 0)), constant_values=-1000)
    moved = np.pad(mask, ((0, 0), (0, 0), (30, 0)))
    assert implausible_pair(moved, image, SPACING_MM, LIMITS).endswith("on the patient's left")


@pytest.mark.parametrize("end", ["lower", "upper"])
def test_a_lower_end_missing_at_the_back_or_an_upper_end_missing_in_front_is_found(
    end: str,
) -> None:
    """One part of the rows ends mostly in slice 7 from the end, the other one in slice 14."""
    mask = pair()
    if end == "lower":
        mask[:14, 7:] = False
    else:
        mask[-14:, :7] = False
    assert reason(mask) == f"has its {end} end 70 mm higher at the back than in front, over 40"


@pytest.mark.parametrize("end", ["lower", "upper"])
def test_a_lower_end_missing_in_front_or_an_upper_end_missing_at_the_back_is_plausible(
    end: str,
) -> None:
    mask = pair()
    if end == "lower":
        mask[:14, :7] = False
    else:
        mask[-14:, 7:] = False
    assert reason(mask) == ""


@pytest.mark.parametrize("slices", [1, 2, 3])
@pytest.mark.parametrize("slice_mm", [5.0, 60.0, 200.0])
def test_masks_of_few_slices_are_plausible(slices: int, slice_mm: float) -> None:
    mask = np.repeat(pair()[10:11], slices, axis=0)
    assert implausible_pair(mask, image_of(mask), (slice_mm, 10.0, 10.0), LIMITS) == ""


@pytest.mark.parametrize("end", ["lower", "upper"])
def test_an_end_that_is_cut_off_in_the_scan_is_found(end: str) -> None:
    mask = pair()
    mask[:14] = False
    mask = mask if end == "lower" else mask[::-1]
    assert reason(mask) == (
        f"ends abruptly: 20 mm from its {end} end it has 100 % of its largest area"
    )


def test_an_end_outside_the_scan_is_plausible() -> None:
    assert reason(pair()[14:]) == ""


def test_the_ends_of_a_short_mask_are_not_checked() -> None:
    mask = pair()
    mask[:14] = mask[19:] = False  # 50 mm are left
    assert reason(mask) == ""


@pytest.mark.parametrize("factor", [1 - 1e-6, 1, 1 + 1e-6])
def test_rounding_errors_of_the_spacing_do_not_change_the_result_at_a_limit(factor: float) -> None:
    mask = pair()
    mask[10:13, :, :8] = False  # 30 cm²
    spacing_mm = (10 * factor, 10 * factor, 10 * factor)
    assert implausible_pair(mask, image_of(mask), spacing_mm, LIMITS) == ""


def test_without_limits_of_a_pair_nothing_is_checked() -> None:
    mask = pair()
    mask[:, :, :8] = False
    single = RegionLimits((0, 100), full_length_mm=1000, max_area_cm2=1000, median=(-900, -300))
    assert reason(mask, single) == ""
