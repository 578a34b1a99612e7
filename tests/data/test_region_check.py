"""Regions that cannot be the organ they are meant to be are found, by numbers computed by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg.core.interfaces import PairLimits, RegionLimits
from wsseg.data.region_check import implausibility

SPACING_MM = (100.0, 50.0, 50.0)  # a voxel is a quarter of a litre, 25 cm2
ORGAN = RegionLimits(
    volume_litres=(0.5, 2), full_length_mm=400, max_area_cm2=110, median=(-900, -300)
)


def case(voxels: list[int], value: int = -800) -> tuple[NDArray[np.bool_], NDArray[np.int16]]:
    """Return a mask with this number of voxels of 10 in each slice, and an image of one value."""
    mask = np.array([[[x < number for x in range(10)]] for number in voxels])
    return mask, np.full(mask.shape, value, np.int16)


@pytest.mark.parametrize(
    ("voxels", "value", "reason"),
    [
        ([2, 4, 2, 0], -800, ""),
        ([0, 0, 0, 0], -800, "is empty: nothing was found"),
        ([3, 3, 3], -800, "has 2.2 litres, over 2: it leaks, or the spacing is wrong"),
        ([0, 5, 0, 0], -800, "has 125 cm² in slice 1, over 110: it leaks"),
        ([1, 0, 0, 0], -800, "has 0.25 litres, under 0.5: most of it was not found"),
        ([1, 0, 0], -800, ""),  # the scan is shorter than the organ
        ([2, 4, 2, 0], 20, "has a median value of 20, not -900 to -300"),
        ([2, 4, 2, 0], -1000, "has a median value of -1000"),
    ],
)
def test_each_reason_is_given_for_its_mask_and_none_for_a_plausible_one(
    voxels: list[int], value: int, reason: str
) -> None:
    found = implausibility(*case(voxels, value), SPACING_MM, ORGAN)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


@pytest.mark.parametrize("factor", [1 - 1e-6, 1, 1 + 1e-6])
def test_rounding_errors_of_the_spacing_do_not_change_the_result_at_a_limit(factor: float) -> None:
    spacing_mm = (100.0 * factor, 50.0 * factor, 50.0)
    assert implausibility(*case([2, 4, 2, 0]), spacing_mm, ORGAN) == ""  # 2 litres are not over 2
    too_small = implausibility(*case([1, 0, 0, 0]), spacing_mm, ORGAN)  # in a scan of 400 mm
    assert too_small.startswith("has 0.25 litres")


def test_only_the_median_is_checked_if_the_spacing_is_unknown() -> None:
    assert implausibility(*case([9, 9, 9, 9]), None, ORGAN) == ""
    assert "median" in implausibility(*case([9, 9, 9, 9], 0), None, ORGAN)


def test_the_median_of_a_standardized_image_is_not_checked() -> None:
    mask, image = case([2, 4, 2, 0], 0)
    assert implausibility(mask, image.astype(np.float32), SPACING_MM, ORGAN) == ""


def test_a_region_without_limits_is_only_checked_for_being_empty() -> None:
    assert implausibility(*case([9, 9, 9, 9], 3000), SPACING_MM, None) == ""
    assert implausibility(*case([0]), SPACING_MM, None) != ""


PAIR = RegionLimits(
    volume_litres=(0, 9),
    full_length_mm=900,
    max_area_cm2=9999,
    median=(-900, -300),
    pair=PairLimits((1, 999), front=(1, 999), back_rise_mm=999, end_area=1),
)


def dark_row(dark: int, found: int, gap: int = 0, at_border: int = 0) -> str:
    """Check a mask of `found` of `dark` + `found` dark voxels in a row that has tissue around."""
    image = np.zeros((1, 3, 40), np.int16)
    first = 1 + dark + gap
    image[0, 1, 1 - at_border : 1 + dark] = -1000
    image[0, 1, first : first + found] = -800
    mask = np.zeros(image.shape, np.bool_)
    mask[0, 1, first : first + found] = True
    return implausibility(mask, image, (50.0, 50.0, 100.0), PAIR)


def test_a_dark_part_next_to_a_pair_is_reported_if_it_is_large_and_inside_the_body() -> None:
    assert dark_row(dark=4, found=4) == (
        "leaves out 1.0 litres that adjoin it inside the body and are as dark"
    )
    assert dark_row(dark=3, found=4) == ""  # 0.75 litres are not over 0.8
    assert dark_row(dark=4, found=4, gap=1) == ""  # another organ
    assert dark_row(dark=4, found=4, at_border=1) == ""  # outside the body
    assert dark_row(dark=5, found=26) == ""  # less than a fifth of the pair
