"""wsseg priors that combine other priors: the sum or the mean of their log-odds."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Self, final

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor

from wsseg import CERTAIN, Batch, Evidence, Logits, Prior, Probability, hookimpl

BELOW_ONE = 1 - 2**-24  # the largest float32 below 1

Priors = Annotated[
    tuple[Prior, ...],
    Field(min_length=1, examples=[[{"use": "constant"}, {"use": "hu-sigmoid"}]]),
]


class Combination(Prior):
    """A prior that combines others, each of which learns on its own."""

    priors: Priors
    """The priors to combine."""

    @property
    def refits(self) -> bool:
        """Whether a prior is fitted again after each epoch."""
        return any(prior.refits for prior in self.priors)

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return the combination of the fitted priors.

        The batches are kept in memory only if more than one prior learns from them.
        """
        learners = sum(type(prior).fit is not Prior.fit for prior in self.priors)
        shared = list(batches) if learners > 1 else batches
        return self.model_copy(update={"priors": tuple(p.fit(shared) for p in self.priors)})

    def refit(self, evidence: Iterable[Evidence]) -> Self:
        """Return the combination of the priors, each fitted to the network's beliefs."""
        learners = sum(prior.refits for prior in self.priors)
        shared = list(evidence) if learners > 1 else evidence
        return self.model_copy(update={"priors": tuple(p.refit(shared) for p in self.priors)})


@final
class Product(Combination):
    """The sum of the log-odds of several priors: a product of independent experts.

        logit phi = sum_i logit phi_i
        phi = prod_i phi_i / (prod_i phi_i + prod_i (1 - phi_i))

    Where one prior is certain (phi of 0 or 1) and the others are not, phi is that of the certain
    one. Priors that are certain of opposite labels cancel.

    Source: Hinton 2002, "Training products of experts by minimizing contrastive divergence".
    """

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        return _probability(_log_odds(self.priors, batch).sum(0))


@final
class Blend(Combination):
    """The weighted mean of the log-odds of several priors: a logarithmic opinion pool.

        logit phi = sum_i w_i logit phi_i / sum_i w_i

    If all priors have the same phi, the blend has it too. Where one prior is certain (phi of 0
    or 1) and the others are not, phi is that of the certain one, whatever its weight.

    Source: Genest & Zidek 1986, "Combining probability distributions".
    """

    priors: Priors
    """The priors to combine."""
    weights: tuple[PositiveFloat, ...] = Field(examples=[[2, 1]])
    """The weight of each prior; only their ratios matter."""

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if len(self.weights) != len(self.priors):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.priors)} priors; give one weight for "
                "each prior"
            )
        return self

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        log_odds = _log_odds(self.priors, batch)
        certain = log_odds.where(log_odds.abs() == CERTAIN, 0)
        shares = torch.tensor(self.weights, device=log_odds.device) / sum(self.weights)
        mean = torch.tensordot(shares, log_odds - certain, dims=1)
        return _probability(mean + certain.sum(0))


def _log_odds(priors: Sequence[Prior], batch: Batch) -> Tensor:
    """Return the log-odds of each prior, (priors, B, K, H, W), with ±CERTAIN instead of ±inf."""
    each = [prior(batch).float().logit().clamp(-CERTAIN, CERTAIN) for prior in priors]
    return torch.stack(each)


def _probability(log_odds: Logits) -> Probability:
    """Return the sigmoid; it rounds to 1 only where a prior is certain."""
    phi = log_odds.sigmoid()
    return phi.where(log_odds > CERTAIN / 2, phi.clamp(max=BELOW_ONE))


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Register the two priors."""
    return {"product": Product, "blend": Blend}
