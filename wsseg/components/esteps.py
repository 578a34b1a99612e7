"""The E-steps that ship with wsseg."""

from typing import Annotated, Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor

from wsseg.core.batch import Evidence, Probability
from wsseg.core.interfaces import EStep

Share = Annotated[float, Field(ge=0, le=1)]


@final
class HardEM(EStep):
    """Hard EM: the target is the label with the larger posterior.

        y = 1 if f + phi > 1, else 0

    f is the network's probability, phi the prior. The rule is computed as logit f + logit phi > 0,
    which is equivalent and remains exact where 1 + f rounds to 1. For exclusive classes the target
    is the class, or the background, with the largest posterior.

    Source: Wu et al. 2020, eq. 10.

    Example:
        >>> from wsseg import Batch, Evidence
        >>> yes = torch.ones(1, 1, 1, 2, dtype=torch.bool)
        >>> batch = Batch(image=torch.zeros(1, 1, 1, 2), region=yes, tags=torch.tensor([[True]]))
        >>> f, phi = torch.tensor([[[[0.5, 0.25]]]]), torch.tensor([[[[0.6, 0.6]]]])
        >>> HardEM()(Evidence(batch, f.logit(), phi))
        tensor([[[[1., 0.]]]])
    """

    def __call__(self, evidence: Evidence) -> Probability:
        """Return targets of 0 and 1, (B, K, H, W)."""
        log_odds = evidence.log_odds
        return evidence.labels.decide(log_odds).to(log_odds.dtype)


@final
class SoftEM(EStep):
    """Soft EM: the target is the posterior probability.

        y = f phi / (f phi + (1 - f) (1 - phi)) = sigmoid(logit f + logit phi)

    f is the network's probability, phi the prior. For exclusive classes,
    y = softmax([0, a_k + logit phi_k]) with the network's logits a_k and 0 for the background.

    Source: Wu et al. 2020, appendix.

    Example:
        >>> from wsseg import Batch, Evidence
        >>> yes = torch.ones(1, 1, 1, 2, dtype=torch.bool)
        >>> batch = Batch(image=torch.zeros(1, 1, 1, 2), region=yes, tags=torch.tensor([[True]]))
        >>> f, phi = torch.tensor([[[[0.5, 0.25]]]]), torch.tensor([[[[0.6, 0.6]]]])
        >>> SoftEM()(Evidence(batch, f.logit(), phi))
        tensor([[[[0.6000, 0.3333]]]])
    """

    def __call__(self, evidence: Evidence) -> Probability:
        """Return the posterior of each class, (B, K, H, W)."""
        return evidence.labels.probability(evidence.log_odds)


@final
class AdaptEM(EStep):
    """Hard EM with bounds on the share of each class in each image that has its tag.

    If n pixels are in the support of a class in an image, at least ceil(`share` n) and at most
    max(floor(`most` n), ceil(`share` n)) of them become 1. They are those with the largest margin:
    the log-odds of the class minus those of the best alternative. This is `HardEM` with a bias on
    the log-odds of each class in each image.

    Exclusive classes take their shares in the order of the stage's classes. If the shares add up to
    more than 1, the last class gets less than its share.

    Source: EM-Adapt, Papandreou et al. 2015, "Weakly- and semi-supervised learning of a deep
    convolutional network for semantic image segmentation", section 3.2, with a share of 0.2 for
    objects and 0.4 for the background.
    """

    share: Share = Field(examples=[0.2])
    """The smallest share of the support's pixels that become 1, from 0 to 1."""
    most: Share = 1
    """The largest share of the support's pixels that become 1, from `share` to 1."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.most < self.share:
            raise ValueError(f"most is {self.most}; it must be at least share, {self.share}")
        return self

    def __call__(self, evidence: Evidence) -> Probability:
        """Return targets of 0 and 1, (B, K, H, W)."""
        log_odds, labels = evidence.log_odds, evidence.labels
        pixels = evidence.batch.support.sum((2, 3))
        least = (self.share * pixels).ceil()
        most = (self.most * pixels).floor().maximum(least)
        largest = torch.finfo(log_odds.dtype).max
        for k in range(log_odds.shape[1]):
            claimed = _top_pixels(labels.margin(log_odds)[:, k], least[:, k])
            log_odds[:, k].masked_fill_(claimed, largest)
        on = labels.decide(log_odds) & _top_pixels(labels.margin(log_odds), most)
        return on.to(log_odds.dtype)


@final
class Scheduled(EStep):
    """Two E-steps, one after the other, such as soft EM followed by hard EM."""

    first: EStep = Field(examples=[{"use": "soft"}])
    """The E-step at the start of the stage."""
    then: EStep = Field(examples=[{"use": "hard"}])
    """The E-step from the step `at` on."""
    at: Share = Field(examples=[0.5])
    """When `then` replaces `first`, as a share of the stage's steps, from 0 to 1."""

    def __call__(self, evidence: Evidence) -> Probability:
        """Return the targets of the E-step that is scheduled for `evidence.progress`."""
        return (self.first if evidence.progress < self.at else self.then)(evidence)


def _top_pixels(margin: Tensor, count: Tensor) -> Tensor:
    """Return the mask of the `count` (...) pixels with the largest `margin` (..., H, W).

    Of equal margins, the first pixels are in the mask.
    """
    flat = margin.flatten(-2)
    order = flat.argsort(dim=-1, descending=True, stable=True)
    first = torch.arange(flat.shape[-1], device=flat.device) < count[..., None]
    return torch.zeros_like(first).scatter(-1, order, first).view_as(margin)
