"""The prior of a pixel's colour, against values computed by hand."""

import colorsys
import math

import pytest
import torch

from wsseg import Batch, InputError, Prior, make
from wsseg.core.channels import RGB
from wsseg.testing import check_prior

TAGS = torch.tensor([[True]])


def log_odds(colours: list[tuple[float, float, float]], **settings: object) -> list[float]:
    """Return the log-odds of phi of pixels with these colours."""
    image = torch.tensor(colours).T.reshape(1, 3, 1, 1, -1)
    batch = Batch(image, torch.ones(1, 1, 1, len(colours)) > 0, TAGS, channels=RGB)
    phi = make(Prior, "colour", **settings)(batch)
    values: list[float] = phi.double().logit().flatten().tolist()
    return values


@pytest.mark.parametrize("quantity", ["saturation", "hue", "grey"])
def test_the_prior_passes_the_conformance_test_for_colour_images(quantity: str) -> None:
    width = {"saturation": 0.1, "hue": 20, "grey": 50}[quantity]
    check_prior(make(Prior, "colour", property=quantity, midpoint=0.5, width=width))


def test_saturation_is_the_range_of_the_channels_relative_to_the_largest() -> None:
    colours = [(200.0, 50.0, 100.0), (90.0, 90.0, 90.0), (0.0, 0.0, 0.0), (255.0, 0.0, 0.0)]
    found = log_odds(colours, property="saturation", midpoint=0.5, width=0.25)
    assert found == pytest.approx([(0.75 - 0.5) / 0.25, -2, -2, 2], abs=1e-5)


def test_hue_is_measured_around_the_circle() -> None:
    """Red 0, yellow 60, green 120, blue 240 and magenta 300 degrees; from 330: 30, 90, 150, ..."""
    colours = [
        (9.0, 0.0, 0.0),
        (9.0, 9.0, 0.0),
        (0.0, 9.0, 0.0),
        (0.0, 0.0, 9.0),
        (9.0, 0.0, 9.0),
        (5.0, 5.0, 5.0),  # without a hue: as far as possible
    ]
    found = log_odds(colours, property="hue", side="below", hue_deg=330, midpoint=90, width=60)
    expected = [(90 - distance) / 60 for distance in (30, 90, 150, 90, 30, 180)]
    assert found == pytest.approx(expected, abs=1e-4)


def test_hue_agrees_with_that_of_python_at_the_corners_of_the_colour_circle() -> None:
    colours = [(8.0, 2.0, 2.0), (2.0, 8.0, 8.0), (8.0, 8.0, 1.0), (3.0, 1.0, 3.0)]
    found = log_odds(colours, property="hue", midpoint=0, width=90)
    for value, colour in zip(found, colours, strict=True):
        degrees = 360 * colorsys.rgb_to_hsv(*colour)[0]
        assert 90 * value == pytest.approx(min(degrees, 360 - degrees), abs=1e-3)


def test_grey_is_the_luma() -> None:
    found = log_odds([(100.0, 50.0, 200.0)], property="grey", midpoint=80, width=10)
    assert found == pytest.approx([(29.9 + 29.35 + 22.8 - 80) / 10], abs=1e-4)
    assert not math.isnan(found[0])


def test_an_image_without_colour_is_refused_and_its_channels_are_listed() -> None:
    batch = Batch(torch.zeros(1, 1, 1, 2, 2), torch.ones(1, 1, 2, 2) > 0, TAGS)
    with pytest.raises(InputError, match="no channel 'red'; possible: image"):
        make(Prior, "colour", property="grey", midpoint=1, width=1)(batch)
