"""Augmentation of slices: flips, rotation, translation and zoom, and changes of intensity."""

from collections import Counter
from typing import Literal

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from wsseg.data.augment import StandardAugment as Augment
from wsseg.data.augment import augment_slice

FILL = -1024.0
SIZE = 24
WIDE = 65  # pixels; the centre of the image is pixel (32, 32)
SEEDS = range(60)


def _image() -> NDArray[np.float32]:
    image = np.random.default_rng(1).normal(-500, 200, (SIZE, SIZE, 3)).astype(np.float32)
    image[:6] = FILL
    return image


def _augmented(augment: Augment, seed: int = 3) -> NDArray[np.float32]:
    planes = np.zeros((SIZE, SIZE, 2), np.uint8)
    return augment_slice(augment, FILL, seed, _image(), planes)[0]


def _moved(augment: Augment) -> NDArray[np.float64]:
    """Return where a bright spot at (-10, 10) from the centre is after augmentation, per seed."""
    y, x = np.mgrid[:WIDE, :WIDE] - WIDE // 2
    spot = np.exp(-((y + 10) ** 2 + (x - 10) ** 2) / 8)[..., None].astype(np.float32)
    planes = np.zeros((WIDE, WIDE, 1), np.uint8)
    seen = [augment_slice(augment, 0, seed, spot, planes)[0][..., 0] for seed in SEEDS]
    return np.array(
        [((y * each).sum() / each.sum(), (x * each).sum() / each.sum()) for each in seen]
    )


@pytest.mark.parametrize(
    ("flip", "axes"), [((), ()), (("left-right",), (1,)), (("front-back",), (0,))]
)
def test_slices_are_flipped_in_half_of_the_draws_and_only_in_the_named_direction(
    flip: tuple[Literal["left-right", "front-back"], ...], axes: tuple[int, ...]
) -> None:
    image = np.arange(1, 26, dtype=np.float32).reshape(5, 5, 1)
    planes = image.astype(np.uint8)
    flipped = 0
    augment = Augment(flip=flip, gain=1e-9)  # so that it is not the default, which draws nothing
    for seed in SEEDS:
        after, masks = augment_slice(augment, FILL, seed, image, planes)
        after = after.round()
        assert_array_equal(after, masks)
        if not (after == image).all():
            assert_array_equal(after, np.flip(image, axes))
            flipped += 1
    assert 18 <= flipped <= 42 if axes else flipped == 0


def test_both_flips_are_drawn_independently() -> None:
    image = np.arange(25, dtype=np.float32).reshape(5, 5, 1)
    augment = Augment(flip=("left-right", "front-back"))
    planes = np.zeros((5, 5, 1), np.uint8)
    drawn = Counter(
        int(augment_slice(augment, FILL, seed, image, planes)[0][0, 0, 0]) for seed in SEEDS
    )
    assert drawn.keys() == {0, 4, 20, 24}  # which corner is at the upper left
    assert min(drawn.values()) >= 6


def test_flips_do_not_depend_on_the_zoom() -> None:
    y = _moved(Augment(zoom=(0.8, 1.25), flip=("front-back",)))[:, 0]
    for flipped in (y > 0, y < 0):
        factors = abs(y[flipped]) / 10
        assert factors.min() < 0.9
        assert factors.max() > 1.1


def test_slices_rotate_about_their_centre_by_up_to_the_angle_in_both_directions() -> None:
    y, x = _moved(Augment(rotate_deg=30)).T
    assert_allclose(np.hypot(y, x), np.hypot(10, 10), atol=0.1)
    turned_deg = np.rad2deg(np.arctan2(y, x)) + 45
    assert -30.1 < turned_deg.min() < -25
    assert 25 < turned_deg.max() < 30.1


def test_slices_move_by_up_to_the_fraction_of_their_side_in_all_four_directions() -> None:
    moved = _moved(Augment(translate=0.1)) - (-10, 10)
    assert ((moved.min(0) >= -0.1 * WIDE) & (moved.min(0) < -0.07 * WIDE)).all()
    assert ((moved.max(0) > 0.07 * WIDE) & (moved.max(0) <= 0.1 * WIDE)).all()


def test_slices_are_zoomed_about_their_centre_between_the_two_factors() -> None:
    factors = _moved(Augment(zoom=(0.8, 1.25))) / (-10, 10)
    assert 0.79 < factors.min() < 0.85
    assert 1.2 < factors.max() < 1.26


def test_pixels_from_outside_the_image_are_fill_in_every_slice_and_0_in_masks() -> None:
    image, planes = np.ones((8, 8, 7), np.float32), np.ones((8, 8, 2), np.uint8)
    after, masks = augment_slice(Augment(zoom=(0.5, 0.5)), FILL, 0, image, planes)
    assert after[0, 0].tolist() == [FILL] * 7
    assert after[4, 4].tolist() == [1] * 7
    assert (masks[0, 0].tolist(), masks[4, 4].tolist()) == ([0, 0], [1, 1])


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
