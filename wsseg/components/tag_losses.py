"""Losses on tags: pixels are pooled into a logit a bag, whose cross-entropy with the tag is left.

A bag is the region of a slice, n pixels; a_j is the logit of pixel j, f_j = sigmoid(a_j).
"""

from math import log
from typing import Annotated, final

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.nn import functional as F

from wsseg.core.batch import Logits, Mask
from wsseg.core.interfaces import TagLoss

LINEAR = -10.0  # below this, log of softplus(a) is a, and log of expm1(exp(a)) is a, to 1e-4


@final
class NoisyOr(TagLoss):
    """The bag has the class unless every pixel says no: P = 1 - prod_j (1 - f_j)^(instances / n).

    With `instances` = n the noisy-or of independent pixels (Viola, Platt & Zhang 2005, "Multiple
    instance boosting"). Over tens of thousands of pixels that is 1 whatever the network does, with
    no gradient left for a bag that has the class and a huge one for a bag that has not, until
    about one pixel a bag is on. But neighbours are no independent witnesses: the exponent lets n
    pixels count as so many. It makes log(1 - P) a mean over pixels, which does not grow with
    the region; P can approach 1 when about 1 / instances of the pixels are on.

    All in logarithms: log(1 - f_j) = -softplus(a_j), and the bag's logit is
    log(expm1(instances * mean_j softplus(a_j))).
    """

    instances: Annotated[PositiveFloat, Field(examples=[10.0])]

    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return the mean of B x K cross-entropies; a bag without a pixel has none."""
        pixels, log_weight = _bags(logits, region)
        softplus = F.softplus(pixels.clamp(min=LINEAR)).log().where(pixels > LINEAR, pixels)
        log_doubt = torch.logsumexp(softplus + log_weight, -1) + log(self.instances)
        doubt = log_doubt.clamp(min=LINEAR).exp()  # -log(1 - P)
        bag = (doubt + (-torch.expm1(-doubt)).log()).where(log_doubt > LINEAR, log_doubt)
        return _cross_entropy(bag, tags, region)


@final
class LogSumExp(TagLoss):
    """The bag's logit is a smooth maximum, s = log(mean_j exp(sharpness * a_j)) / sharpness.

    Pinheiro & Collobert 2015, "From image-level to pixel-level labeling with convolutional
    networks": near 0 the mean of all pixels, for a large sharpness their maximum.
    """

    sharpness: Annotated[PositiveFloat, Field(examples=[5.0])]

    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return the mean of B x K cross-entropies; a bag without a pixel has none."""
        pixels, log_weight = _bags(logits, region)
        bag = torch.logsumexp(self.sharpness * pixels + log_weight, -1) / self.sharpness
        return _cross_entropy(bag, tags, region)


@final
class MeanLogits(TagLoss):
    """Class-activation maps: the bag's logit is mean_j a_j, and the map is a_j itself.

    Zhou et al. 2016, "Learning deep features for discriminative localization". A mean says nothing
    of where 0 lies within a bag: most pixels of a bag that has the class may be above. The paper's
    rule decides instead: a class is where the map is above `share` (theirs: 20 %) of its maximum
    in the bag; and, as a new patient has no tag, only in bags that the network itself says have it.
    """

    share: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return the mean of B x K cross-entropies; a bag without a pixel has none."""
        return _cross_entropy(_mean(logits, region), tags, region)

    def possible(self, logits: Logits, region: Tensor) -> Mask:
        """Return where the map is high enough, in bags whose mean is above 0."""
        highest = logits.where(region, -torch.inf).amax((2, 3), keepdim=True)
        positive = _mean(logits, region)[:, :, None, None] > 0
        return positive & (logits > self.share * highest)


def _bags(logits: Logits, region: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels, (B, K, N), and the log of each one's weight in a mean, (B, 1, N).

    Outside the region the weight is 0. A bag without a pixel weighs N zeros instead of nothing,
    so that its logit is finite. In float32 at least.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)
    pixels = logits.to(exact).where(region, 0).flatten(2)
    inside = region.flatten(2)
    inside = inside | ~inside.any(-1, keepdim=True)
    return pixels, (inside.to(exact) / inside.sum(-1, keepdim=True)).log()


def _mean(logits: Logits, region: Tensor) -> Tensor:
    pixels, log_weight = _bags(logits, region)
    return (pixels * log_weight.exp()).sum(-1)


def _cross_entropy(bag: Tensor, tags: Tensor, region: Tensor) -> Tensor:
    """Return the mean of -log P(tag); `bag` is the logits of P, (B, K)."""
    loss = F.softplus(torch.where(tags, -bag, bag))
    return loss.where(region.flatten(1).any(1, keepdim=True), 0).mean()
