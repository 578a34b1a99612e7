"""A wsseg E-step that smooths the evidence with a conditional random field."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import exp
from types import EllipsisType
from typing import Annotated, Self, TypeAlias, final

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from wsseg import Batch, EStep, Evidence, Logits, Probability, hookimpl

View: TypeAlias = tuple[EllipsisType, slice, slice]  # a selection of rows and columns
Pixels = Annotated[float, Field(ge=0.1)]  # below 0.1, the weight of the next pixel underflows


@final
class Smoothed(EStep):
    """Mean-field inference in a conditional random field, followed by another E-step.

    The energy is a Potts model with two kernels. Two pixels i and j with the same label lower it by

        k_ij = spatial_weight / S exp(-|p_i - p_j|^2 / 2 spatial_sd_px^2)
             + bilateral_weight / T exp(-|p_i - p_j|^2 / 2 bilateral_sd_px^2
                                        - (x_i - x_j)^2 / 2 bilateral_sd_intensity^2)

    p is the position of a pixel and x its intensity in the middle slice; of several channels,
    (x_i - x_j)^2 is the sum over all. j is at most `radius_px` rows and columns from i. S and T are
    the sums of the position-dependent factors over the window. A weight is therefore the log-odds
    that the neighbours add if all have the same intensity and the same label. With a_ik the
    evidence's log-odds of class k against the background, each iteration computes

        a'_ik = a_ik + sum_j k_ij (q_jk - q_j0),    q = probabilities of a'

    and `inner` gets the log-odds of the last iteration. Pixels outside the region have no label:
    they do not change and have no influence, like those outside the image. With weights of 0 the
    targets are those of `inner`.

    The weights of all pairs are kept in memory: (2 r^2 + 2 r) B H W floats for a radius r.

    Source: Krähenbühl & Koltun 2011, "Efficient inference in fully connected CRFs with Gaussian
    edge potentials"; the window is that of Teichmann & Cipolla 2018, "Convolutional CRFs".
    """

    inner: EStep = Field(examples=[{"use": "hard"}])
    """The E-step that turns the smoothed evidence into targets."""
    spatial_weight: NonNegativeFloat = Field(examples=[1])
    """Weight of the spatial kernel, in log-odds."""
    spatial_sd_px: Pixels = Field(examples=[1])
    """Standard deviation of the spatial kernel, in pixels of the network's grid."""
    bilateral_weight: NonNegativeFloat = Field(examples=[2])
    """Weight of the bilateral kernel, in log-odds."""
    bilateral_sd_px: Pixels = Field(examples=[3])
    """Standard deviation of the bilateral kernel's position, in pixels of the network's grid."""
    bilateral_sd_intensity: PositiveFloat = Field(examples=[100])
    """Standard deviation of the bilateral kernel's intensity, in the image's unit (HU for CT)."""
    radius_px: PositiveInt = Field(examples=[3])
    """Half-width of the window, in pixels of the network's grid."""
    iterations: PositiveInt = 5
    """Number of mean-field iterations; 5 is the number for training of Zheng et al. 2015."""

    @property
    def separates_images(self) -> bool:
        """Whether `inner` separates images."""
        return self.inner.separates_images

    def fit(self, evidence: Iterable[Evidence]) -> Self:
        """Return this E-step with `inner` fitted to the evidence before smoothing."""
        return self.model_copy(update={"inner": self.inner.fit(evidence)})

    def __call__(self, evidence: Evidence) -> Probability:
        """Return the targets of `inner` for the smoothed evidence, (B, K, H, W)."""
        pairs, labels = list(self._pairs(evidence.batch)), evidence.labels
        alone = evidence.log_odds.float()
        gain = torch.zeros_like(alone)
        for _ in range(self.iterations):
            log_odds = alone + gain
            opinion = labels.probability(log_odds) - labels.background(log_odds)
            gain = _weighted_sum(opinion, pairs)
        logits: Logits = evidence.logits + gain.to(evidence.logits.dtype)
        return self.inner(replace(evidence, logits=logits))

    def _pairs(self, batch: Batch) -> Iterator["_Pairs"]:
        """Yield the pairs of neighbouring pixels, grouped by their offset; each pair once."""
        middle, region = batch.middle.float(), batch.region
        window = list(_offsets(self.radius_px))
        spatial = [_gauss(y * y + x * x, self.spatial_sd_px) for y, x in window]
        nearby = [_gauss(y * y + x * x, self.bilateral_sd_px) for y, x in window]
        # `window` has only one of each offset and its opposite, hence the factor of 2
        spatial_unit = self.spatial_weight / (2 * sum(spatial))
        bilateral_unit = self.bilateral_weight / (2 * sum(nearby))
        for (y, x), by_place, by_nearness in zip(window, spatial, nearby, strict=True):
            one, other = _views(y, x)
            contrast = (middle[one] - middle[other]) / self.bilateral_sd_intensity
            alike = (-contrast.square().sum(1, keepdim=True) / 2).exp()
            weight = spatial_unit * by_place + bilateral_unit * by_nearness * alike
            yield _Pairs(one, other, weight * (region[one] & region[other]))


@dataclass(frozen=True)
class _Pairs:
    """All pairs of pixels with one offset between them."""

    one: View
    other: View
    weight: Tensor  # k_ij, (B, 1, H - |y|, W - |x|); 0 if either pixel is outside the region


def _weighted_sum(opinion: Tensor, pairs: list[_Pairs]) -> Tensor:
    """Return sum_j k_ij opinion_j for every pixel i, (B, K, H, W)."""
    total = torch.zeros_like(opinion)
    for pair in pairs:
        total[pair.one] += pair.weight * opinion[pair.other]
        total[pair.other] += pair.weight * opinion[pair.one]
    return total


def _offsets(radius: int) -> Iterator[tuple[int, int]]:
    """Yield the offsets (rows, columns) of half a window: below, or right in the same row."""
    for y in range(radius + 1):
        for x in range(-radius, radius + 1):
            if y > 0 or x > 0:
                yield y, x


def _views(y: int, x: int) -> tuple[View, View]:
    """Return two views of an image that align each pixel with the one at offset (y, x)."""
    left, right = max(-x, 0), max(x, 0)
    one = (..., slice(None, -y or None), slice(left, -right or None))
    return one, (..., slice(y, None), slice(right, -left or None))


def _gauss(squared: float, sd: float) -> float:
    return exp(-squared / (2 * sd * sd))


@hookimpl
def wsseg_esteps() -> dict[str, type[EStep]]:
    """Register the E-step."""
    return {"smoothed": Smoothed}
