"""A prior for stages of several classes, made of priors for one."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Self, final

import torch
from pydantic import Field

from wsseg.core.batch import Batch, Probability
from wsseg.core.interfaces import Prior
from wsseg.errors import InputError


@final
class PerClass(Prior):
    """phi_k(x) is what the k-th of `priors` says, in the order of the stage's classes.

    Each judges, and learns, as if its class were the only one: it is shown that class's tags alone.
    Of exclusive classes, q_k is then in proportion to f_k phi_k / (1 - phi_k).
    """

    priors: Annotated[tuple[Prior, ...], Field(min_length=1)]

    def __call__(self, batch: Batch) -> Probability:
        """Judge each class by its own prior; raise `InputError` if there is not one for each."""
        if problem := self.mismatch(batch.tags.shape[1]):
            raise InputError(f"prior 'per-class': {problem}")
        alone = [prior(_alone(batch, k)) for k, prior in enumerate(self.priors)]
        return torch.cat(alone, dim=1)

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return these priors fitted. Batches come once: they are kept where others learn too."""
        learners = sum(type(prior).fit is not Prior.fit for prior in self.priors)
        shared = list(batches) if learners > 1 else batches
        fitted = tuple(
            prior.fit(_alone(batch, k) for batch in shared) for k, prior in enumerate(self.priors)
        )
        return self.model_copy(update={"priors": fitted})

    def mismatch(self, classes: int) -> str | None:
        """Say what is wrong for a stage with so many classes; None if nothing is."""
        number = len(self.priors)
        return None if number == classes else f"{number} for {classes} classes; give one each"


def _alone(batch: Batch, k: int) -> Batch:
    return replace(batch, tags=batch.tags[:, k : k + 1])
