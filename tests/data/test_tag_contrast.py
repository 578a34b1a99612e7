"""The contrast that separates tagged from untagged images is found from the tags alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg.data.tag_contrast import tag_contrast


def images(
    number: int, spot: float, channel: int = 0, channels: int = 1
) -> list[NDArray[np.float32]]:
    """Return images of noise on a slope, with a square of 8 x 8 pixels that differs by `spot`."""
    random = np.random.default_rng((number, channel))
    slope = np.linspace(0, 60, 64, dtype=np.float32)
    found = []
    for _ in range(number):
        image = random.normal(100, 5, (channels, 64, 64)).astype(np.float32) + slope
        row, column = random.integers(0, 56, 2)
        image[channel, row : row + 8, column : column + 8] += spot
        found.append(image)
    return found


@pytest.mark.parametrize(("spot", "polarity"), [(40, "bright"), (-40, "dark")])
def test_the_direction_of_the_class_is_found(spot: float, polarity: str) -> None:
    found = tag_contrast(images(12, spot), images(15, 0))
    assert found.polarity == polarity
    assert found.auc == 1
    assert found.width == pytest.approx(5, rel=0.2)  # the standard deviation of the noise
    assert 64 / 64**2 * 0.6 < found.share < 64 / 64**2 * 1.5


def test_both_directions_are_found_if_the_class_has_both() -> None:
    assert tag_contrast(images(8, 40) + images(9, -40), images(15, 0)).polarity == "both"


def test_the_channel_of_the_class_is_found() -> None:
    found = tag_contrast(images(8, 40, channel=2, channels=3), images(9, 0, channels=3))
    assert (found.channel, found.polarity) == (2, "bright")


def test_images_that_do_not_differ_have_a_low_auc_and_a_small_share() -> None:
    found = tag_contrast(images(20, 0), images(21, 0))
    assert found.auc < 0.8
    assert found.share == pytest.approx(0.01, abs=0.01)
