"""The prior `smoothed`: another prior on the smoothed image."""

import math
from collections.abc import Iterable
from typing import Self

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError

from wsseg import Batch, Evidence, Prior, Probability, make
from wsseg.components.smoothed_prior import Smoothed
from wsseg.components.smoothed_threshold import SmoothedThreshold
from wsseg.testing import check_prior

SIDE = 7


class Intensity(Prior):
    """A prior whose phi is the intensity of a channel, moved by what it has learned."""

    channel: str | None = None
    offset: float = 0.0

    def __call__(self, batch: Batch) -> Probability:
        return (batch.channel(self.channel) + self.offset).clip(0, 1).expand(batch.support.shape)

    def fit(self, batches: Iterable[Batch]) -> Self:
        largest = max(batch.middle[:, :1][batch.region].max().item() for batch in batches)
        return self.model_copy(update={"offset": -largest})

    @property
    def refits(self) -> bool:
        return True

    def refit(self, evidence: Iterable[Evidence]) -> Self:
        return self.fit(each.batch for each in evidence)


def batch_of(image: object, region: object = None) -> Batch:
    x = torch.as_tensor(np.asarray(image, np.float32))[None, None]
    inside = torch.ones_like(x).bool() if region is None else torch.as_tensor(region)[None, None]
    return Batch(x[:, None], inside, torch.ones(1, 1).bool())


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("inner", [{"use": "smoothed-threshold", "threshold": 1}, Intensity()])
def test_the_prior_passes_the_conformance_test(inner: object, classes: int) -> None:
    check_prior(make(Prior, "smoothed", prior=inner), classes)


def test_the_value_next_to_a_bright_pixel_is_its_weight_in_the_gaussian() -> None:
    """exp(-1/2) / (2 (exp(-1/2) + exp(-2) + exp(-9/2) + exp(-8)) + 1) = 0.24197."""
    row = [[0.0] * 6 + [1.0] + [0.0] * 6]
    phi = Smoothed(prior=Intensity(), sigma_px=1)(batch_of(row)).flatten()
    assert phi[5] == phi[7] == pytest.approx(0.24197, abs=1e-5)


def gaussian_mean(
    image: NDArray[np.float32], region: NDArray[np.bool_], at: tuple[int, int]
) -> float:
    """The mean around a pixel for a sigma of 1, in a loop over all pixels of the region."""
    total = weights = 0.0
    for i, j in np.argwhere(region):
        di, dj = abs(i - at[0]), abs(j - at[1])
        if max(di, dj) <= 4:
            weight = math.exp(-(di**2 + dj**2) / 2)
            total, weights = total + weight * float(image[i, j]), weights + weight
    return total / weights


@given(
    arrays(np.float32, (SIDE, SIDE), elements=st.floats(0, 1, width=16)),
    arrays(np.bool_, (SIDE, SIDE)),
)
def test_phi_is_that_of_the_mean_over_the_region(
    image: NDArray[np.float32], region: NDArray[np.bool_]
) -> None:
    phi = Smoothed(prior=Intensity(), sigma_px=1)(batch_of(image, region))[0, 0]
    for i, j in np.argwhere(region):
        assert phi[i, j] == pytest.approx(gaussian_mean(image, region, (i, j)), abs=1e-5)


def test_pixels_outside_the_region_keep_their_value_and_do_not_change_those_inside() -> None:
    row, region = [[0.25, 0.25, 0.25, 0.75]], [[True, True, True, False]]
    phi = Smoothed(prior=Intensity(), sigma_px=2)(batch_of(row, region)).flatten()
    assert phi.tolist() == pytest.approx([0.25, 0.25, 0.25, 0.75])


def test_each_channel_is_smoothed_on_its_own() -> None:
    image = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])[None, :, None, None]
    batch = Batch(image, image[:, 0] >= 0, torch.ones(1, 1).bool(), channels=("t1", "t2"))
    t1, t2 = (Smoothed(prior=Intensity(channel=name))(batch).flatten() for name in ("t1", "t2"))
    assert t1.tolist() == pytest.approx(t2.flip(0).tolist())
    assert t1.tolist() == sorted(t1.tolist())


def test_of_a_stack_only_the_middle_slice_counts() -> None:
    image = torch.tensor([9.0, 0.5, 9.0])[None, None, :, None, None]
    batch = Batch(image, torch.ones(1, 1, 1, 1).bool(), torch.ones(1, 1).bool())
    assert Smoothed(prior=Intensity())(batch).item() == 0.5


def test_a_threshold_on_the_smoothed_image_is_the_prior_smoothed_threshold() -> None:
    image = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    threshold = SmoothedThreshold(threshold=0.1, sigma_px=0, opening_px=0)
    both = SmoothedThreshold(threshold=0.1, sigma_px=1.5, opening_px=0)
    assert torch.equal(
        Smoothed(prior=threshold, sigma_px=1.5)(batch_of(image)), both(batch_of(image))
    )


def test_a_prior_that_learns_learns_from_smoothed_images() -> None:
    row = [[0.0] * 6 + [1.0] + [0.0] * 6]
    largest = 0.39894  # 1 / 2.50661, the weight of the pixel itself
    prior = Smoothed(prior=Intensity(), sigma_px=1)
    fitted = prior.fit([batch_of(row)])
    logits = torch.zeros(1, 1, 1, 13)
    evidence = Evidence(batch_of(row), logits, logits.sigmoid())
    assert prior.refits
    assert not Smoothed(prior=SmoothedThreshold(threshold=0)).refits
    for each in (fitted, prior.refit([evidence])):
        assert isinstance(each.prior, Intensity)
        assert each.prior.offset == pytest.approx(-largest, abs=1e-4)


@pytest.mark.parametrize("sigma_px", [0, -1, math.inf])
def test_a_sigma_that_is_not_positive_and_finite_is_refused(sigma_px: float) -> None:
    with pytest.raises(ValidationError):
        Smoothed(prior=Intensity(), sigma_px=sigma_px)
