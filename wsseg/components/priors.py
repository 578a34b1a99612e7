"""The prior that a tag implies, and a prior that combines one prior for each class."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Self, final

import torch
from pydantic import Field

from wsseg.core.batch import Batch, Evidence, Probability
from wsseg.core.class_relation import Multilabel
from wsseg.core.contracts import check_fitted, check_probability
from wsseg.core.interfaces import Prior
from wsseg.errors import InputError


@final
class TagOdds(Prior):
    """The evidence of a tag: the same phi for all pixels, from the areas with and without the tag.

        phi = 1 / (1 + rho),  that is  logit phi = -log rho
        rho = a1 (1 - share) / (a1 (1 - share) + a0)

    a1 and a0 are the areas of the regions in the images of the batch with and without the tag of
    the class; an image whose tag has the probability p adds p of its area to a1 and 1 - p to a0.
    rho is the probability of the tag, given a pixel that does not have the class:
    a1 (1 - share) such pixels are in tagged images, a0 in the others. A pixel of the class is
    always in a tagged image, so by Bayes' rule the tag multiplies its odds f / (1 - f) by 1 / rho.

    With soft EM and `cross-entropy`, pixels that look alike converge to f = (r - rho) / (1 - rho),
    where r is the proportion of them in tagged images, or to 0 if r is at most rho: pixels that are
    not more frequent in tagged images do not have the class. phi is at least 1/2, and exactly 1/2
    in a batch without untagged regions, such as those for `probe_share` in the log. On several
    devices, each device uses its own part of the batch. Each class has its own tags and its own
    phi; all have the same `share`, unless each has its own prior in `per-class`.

    To add evidence from the intensity, combine this prior in `product` with one whose phi is below
    1/2 for improbable intensities, such as `sigmoid`. A prior that is at least 1/2 everywhere, as
    in Wu et al. 2020, eq. 12 and 13, would count the tag twice.

    Source: Elkan & Noto 2008, "Learning classifiers from only positive and unlabeled data";
    du Plessis et al. 2015, "Convex formulation for learning from positive and unlabeled data".

    Example:
        >>> from wsseg import Batch
        >>> image = torch.zeros(2, 1, 1, 1, 3)  # a tagged and an untagged image of three pixels
        >>> batch = Batch(image, region=image[:, 0] == 0, tags=torch.tensor([[True], [False]]))
        >>> TagOdds(share=1 / 3)(batch)[0]  # rho = 2 / (2 + 3)
        tensor([[[0.7143, 0.7143, 0.7143]]])
    """

    share: Annotated[float, Field(ge=0, lt=1, examples=[0.3])]
    """The share of the class in the regions of tagged images, at least 0 and below 1."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each class, (B, K, H, W), constant in the batch."""
        area = batch.region.sum((1, 2, 3))[:, None]
        tags = batch.tags if batch.tag_probability is None else batch.tag_probability
        tagged = (area * tags).sum(0).float()  # (K,), in pixels
        untagged = (area.sum(0) - tagged).float()
        absent = tagged * (1 - self.share)
        rho = torch.where(untagged > 0, absent / (absent + untagged), 1)
        return (1 / (1 + rho))[:, None, None].expand(batch.support.shape)


@final
class PerClass(Prior):
    """A separate prior for each class of a stage.

        phi_k = phi of the k-th prior

    Each prior is evaluated and fitted as if its class were the only one: its batches only have the
    tags of that class. For exclusive classes, the posterior of class k is proportional to
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
        each = [batch.of_class(k) for k in range(len(self.priors))]
        phi = [check_probability(p, p(one), one) for p, one in zip(self.priors, each, strict=True)]
        return torch.cat(phi, dim=1)

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return this prior with each of its priors fitted to the tags of its class.

        The batches are kept in memory only if more than one prior learns from them.
        """
        learners = sum(type(prior).fit is not Prior.fit for prior in self.priors)
        shared = list(batches) if learners > 1 else batches
        fitted = tuple(
            check_fitted(prior, prior.fit(batch.of_class(k) for batch in shared))
            for k, prior in enumerate(self.priors)
        )
        return self.model_copy(update={"priors": fitted})

    @property
    def refits(self) -> bool:
        """Whether a prior of a class is fitted again."""
        return any(prior.refits for prior in self.priors)

    def refit(self, evidence: Iterable[Evidence]) -> Self:
        """Return this prior with each of its priors fitted to the beliefs about its class.

        The evidence is kept in memory only if more than one prior is fitted.
        """
        learners = sum(prior.refits for prior in self.priors)
        shared = list(evidence) if learners > 1 else evidence
        fitted = tuple(
            check_fitted(prior, prior.refit(_evidence_of_class(each, k) for each in shared))
            for k, prior in enumerate(self.priors)
        )
        return self.model_copy(update={"priors": fitted})

    def mismatch(self, classes: int) -> str | None:
        """Return the reason why the priors do not match the number of classes, or None."""
        number = len(self.priors)
        if number == classes:
            return None
        return f"{number} priors for {classes} classes; give one prior for each class"


def _evidence_of_class(evidence: Evidence, k: int) -> Evidence:
    """Return the evidence about class k as if it were the only one."""
    return replace(
        evidence,
        batch=evidence.batch.of_class(k),
        logits=evidence.labels.logit(evidence.logits)[:, k : k + 1],
        phi=evidence.phi[:, k : k + 1],
        labels=Multilabel(),
    )
