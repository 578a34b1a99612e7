"""wsseg priors made of other priors: the sum or the mean of their log-odds."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Self, final

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor

from wsseg import CERTAIN, Batch, Logits, Prior, Probability, hookimpl

ALMOST = 1 - 2**-24  # the float32 below 1: only a certain prior may round to certainty

Priors = Annotated[
    tuple[Prior, ...],
    Field(min_length=1, examples=[[{"use": "constant"}, {"use": "hu-sigmoid"}]]),
]


@final
class Product(Prior):
    """Independent judgements of one pixel: logit phi = sum_i logit phi_i.

    That is phi = prod phi_i / (prod phi_i + prod (1 - phi_i)), a product of experts (Hinton
    2002) between two labels. A certain prior (phi of 0 or 1) overrules all that doubt; two that
    are certain of the opposite cancel.
    """

    priors: Priors

    def __call__(self, batch: Batch) -> Probability:
        """Add what each prior says."""
        return _probability(_log_odds(self.priors, batch).sum(0))

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return the product of the fitted priors."""
        return self.model_copy(update={"priors": _fitted(self.priors, batches)})


@final
class Blend(Prior):
    """Opinions about the same thing: logit phi = sum_i w_i logit phi_i / sum_i w_i.

    The logarithmic opinion pool (Genest & Zidek 1986): what all agree on stays as it is, however
    many they are. A certain prior (phi of 0 or 1) overrules all that doubt, whatever its weight.
    """

    priors: Priors
    weights: tuple[PositiveFloat, ...] = Field(examples=[[2, 1]])  # one a prior; only ratios matter

    @model_validator(mode="after")
    def _one_weight_a_prior(self) -> Self:
        if len(self.weights) != len(self.priors):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.priors)} priors; give one each"
            )
        return self

    def __call__(self, batch: Batch) -> Probability:
        """Average what each prior says."""
        log_odds = _log_odds(self.priors, batch)
        certain = log_odds.where(log_odds.abs() == CERTAIN, 0)
        shares = torch.tensor(self.weights, device=log_odds.device) / sum(self.weights)
        mean = torch.tensordot(shares, log_odds - certain, dims=1)
        return _probability(mean + certain.sum(0))

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return the blend of the fitted priors."""
        return self.model_copy(update={"priors": _fitted(self.priors, batches)})


def _log_odds(priors: Sequence[Prior], batch: Batch) -> Tensor:
    """Return (priors, B, K, H, W), where certainty is finite."""
    each = [prior(batch).float().logit().clamp(-CERTAIN, CERTAIN) for prior in priors]
    return torch.stack(each)


def _probability(log_odds: Logits) -> Probability:
    phi = log_odds.sigmoid()
    return phi.where(log_odds > CERTAIN / 2, phi.clamp(max=ALMOST))


def _fitted(priors: Sequence[Prior], batches: Iterable[Batch]) -> tuple[Prior, ...]:
    """Fit each prior. Batches come once: they are kept only where more than one prior learns."""
    learners = [prior for prior in priors if type(prior).fit is not Prior.fit]
    shared = list(batches) if len(learners) > 1 else batches
    return tuple(prior.fit(shared) for prior in priors)


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Offer the two ways to combine priors."""
    return {"product": Product, "blend": Blend}
