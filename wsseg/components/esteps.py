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
    """y = 1 where f + phi > 1, the likelier label (Wu 2020, eq. 10).

    Computed as logit f + logit phi > 0: the same rule, but exact where 1 + f rounds f away.
    """

    def __call__(self, evidence: Evidence) -> Probability:
        """Return 0 and 1."""
        log_odds = evidence.log_odds
        return evidence.labels.decide(log_odds).to(log_odds.dtype)


@final
class SoftEM(EStep):
    """y = q = f phi / (f phi + (1 - f)(1 - phi)), the posterior itself."""

    def __call__(self, evidence: Evidence) -> Probability:
        """Return each class's posterior."""
        return evidence.labels.probability(evidence.log_odds)


@final
class AdaptEM(EStep):
    """HardEM with between `share` and `most` of each class's support on, image by image.

    A class that has less gets the pixels where it is furthest ahead, or least behind; one that
    has more keeps those, and the rest turns to background. That is HardEM with a bias a class
    and image on the log-odds (EM-Adapt: Papandreou et al. 2015, section 3.2, which has a share
    of 0.2 for objects and 0.4 for the background). Of exclusive classes the one named first
    takes its share first, and keeps it; where shares add up to over 1, the last has less.
    """

    share: Share = Field(examples=[0.2])
    most: Share = 1

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.most < self.share:
            raise ValueError(f"most is {self.most}, below share, which is {self.share}")
        return self

    def __call__(self, evidence: Evidence) -> Probability:
        """Return 0 and 1."""
        log_odds, labels = evidence.log_odds, evidence.labels
        pixels = evidence.batch.support.sum((2, 3))
        least = (self.share * pixels).ceil()
        most = (self.most * pixels).floor().maximum(least)
        sure = torch.finfo(log_odds.dtype).max
        for k in range(log_odds.shape[1]):
            claimed = _foremost(labels.margin(log_odds)[:, k], least[:, k])
            log_odds[:, k].masked_fill_(claimed, sure)
        on = labels.decide(log_odds) & _foremost(labels.margin(log_odds), most)
        return on.to(log_odds.dtype)


@final
class Scheduled(EStep):
    """`first` until the share `at` of the stage's steps is done, `then` from there on."""

    first: EStep = Field(examples=[{"use": "soft"}])
    then: EStep = Field(examples=[{"use": "hard"}])
    at: Share = Field(examples=[0.5])

    def __call__(self, evidence: Evidence) -> Probability:
        """Return what the E-step of the hour returns."""
        return (self.first if evidence.progress < self.at else self.then)(evidence)


def _foremost(margin: Tensor, count: Tensor) -> Tensor:
    """Mark the `count` (...) pixels with the largest `margin` (..., H, W); of equals, the first."""
    flat = margin.flatten(-2)
    order = flat.argsort(dim=-1, descending=True, stable=True)
    first = torch.arange(flat.shape[-1], device=flat.device) < count[..., None]
    return torch.zeros_like(first).scatter(-1, order, first).view_as(margin)
