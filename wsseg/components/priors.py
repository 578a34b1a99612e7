"""The prior that combines one prior for each class of a stage."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Self, final

import torch
from pydantic import Field

from wsseg.core.batch import Batch, Probability
from wsseg.core.contracts import check_fitted, check_probability
from wsseg.core.interfaces import Prior
from wsseg.errors import InputError


@final
class PerClass(Prior):
    """A separate prior for each class of a stage.

        phi_k = phi of the k-th prior

    Each prior is evaluated, and fitted, as if its class were the only one: its batches have the
    tags of that class only. For exclusive classes the posterior of class k is proportional to
    f_k phi_k / (1 - phi_k).
    """

    priors: Annotated[tuple[Prior, ...], Field(min_length=1)]
    """One prior for each class, in the order of the stage's classes."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of all classes, (B, K, H, W).

        Raises:
            InputError: The number of priors is not the number of classes.
        """
        if problem := self.mismatch(batch.tags.shape[1]):
            raise InputError(f"prior 'per-class': {problem}")
        each = [_with_one_class(batch, k) for k in range(len(self.priors))]
        phi = [check_probability(p, p(one), one) for p, one in zip(self.priors, each, strict=True)]
        return torch.cat(phi, dim=1)

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return this prior with each of its priors fitted to the tags of its class.

        The batches are kept in memory only if more than one prior learns from them.
        """
        learners = sum(type(prior).fit is not Prior.fit for prior in self.priors)
        shared = list(batches) if learners > 1 else batches
        fitted = tuple(
            check_fitted(prior, prior.fit(_with_one_class(batch, k) for batch in shared))
            for k, prior in enumerate(self.priors)
        )
        return self.model_copy(update={"priors": fitted})

    def mismatch(self, classes: int) -> str | None:
        """Return why the priors do not match the number of classes; None if they do."""
        number = len(self.priors)
        if number == classes:
            return None
        return f"{number} priors for {classes} classes; give one prior for each class"


def _with_one_class(batch: Batch, k: int) -> Batch:
    return replace(batch, tags=batch.tags[:, k : k + 1])
