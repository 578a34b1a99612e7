"""Priors that compare a pixel with its neighbourhood agree with loops and with scipy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from wsseg import Batch, Prior, make
from wsseg.components.local_contrast import LocalContrast, TopHat
from wsseg.testing import check_prior

SIDE = 8
IMAGES = arrays(np.float32, (SIDE, SIDE), elements=st.integers(-50, 50))
REGIONS = arrays(np.bool_, (SIDE, SIDE))


def batch_of(image: object, region: object = None) -> Batch:
    x = torch.as_tensor(np.asarray(image, np.float32))[None, None]
    inside = torch.ones_like(x).bool() if region is None else torch.as_tensor(region)[None, None]
    return Batch(x[:, None], inside, torch.ones(1, 1).bool())


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("polarity", ["bright", "dark", "both"])
def test_the_priors_pass_the_conformance_test(classes: int, polarity: str) -> None:
    check_prior(make(Prior, "local-contrast", midpoint=1, width=1, polarity=polarity), classes)
    check_prior(make(Prior, "top-hat", threshold=1, size_px=3, polarity=polarity), classes)


@pytest.mark.parametrize(
    ("polarity", "contrast"), [("bright", (-6, 6)), ("dark", (6, -6)), ("both", (6, 6))]
)
def test_phi_of_two_pixels_is_the_sigmoid_of_their_contrast(
    polarity: str, contrast: tuple[float, float]
) -> None:
    """With equal weights the mean of 0 and 12 is 6; phi = 1 / (1 + exp(-(c - 2) / 4))."""
    prior = make(Prior, "local-contrast", sigma_px=1e4, polarity=polarity, midpoint=2, width=4)
    expected = [1 / (1 + math.exp(-(c - 2) / 4)) for c in contrast]
    region = np.array([[True, True, False]])
    found = prior(batch_of([[0, 12, 900]], region))[0, 0, 0, :2]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_constant_added_to_the_image_changes_nothing() -> None:
    image = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 7
    prior = LocalContrast(sigma_px=2, midpoint=1, width=1)
    assert torch.allclose(prior(batch_of(image)), prior(batch_of(image + 100)), atol=1e-4)


@settings(max_examples=50)
@given(IMAGES, st.sampled_from([1, 3, 5]), st.sampled_from([0.5, 10.5]))
def test_top_hats_equal_those_of_scipy(
    image: NDArray[np.float32], size: int, threshold: float
) -> None:
    expected = {
        "bright": ndimage.white_tophat(image, (size, size), mode="reflect") > threshold,
        "dark": ndimage.black_tophat(image, (size, size), mode="reflect") > threshold,
    }
    expected["both"] = expected["bright"] | expected["dark"]
    for polarity, mask in expected.items():
        prior = make(
            Prior, "top-hat", size_px=size, sigma_px=0, polarity=polarity, threshold=threshold
        )
        assert (prior(batch_of(image))[0, 0].numpy() == mask).all()


@settings(max_examples=50)
@given(IMAGES, REGIONS)
def test_a_top_hat_in_a_region_equals_a_loop_over_its_pixels(
    image: NDArray[np.float32], region: NDArray[np.bool_]
) -> None:
    def around(values: NDArray[np.float64], r: int, c: int) -> list[float]:
        return [
            float(values[i, j])
            for i in range(max(r - 1, 0), min(r + 2, SIDE))
            for j in range(max(c - 1, 0), min(c + 2, SIDE))
            if region[i, j]
        ]

    inside = [(r, c) for r in range(SIDE) for c in range(SIDE) if region[r, c]]
    eroded, expected = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE), bool)
    for r, c in inside:
        eroded[r, c] = min(around(image.astype(float), r, c))
    for r, c in inside:
        expected[r, c] = image[r, c] - max(around(eroded, r, c)) > 3.5
    prior = TopHat(size_px=3, sigma_px=0, polarity="bright", threshold=3.5)
    assert (prior(batch_of(image, region))[0, 0].numpy() == expected).all()


def test_a_square_of_an_even_size_is_refused() -> None:
    with pytest.raises(ValidationError, match="4 is even; give an odd size"):
        TopHat(size_px=4, threshold=1)
