"""The limits of the lung accept the lungs of phantoms and refuse leaks into their surroundings."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from wsseg.data.region_check import implausibility
from wsseg_covid.lung_threshold import LUNGS
from wsseg_covid.phantom.patient import Phantom, Protocol, phantom
from wsseg_covid.phantom.scanner import SCANNERS


@pytest.fixture(scope="module")
def patients() -> list[Phantom]:
    """Two scans of the complete lungs and one of a part, all with lesions."""
    draw = [(0, 20, 13.0), (1, 24, 12.0), (2, 20, 2.5)]
    return [
        phantom(np.random.default_rng(n), Protocol(SCANNERS[n], 96, z, mm), consolidation=True)
        for n, z, mm in draw
    ]


def test_the_lungs_of_phantoms_are_plausible(patients: list[Phantom]) -> None:
    for each in patients:
        assert implausibility(each.lung, each.image, each.spacing_mm, LUNGS) == ""


def outside(each: Phantom) -> NDArray[np.bool_]:
    """Return a leak through the chest wall: all air of the scan."""
    return each.image < -320


def body(each: Phantom) -> NDArray[np.bool_]:
    """Return a leak into the body: 4 cm around the lungs."""
    distance = ndimage.distance_transform_edt(~each.lung, sampling=each.spacing_mm)
    return np.asarray(distance < 40)


def swapped(each: Phantom) -> NDArray[np.bool_]:
    """Return the body instead of the lungs."""
    return (each.image > -200) & ~each.lung


@pytest.mark.parametrize("failure", [outside, body, swapped])
def test_leaks_and_the_inverse_of_the_lungs_are_implausible(
    patients: list[Phantom], failure: Callable[[Phantom], NDArray[np.bool_]]
) -> None:
    for each in patients:
        assert implausibility(failure(each), each.image, each.spacing_mm, LUNGS) != ""


def test_a_quarter_of_the_lungs_in_a_complete_scan_is_implausible(patients: list[Phantom]) -> None:
    each = patients[0]
    scrap = each.lung.copy()
    scrap[: len(scrap) * 3 // 4] = False
    assert "most of it was not found" in implausibility(scrap, each.image, each.spacing_mm, LUNGS)
