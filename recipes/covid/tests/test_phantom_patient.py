import time

import numpy as np
import pytest
from scipy import ndimage

from wsseg_covid.phantom.anatomy import anatomy
from wsseg_covid.phantom.cohort import LungPhantom, draw
from wsseg_covid.phantom.patient import Phantom
from wsseg_covid.phantom.space import Space

COHORT = LungPhantom(size=128, slices=24)


@pytest.fixture(scope="module")
def with_consolidation() -> Phantom:
    return draw(COHORT, 0)


@pytest.fixture(scope="module")
def without_consolidation() -> Phantom:
    return draw(COHORT, 3)  # of another site


def test_drawing_a_case_is_deterministic(with_consolidation: Phantom) -> None:
    again = draw(COHORT, 0)
    for name in ("image", "lung", "infection", "consolidation"):
        assert np.array_equal(getattr(again, name), getattr(with_consolidation, name)), name


def test_a_case_does_not_depend_on_the_size_of_the_cohort(with_consolidation: Phantom) -> None:
    smaller = COHORT.model_copy(update={"count": 8})
    assert np.array_equal(draw(smaller, 0).image, with_consolidation.image)


@pytest.mark.parametrize("other", [(1, 0), (0, 2)])
def test_another_seed_or_index_gives_another_patient(
    other: tuple[int, int], with_consolidation: Phantom
) -> None:
    seed, index = other
    patient = draw(COHORT.model_copy(update={"seed": seed}), index)
    assert (patient.lung != with_consolidation.lung).mean() > 0.01


def test_arrays_have_the_shape_and_spacing_of_the_protocol(with_consolidation: Phantom) -> None:
    assert with_consolidation.image.shape == (24, 128, 128)
    assert with_consolidation.image.dtype == np.int16
    assert with_consolidation.spacing_mm[0] == 5
    assert 2.5 < with_consolidation.spacing_mm[1] < 3.2  # a chest on 128 pixels


def test_masks_are_nested(with_consolidation: Phantom) -> None:
    case = with_consolidation
    assert not (case.consolidation & ~case.infection).any()
    assert not (case.infection & ~case.lung).any()
    assert 0 < case.consolidation.sum() < case.infection.sum() < case.lung.sum()


def test_a_case_without_consolidation_has_infection(without_consolidation: Phantom) -> None:
    assert without_consolidation.infection.any()
    assert not without_consolidation.consolidation.any()


def test_the_two_lungs_have_realistic_volumes() -> None:
    case = draw(LungPhantom(size=128), 0)
    litres = case.lung.sum() * np.prod(case.spacing_mm) / 1e6
    assert 2 < litres < 6
    right, left = case.lung[..., :64].sum(), case.lung[..., 64:].sum()
    assert right > left > 0.6 * right  # the heart is on the left


def test_healthy_lung_is_denser_at_the_back(without_consolidation: Phantom) -> None:
    case = without_consolidation
    deep = ndimage.binary_erosion(case.lung, iterations=2)
    healthy = deep & ~ndimage.binary_dilation(case.infection, iterations=3)
    rows = np.where(healthy.any(axis=(0, 2)))[0]
    middle = int(np.median(rows))
    front, back = healthy.copy(), healthy.copy()
    front[:, middle:], back[:, :middle] = False, False
    assert -900 < np.median(case.image[front]) < np.median(case.image[back]) < -780


def test_density_increases_from_healthy_lung_to_consolidation(with_consolidation: Phantom) -> None:
    case = with_consolidation
    healthy = np.median(case.image[case.lung & ~case.infection])
    ground_glass = np.median(case.image[case.infection & ~case.consolidation])
    assert healthy + 100 < ground_glass < np.median(case.image[case.consolidation]) - 200


def test_consolidation_has_air_bronchograms() -> None:
    case = draw(LungPhantom(), 6)  # thin slices
    deep = ndimage.binary_erosion(case.consolidation, iterations=3)
    assert np.median(case.image[deep]) > -150  # nearly airless, yet with branches of air in it
    assert 0.005 < (case.image[deep] < -500).mean() < 0.2


def test_vessels_outside_lesions_are_as_dense_as_consolidation(
    without_consolidation: Phantom,
) -> None:
    case = without_consolidation
    deep = ndimage.binary_erosion(case.lung, iterations=3) & ~case.infection
    assert 0.002 < (case.image[deep] > -200).mean() < 0.1


def test_a_slice_has_fat_muscle_bone_and_air_around_the_body(with_consolidation: Phantom) -> None:
    image = with_consolidation.image
    middle = image[12]
    for low, high, least in ((-140, -60, 0.05), (0, 100, 0.1), (250, 1500, 0.01)):
        assert ((middle > low) & (middle < high)).mean() > least, f"{low} to {high} HU"
    assert np.median(image[:, :8]) < -950
    assert image.min() >= -1024


def test_distances_are_computed_in_single_precision() -> None:
    space = Space.centred(64, 6.0, np.arange(0, 200, 20, dtype=np.float32))
    organs = anatomy(np.random.default_rng(0), space)
    for name, distance in vars(organs).items():
        assert distance.dtype == np.float32, name
        assert distance.shape == space.shape, name


def test_sites_differ_in_noise() -> None:
    noise = []
    for index in (0, 2, 3, 5):  # north, east, north, east, all with thick slices
        image = draw(COHORT, index).image.astype(float)
        room = image[:, 3:8, 50:78]
        noise.append(room.std())
    north, east = (noise[0], noise[2]), (noise[1], noise[3])
    assert min(north) > 1.2 * max(east)


def test_a_tiny_scan_can_be_drawn() -> None:
    tiny = draw(LungPhantom(size=16, slices=2), 0)
    assert tiny.image.shape == (2, 16, 16)
    assert tiny.lung.any()


@pytest.mark.slow
def test_a_full_scan_takes_less_than_a_second_and_a_half() -> None:
    assert any(seconds_to_draw(index) < 1.5 for index in range(6))


def seconds_to_draw(index: int) -> float:
    start = time.thread_time()
    draw(LungPhantom(), index)
    return time.thread_time() - start
