"""A wsseg E-step that smooths the evidence by a conditional random field before another decides."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import exp
from types import EllipsisType
from typing import Annotated, TypeAlias, final

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from wsseg import Batch, EStep, Evidence, Logits, Probability, hookimpl

View: TypeAlias = tuple[EllipsisType, slice, slice]  # of an image: which rows and columns
Pixels = Annotated[float, Field(ge=0.1)]  # a spread below is none: the next pixel has a weight of 0


@final
class Smoothed(EStep):
    """`inner`, given log-odds on which neighbours agree: mean field in a conditional random field.

    The field of Krähenbühl & Koltun 2011 (Potts, two kernels), which rewards two pixels i, j of
    one label by

        k_ij = spatial_weight / S exp(-|p_i - p_j|^2 / 2 spatial_sd_px^2)
             + bilateral_weight / T exp(-|p_i - p_j|^2 / 2 bilateral_sd_px^2
                                        - (x_i - x_j)^2 / 2 bilateral_sd_intensity^2),

    with p a pixel's place, x its intensity in the middle slice, and j no further than `radius_px`
    rows and columns away (as Teichmann & Cipolla 2018 have it). S and T are the sums of the
    factors of place over the whole window, so that a weight is the log-odds which neighbours add
    who are all alike and all of one mind. With a_ik the evidence's log-odds of class k against
    the background, each iteration sets

        a'_ik = a_ik + sum_j k_ij (q_jk - q_j0),    q = probability of a'.

    Pixels outside the region neither change nor count: they are no background, they are unknown,
    like those beyond the image. Weights of 0 leave `inner` exactly as it is.
    """

    inner: EStep = Field(examples=[{"use": "hard"}])
    spatial_weight: NonNegativeFloat = Field(examples=[1])  # log-odds
    spatial_sd_px: Pixels = Field(examples=[1])
    bilateral_weight: NonNegativeFloat = Field(examples=[2])  # log-odds
    bilateral_sd_px: Pixels = Field(examples=[3])
    bilateral_sd_intensity: PositiveFloat = Field(examples=[100])  # in the image's unit: HU for CT
    radius_px: PositiveInt = Field(examples=[3])
    iterations: PositiveInt = 5  # as CRF-as-RNN trains (Zheng et al. 2015)

    def __call__(self, evidence: Evidence) -> Probability:
        """Return what `inner` makes of the smoothed evidence."""
        pairs, labels = list(self._pairs(evidence.batch)), evidence.labels
        alone = evidence.log_odds.float()
        gain = torch.zeros_like(alone)
        for _ in range(self.iterations):
            log_odds = alone + gain
            opinion = labels.probability(log_odds) - labels.background(log_odds)
            gain = _heard(opinion, pairs)
        logits: Logits = evidence.logits + gain.to(evidence.logits.dtype)
        return self.inner(replace(evidence, logits=logits))

    def _pairs(self, batch: Batch) -> Iterator["_Pairs"]:
        """Yield every pair of pixels of the window once, by the way from one to the other."""
        middle, region = batch.middle.float(), batch.region
        window = list(_offsets(self.radius_px))
        spatial = [_gauss(y * y + x * x, self.spatial_sd_px) for y, x in window]
        nearby = [_gauss(y * y + x * x, self.bilateral_sd_px) for y, x in window]
        # the window holds each offset and its opposite, hence the sums' factor of 2
        spatial_unit = self.spatial_weight / (2 * sum(spatial))
        bilateral_unit = self.bilateral_weight / (2 * sum(nearby))
        for (y, x), by_place, by_nearness in zip(window, spatial, nearby, strict=True):
            one, other = _views(y, x)
            contrast = (middle[one] - middle[other]) / self.bilateral_sd_intensity
            alike = (-contrast.square() / 2).exp()
            weight = spatial_unit * by_place + bilateral_unit * by_nearness * alike
            yield _Pairs(one, other, weight * (region[one] & region[other]))


@dataclass(frozen=True)
class _Pairs:
    """All pairs of pixels with one offset between them."""

    one: View
    other: View
    weight: Tensor  # k_ij, (B, 1, H - |y|, W - |x|); 0 where either is outside the region


def _heard(opinion: Tensor, pairs: list[_Pairs]) -> Tensor:
    """Return sum_j k_ij opinion_j for every pixel i, (B, K, H, W)."""
    total = torch.zeros_like(opinion)
    for pair in pairs:
        total[pair.one] += pair.weight * opinion[pair.other]
        total[pair.other] += pair.weight * opinion[pair.one]
    return total


def _offsets(radius: int) -> Iterator[tuple[int, int]]:
    """List half of a window, (rows, columns): those below, and to the right on the same row."""
    for y in range(radius + 1):
        for x in range(-radius, radius + 1):
            if y > 0 or x > 0:
                yield y, x


def _views(y: int, x: int) -> tuple[View, View]:
    """Return the views of an image that lay each pixel on the one `y` rows, `x` columns on."""
    left, right = max(-x, 0), max(x, 0)
    one = (..., slice(None, -y or None), slice(left, -right or None))
    return one, (..., slice(y, None), slice(right, -left or None))


def _gauss(squared: float, sd: float) -> float:
    return exp(-squared / (2 * sd * sd))


@hookimpl
def wsseg_esteps() -> dict[str, type[EStep]]:
    """Offer the E-step."""
    return {"smoothed": Smoothed}
