"""Signs of a region gone wrong: numbers by hand, and leaks made on purpose into phantoms' lungs."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from wsseg.core.interfaces import RegionLimits
from wsseg.data.region_check import implausibility
from wsseg_covid.lung_threshold import LUNGS
from wsseg_covid.phantom.patient import Phantom, Protocol, phantom
from wsseg_covid.phantom.scanner import SCANNERS

SPACING_MM = (100.0, 50.0, 50.0)  # a voxel is a quarter of a litre, 25 cm2
ORGAN = RegionLimits(
    volume_litres=(0.5, 2), full_length_mm=400, max_area_cm2=110, median=(-900, -300)
)


def case(voxels: list[int], value: int = -800) -> tuple[NDArray[np.bool_], NDArray[np.int16]]:
    """A mask of so many voxels in each slice of 10, over an image of one value."""
    mask = np.array([[[x < number for x in range(10)]] for number in voxels])
    return mask, np.full(mask.shape, value, np.int16)


@pytest.mark.parametrize(
    ("voxels", "value", "said"),
    [
        ([2, 4, 2, 0], -800, ""),
        ([0, 0, 0, 0], -800, "is empty: nothing was found"),
        ([3, 3, 3], -800, "has 2.2 litres, over 2: it leaks, or the spacing is wrong"),
        ([0, 5, 0, 0], -800, "has 125 cm² in slice 1, over 110: it leaks"),
        ([1, 0, 0, 0], -800, "has 0.25 litres, under 0.5: most of it was not found"),
        ([1, 0, 0], -800, ""),  # the scan is too short to have all of it
        ([2, 4, 2, 0], 20, "has a median value of 20, not -900 to -300"),
        ([2, 4, 2, 0], -1000, "has a median value of -1000"),
    ],
)
def test_each_sign(voxels: list[int], value: int, said: str) -> None:
    found = implausibility(*case(voxels, value), SPACING_MM, ORGAN)
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize("factor", [1 - 1e-6, 1, 1 + 1e-6])
def test_sizes_at_a_limit_are_judged_alike_whatever_the_rounding_error(factor: float) -> None:
    spacing_mm = (100.0 * factor, 50.0 * factor, 50.0)
    assert implausibility(*case([2, 4, 2, 0]), spacing_mm, ORGAN) == ""  # 2 litres are not over 2
    too_small = implausibility(*case([1, 0, 0, 0]), spacing_mm, ORGAN)  # in a scan of 400 mm
    assert too_small.startswith("has 0.25 litres")


def test_without_a_known_spacing_only_the_median_is_judged() -> None:
    assert implausibility(*case([9, 9, 9, 9]), None, ORGAN) == ""
    assert "median" in implausibility(*case([9, 9, 9, 9], 0), None, ORGAN)


def test_a_standardized_image_has_no_median_to_judge() -> None:
    mask, image = case([2, 4, 2, 0], 0)
    assert implausibility(mask, image.astype(np.float32), SPACING_MM, ORGAN) == ""


def test_of_a_region_of_nothing_known_only_emptiness_is_told() -> None:
    assert implausibility(*case([9, 9, 9, 9], 3000), SPACING_MM, None) == ""
    assert implausibility(*case([0]), SPACING_MM, None) != ""


@pytest.fixture(scope="module")
def patients() -> list[Phantom]:
    """Two whole chests, one of a part of the lungs, all ill."""
    draw = [(0, 20, 13.0), (1, 24, 12.0), (2, 20, 2.5)]
    return [
        phantom(np.random.default_rng(n), Protocol(SCANNERS[n], 96, z, mm), consolidation=True)
        for n, z, mm in draw
    ]


def test_no_lung_of_a_phantom_is_doubted(patients: list[Phantom]) -> None:
    for each in patients:
        assert implausibility(each.lung, each.image, each.spacing_mm, LUNGS) == ""


def outside(each: Phantom) -> NDArray[np.bool_]:
    """Leak through the wall: all air of the scan."""
    return each.image < -320


def body(each: Phantom) -> NDArray[np.bool_]:
    """Leak into the body: 4 cm around the lungs."""
    distance = ndimage.distance_transform_edt(~each.lung, sampling=each.spacing_mm)
    return np.asarray(distance < 40)


def swapped(each: Phantom) -> NDArray[np.bool_]:
    """The body instead of the lungs."""
    return (each.image > -200) & ~each.lung


@pytest.mark.parametrize("failure", [outside, body, swapped])
def test_every_failure_is_doubted(patients: list[Phantom], failure: object) -> None:
    assert callable(failure)
    for each in patients:
        assert implausibility(failure(each), each.image, each.spacing_mm, LUNGS) != ""


def test_a_whole_chest_with_hardly_any_lung_is_doubted(patients: list[Phantom]) -> None:
    each = patients[0]
    scrap = each.lung.copy()
    scrap[: len(scrap) * 3 // 4] = False
    assert "most of it was not found" in implausibility(scrap, each.image, each.spacing_mm, LUNGS)
