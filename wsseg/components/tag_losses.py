"""Losses on tags: a logit is pooled over the pixels of a bag and compared with the bag's tag.

A bag is the region of a slice, with n pixels; a_j is the logit of pixel j, and f_j = sigmoid(a_j).
All losses are the binary cross-entropy of the tag and the pooled logit, averaged over B bags and K
classes; a bag without pixels has a loss of 0.
"""

from math import log
from typing import Annotated, final

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.nn import functional as F

from wsseg.core.batch import Logits, Mask, at_least_float32
from wsseg.core.interfaces import TagLoss

LINEAR = -10.0  # below this, log softplus(a) and log expm1(exp(a)) both equal a to 1e-4


@final
class NoisyOr(TagLoss):
    """Noisy-or: a bag has the class if at least one of its pixels has it.

        P = 1 - prod_j (1 - f_j)^(instances / n)

    With `instances` = n this is the noisy-or of independent pixels. Over tens of thousands of
    pixels, however, P is 1 for almost any network: the gradient vanishes for bags with the class,
    and is very large for bags without it. Neighbouring pixels are not independent, so the exponent
    makes n pixels count as `instances` independent ones. log(1 - P) is then a mean over
    pixels, which does not grow with the region, and P approaches 1 if about 1 / `instances` of the
    pixels have the class.

    The computation is in logarithms: log(1 - f_j) = -softplus(a_j), and the logit of the bag is
    log(expm1(instances * mean_j softplus(a_j))).

    Source: Viola, Platt & Zhang 2005, "Multiple instance boosting for object detection"; the
    exponent is an addition.

    Example:
        >>> logits = torch.tensor([0.0, 0.0]).view(1, 1, 1, 2)  # f = 1/2
        >>> region, tags = logits.isfinite(), torch.tensor([[True]])
        >>> NoisyOr(instances=2)(logits, tags, region)  # -log(1 - 1/2 * 1/2)
        tensor(0.2877)
    """

    instances: Annotated[PositiveFloat, Field(examples=[10.0])]
    """The number of independent pixels in a bag."""

    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return the mean cross-entropy of B bags and K classes, a scalar of at least float32."""
        pixels, log_weight = _bags(logits, region)
        softplus = F.softplus(pixels.clamp(min=LINEAR)).log().where(pixels > LINEAR, pixels)
        log_total = torch.logsumexp(softplus + log_weight, -1) + log(self.instances)
        total = log_total.clamp(min=LINEAR).exp()  # -log(1 - P)
        bag = (total + (-torch.expm1(-total)).log()).where(log_total > LINEAR, log_total)
        return _cross_entropy(bag, tags, region)


@final
class LogSumExp(TagLoss):
    """Log-sum-exp pooling: the logit of a bag is a smooth maximum of the logits of its pixels.

        s = log(mean_j exp(sharpness * a_j)) / sharpness

    Source: Pinheiro & Collobert 2015, "From image-level to pixel-level labeling with convolutional
    networks".

    Example:
        >>> logits = torch.tensor([-4.0, 4.0]).view(1, 1, 1, 2)
        >>> region, tags = logits.isfinite(), torch.tensor([[True]])
        >>> LogSumExp(sharpness=100)(logits, tags, region)  # near log(1 + exp(-4)) of the maximum
        tensor(0.0183)
    """

    sharpness: Annotated[PositiveFloat, Field(examples=[5.0])]
    """Near 0, s is the mean of the logits; for large values, it is their maximum."""

    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return the mean cross-entropy of B bags and K classes, a scalar of at least float32."""
        pixels, log_weight = _bags(logits, region)
        bag = torch.logsumexp(self.sharpness * pixels + log_weight, -1) / self.sharpness
        return _cross_entropy(bag, tags, region)


@final
class MeanLogits(TagLoss):
    """Class-activation maps: the logit of a bag is the mean of the logits of its pixels.

        s = mean_j a_j

    A mean does not determine the sign of single pixels: in a bag with the class, most logits may be
    positive. As in the paper, a pixel has the class only if its logit exceeds `share` times the
    largest logit of the bag. Because new cases have no tags, the mean must also be positive.

    Source: Zhou et al. 2016, "Learning deep features for discriminative localization".

    Example:
        >>> logits = torch.tensor([-4.0, 4.0]).view(1, 1, 1, 2)
        >>> region, tags = logits.isfinite(), torch.tensor([[True]])
        >>> MeanLogits()(logits, tags, region)  # log(1 + exp(0))
        tensor(0.6931)
    """

    share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """The fraction of the bag's largest logit that a pixel must exceed, at least 0 and below 1."""

    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return the mean cross-entropy of B bags and K classes, a scalar of at least float32."""
        return _cross_entropy(_mean(logits, region), tags, region)

    def possible(self, logits: Logits, region: Tensor) -> Mask:
        """Return the pixels whose logit is large enough, in bags with a positive mean."""
        highest = logits.where(region, -torch.inf).amax((2, 3), keepdim=True)
        positive = _mean(logits, region)[:, :, None, None] > 0
        return positive & (logits > self.share * highest)


def _bags(logits: Logits, region: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of all pixels, (B, K, N), and the logarithms of their weights, (B, 1, N).

    The weights of a bag add up to 1 and are 0 outside the region. In a bag without pixels, all N
    logits are 0 and have equal weights, so that the pooled logit is finite. Both are at least
    float32.
    """
    pixels = at_least_float32(logits).where(region, 0).flatten(2)
    inside = region.flatten(2)
    inside = inside | ~inside.any(-1, keepdim=True)
    return pixels, (inside.to(pixels.dtype) / inside.sum(-1, keepdim=True)).log()


def _mean(logits: Logits, region: Tensor) -> Tensor:
    pixels, log_weight = _bags(logits, region)
    return (pixels * log_weight.exp()).sum(-1)


def _cross_entropy(bag: Tensor, tags: Tensor, region: Tensor) -> Tensor:
    """Return the mean of -log P(tag), where `bag` has the logits of P, (B, K)."""
    loss = F.softplus(torch.where(tags, -bag, bag))
    return loss.where(region.flatten(1).any(1, keepdim=True), 0).mean()
