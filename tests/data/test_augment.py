"""Augmentation of intensities. Geometric augmentation is tested with the slices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from wsseg.data.augment import Augment, augment_slice

FILL = -1024.0
SIZE = 24


def _image() -> NDArray[np.float32]:
    image = np.random.default_rng(1).normal(-500, 200, (SIZE, SIZE, 3)).astype(np.float32)
    image[:6] = FILL
    return image


def _augmented(augment: Augment, seed: int = 3) -> NDArray[np.float32]:
    planes = np.zeros((SIZE, SIZE, 2), np.uint8)
    return augment_slice(augment, FILL, seed, _image(), planes)[0]


def test_a_shift_adds_one_number_up_to_its_limit_to_all_pixels_that_are_not_fill() -> None:
    added = [(_augmented(Augment(shift=60), seed) - _image())[6:] for seed in range(20)]
    assert all(np.ptp(each) < 1e-3 for each in added)
    levels = [float(each.mean()) for each in added]
    assert -60 <= min(levels) < -20
    assert 20 < max(levels) <= 60


def test_a_gain_keeps_the_mean_and_scales_differences_from_it() -> None:
    for seed in range(10):
        before, after = _image()[6:], _augmented(Augment(gain=0.2), seed)[6:]
        assert_allclose(after.mean(), before.mean(), atol=0.05)
        assert 0.8 <= after.std() / before.std() <= 1.2


def test_about_half_of_the_draws_have_noise_up_to_its_limit() -> None:
    sd = [float((_augmented(Augment(noise=50), seed) - _image())[6:].std()) for seed in range(60)]
    assert 15 <= sum(each > 0 for each in sd) <= 45
    assert 30 < max(sd) < 55


@pytest.mark.parametrize("augment", [Augment(gain=0.2), Augment(shift=60), Augment(noise=50)])
def test_pixels_equal_to_fill_do_not_change(augment: Augment) -> None:
    for seed in range(5):
        assert_array_equal(_augmented(augment, seed)[:6], FILL)


def test_equal_seeds_give_equal_values_and_others_do_not() -> None:
    augment = Augment(gain=0.2, shift=60, noise=50)
    assert_array_equal(_augmented(augment, 7), _augmented(augment, 7))
    assert (_augmented(augment, 7) != _augmented(augment, 8)).any()


def test_changes_of_intensity_leave_masks_unchanged() -> None:
    planes = np.random.default_rng(2).integers(0, 2, (SIZE, SIZE, 2)).astype(np.uint8)
    masks = augment_slice(Augment(gain=0.2, shift=60, noise=50), FILL, 3, _image(), planes)[1]
    assert_array_equal(masks, planes)


def test_an_image_of_only_fill_does_not_change() -> None:
    image, planes = np.full((4, 4, 1), FILL, np.float32), np.zeros((4, 4, 1), np.uint8)
    assert_array_equal(augment_slice(Augment(shift=60), FILL, 0, image, planes)[0], image)
