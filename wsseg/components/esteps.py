"""The E-steps that ship with wsseg."""

from collections.abc import Iterable
from typing import Annotated, Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from wsseg.core.batch import Batch, Evidence, Probability
from wsseg.core.class_relation import Multilabel
from wsseg.core.contracts import check_fitted
from wsseg.core.interfaces import EStep
from wsseg.core.weak_labels import Bounds
from wsseg.errors import InputError

BISECTIONS = 40  # reduce an interval of at most some thousand log-odds to below 1e-8
SWEEPS = 200  # at most, over exclusive classes, whose biases depend on each other
ENOUGH = 1e-4  # sweeps end when no log-odds change by more
BINS = 10_000  # of the mean of phi, for its distribution
NEIGHBOURHOOD = 3  # pixels, the side of the square over which phi is averaged
SMALLEST_SHARE = 0.01  # a smaller estimate means that the prior does not detect the class

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
        >>> batch = Batch(image=torch.zeros(1, 1, 1, 1, 2), region=yes, tags=torch.tensor([[True]]))
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
        >>> batch = Batch(image=torch.zeros(1, 1, 1, 1, 2), region=yes, tags=torch.tensor([[True]]))
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
    the log-odds of each class in each image. If an image has its own bounds, such as a grade, they
    replace `share` and `most`. Pixels that are known to have the class always become 1.

    Exclusive classes take their shares in the order of the stage's classes. If the shares add up to
    more than 1, the last class gets less than its share.

    Source: EM-Adapt, Papandreou et al. 2015, "Weakly- and semi-supervised learning of a deep
    convolutional network for semantic image segmentation", section 3.2, with a share of 0.2 for
    objects and 0.4 for the background.
    """

    share: Share = Field(examples=[0.2])
    """The smallest share of the support with target 1, from 0 to 1."""
    most: Share = 1
    """The largest share of the support with target 1, from `share` to 1."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.most < self.share:
            raise ValueError(
                f"most is {self.most}, but must be at least share, which is {self.share}"
            )
        return self

    @property
    def takes_bounds(self) -> bool:
        """True."""
        return True

    def __call__(self, evidence: Evidence) -> Probability:
        """Return targets of 0 and 1, (B, K, H, W)."""
        log_odds, labels, known = evidence.log_odds, evidence.labels, evidence.known
        pixels = (log_odds > -torch.inf).sum((2, 3))
        lowest, highest = self._bounds(evidence.batch)
        least = (lowest * pixels).ceil()
        most = (highest * pixels).floor().maximum(least)
        if known is not None:
            most = most.maximum((known > 0).sum((2, 3)))
        largest = torch.finfo(log_odds.dtype).max
        for k in range(log_odds.shape[1]):
            claimed = top_pixels(labels.margin(log_odds)[:, k], least[:, k])
            log_odds[:, k].masked_fill_(claimed & (log_odds[:, k] > -torch.inf), largest)
        on = labels.decide(log_odds) & top_pixels(labels.margin(log_odds), most)
        return on.to(log_odds.dtype)

    def _bounds(self, batch: Batch) -> tuple[Tensor | float, Tensor | float]:
        """Return the bounds of the share; (B, K) each if images have bounds of their own."""
        if batch.bounds is None:
            return self.share, self.most
        own = batch.bounds.isnan()
        default = torch.tensor([self.share, self.most], device=own.device)
        lowest, highest = batch.bounds.where(~own, default).unbind(-1)
        return lowest, highest


@final
class ProportionEM(EStep):
    """Soft EM with a fixed share of each class in tagged regions.

        y = sigmoid(logit f + logit phi + b),    b such that the mean of y is `share`

    The mean is over the support of the class in all images of a batch, so some images may have more
    of the class and others less. Hence the targets can neither fill the regions nor vanish, and
    they depend smoothly on the network, so that rounding errors stay small. A constant factor of
    the prior's odds, such as that of `tag-odds` or of a sigmoid's midpoint, has no effect on y if
    `share` is given. For exclusive classes, y = softmax([0, a_k + logit phi_k + b_k]).

    An image with bounds of its own, such as a grade, has its own b: 0 if the mean of its posterior
    lies within them, otherwise such that the mean is the bound that it violates. Pixels that are
    known to have the class count, and keep y = 1.

    Without `share`, it is estimated once before the stage, unless all tagged images have bounds:

        share = 1 - min over c >= m of P(q <= c | tagged) / P(q <= c | untagged)

    q is the mean of phi over a pixel and its neighbours in the region, 3 x 3 pixels, and m the
    median of q in untagged regions. If all other pixels are distributed as in untagged regions,
    each ratio is at least 1 - share, and equal to it if all pixels of the class have a q above c;
    pixels of the class with a smaller q make the estimate too small. With phi of single pixels in
    place of q, noise would make it much too small; with a c below m, it would depend on few pixels.

    Source: Garg et al. 2021, "Mixture proportion estimation and PU learning: a modern approach".
    Here, c >= m takes the place of their confidence bound, and their discarded pixels are the
    complement of y.

    Example:
        >>> from wsseg import Batch, Evidence
        >>> yes = torch.ones(1, 1, 1, 2, dtype=torch.bool)
        >>> batch = Batch(image=torch.zeros(1, 1, 1, 1, 2), region=yes, tags=torch.tensor([[True]]))
        >>> f, phi = torch.tensor([[[[0.6, 0.6]]]]), torch.tensor([[[[0.8, 0.8]]]])
        >>> ProportionEM(share=0.3)(Evidence(batch, f.logit(), phi))
        tensor([[[[0.3000, 0.3000]]]])
    """

    share: Share | tuple[Share, ...] | None = None
    """The share of the support, one number or one for each class, from 0 to 1; null: estimated."""

    @property
    def separates_images(self) -> bool:
        """False: the share applies to all images of a batch together."""
        return False

    @property
    def takes_bounds(self) -> bool:
        """True."""
        return True

    def fit(self, evidence: Iterable[Evidence]) -> Self:
        """Return this E-step with an estimate of `share` for each class, if it has none.

        Raises:
            InputError: A class has only tagged or only untagged regions, or the prior is not larger
                in tagged than in untagged ones.
        """
        if self.share is not None:
            return self
        counts, needed = torch.zeros(()), False
        for each in evidence:
            counts = counts + _phi_counts(each)
            needed |= bool((_without_bounds(each.batch) & each.batch.tags).any())
        if counts.ndim and not needed:
            return self
        if not counts.ndim:
            raise InputError(
                "E-step proportion: there is no image to estimate the share from; set share"
            )
        return self.model_copy(update={"share": tuple(map(_share, counts.unbind()))})

    def __call__(self, evidence: Evidence) -> Probability:
        """Return targets between 0 and 1, (B, K, H, W).

        Raises:
            InputError: There is not one share for each class.
        """
        log_odds, labels, known = evidence.log_odds, evidence.labels, evidence.known
        possible, classes = log_odds > -torch.inf, log_odds.shape[1]
        certain = None if known is None else known > 0
        groups = self._groups(evidence.batch)
        for _ in range(1 if isinstance(labels, Multilabel) else SWEEPS):
            changes = []
            for k in range(classes):
                belief, before = labels.logit(log_odds)[:, k], log_odds[:, k].clone()
                for images, bounds in groups[k]:
                    inside = possible[:, k] & images[:, None, None]
                    fixed = None if certain is None else certain[:, k][inside]
                    change = _bias_within(belief[inside], fixed, *bounds)
                    log_odds[:, k] = log_odds[:, k].where(~images[:, None, None], before + change)
                    changes.append(change.abs())
            if max(changes) < ENOUGH:
                break
        return labels.probability(log_odds)

    def _groups(self, batch: Batch) -> list[list[tuple[Tensor, Bounds]]]:
        """Return for each class the images that share one b, (B,) bool, and the bounds of y's mean.

        An image with bounds is a group of its own; all others are one group.
        """
        together = _without_bounds(batch)
        shares = self._shares(batch.tags.shape[1]) if together.any() else ()
        groups = [[(together[:, k], (share, share))] for k, share in enumerate(shares)]
        groups = groups or [[] for _ in together.T]
        if batch.bounds is not None:
            place = torch.arange(len(together), device=together.device)
            for i, k in (~together).nonzero().tolist():
                low, high = batch.bounds[i, k].tolist()
                groups[k].append((place == i, (low, high)))
        return groups

    def _shares(self, classes: int) -> tuple[float, ...]:
        if self.share is None:
            raise InputError(
                "E-step proportion: the share has not been estimated yet; set share, or call fit()"
            )
        shares = self.share if isinstance(self.share, tuple) else (self.share,) * classes
        if len(shares) != classes:
            raise InputError(
                f"E-step proportion: {len(shares)} shares for {classes} classes; "
                "give one number, or one for each class"
            )
        return shares


@final
class Scheduled(EStep):
    """Two E-steps, one after the other, such as soft EM followed by hard EM."""

    first: EStep = Field(examples=[{"use": "soft"}])
    """The E-step at the start of the stage."""
    then: EStep = Field(examples=[{"use": "hard"}])
    """The E-step for the rest of the stage."""
    at: Share = Field(examples=[0.5])
    """The fraction of the stage's steps after which `then` replaces `first`, from 0 to 1."""

    @property
    def separates_images(self) -> bool:
        """Whether both E-steps separate images."""
        return self.first.separates_images and self.then.separates_images

    @property
    def takes_bounds(self) -> bool:
        """Whether both E-steps take bounds."""
        return self.first.takes_bounds and self.then.takes_bounds

    def fit(self, evidence: Iterable[Evidence]) -> Self:
        """Return this E-step with both of its E-steps fitted."""
        shared = list(evidence)
        fitted = {
            name: check_fitted(each, each.fit(shared))
            for name, each in (("first", self.first), ("then", self.then))
        }
        return self.model_copy(update=fitted)

    def __call__(self, evidence: Evidence) -> Probability:
        """Return the targets of the E-step that is scheduled for `evidence.progress`."""
        return (self.first if evidence.progress < self.at else self.then)(evidence)


def top_pixels(margin: Tensor, count: Tensor) -> Tensor:
    """Return the mask of the `count` (...) pixels with the largest `margin` (..., H, W).

    Of pixels with equal margins, the first ones are taken.
    """
    flat = margin.flatten(-2)
    order = flat.argsort(dim=-1, descending=True, stable=True)
    first = torch.arange(flat.shape[-1], device=flat.device) < count[..., None]
    return torch.zeros_like(first).scatter(-1, order, first).view_as(margin)


def _bias_within(log_odds: Tensor, certain: Tensor | None, low: float, high: float) -> Tensor:
    """Return the smallest b for which the mean of y = sigmoid(log_odds + b) lies within bounds.

    `certain` pixels, if there are any, have y = 1 for every b.
    """
    others = log_odds if certain is None else log_odds[~certain]
    fixed, share = len(log_odds) - len(others), low
    if low < high:
        mean = float(others.sigmoid().sum() + fixed) / max(len(log_odds), 1)
        if low <= mean <= high or not len(log_odds):
            return log_odds.new_zeros(())
        share = low if mean < low else high
    if fixed:
        share = min(max((share * len(log_odds) - fixed) / max(len(others), 1), 0.0), 1.0)
    return _bias(others, share)


def _without_bounds(batch: Batch) -> Tensor:
    """Return where images have no bounds on the share of a class, (B, K) bool."""
    if batch.bounds is None:
        return torch.ones_like(batch.tags)
    return batch.bounds.isnan().any(-1)


def _bias(log_odds: Tensor, share: float) -> Tensor:
    """Return b such that sigmoid(log_odds + b) has the mean `share`; 0 without log-odds."""
    if log_odds.numel() == 0:
        return log_odds.new_zeros(())
    low, high = -log_odds.max() - BISECTIONS, -log_odds.min() + BISECTIONS
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        too_small = (log_odds + middle).sigmoid().mean() < share
        low, high = torch.where(too_small, middle, low), torch.where(too_small, high, middle)
    return (low + high) / 2


def _phi_counts(evidence: Evidence) -> Tensor:
    """Return how many pixels of the regions have a mean phi in each bin, (K, 2, BINS).

    The second axis is 0 for images without the tag of the class and 1 for those with it.
    """
    batch = evidence.batch
    bins = (_means(evidence.phi, batch.region) * BINS).long().clamp(0, BINS - 1)
    counts = [
        bins[:, k][batch.region[:, 0] & (batch.tags[:, k, None, None] == tagged)].bincount(
            minlength=BINS
        )
        for k in range(bins.shape[1])
        for tagged in (False, True)
    ]
    return torch.stack(counts).view(bins.shape[1], 2, BINS)


def _means(phi: Tensor, region: Tensor) -> Tensor:
    """Return the mean of phi over a pixel and its neighbours in the region, (B, K, H, W)."""
    inside = region.double()
    sums, pixels = (
        F.avg_pool2d(each, NEIGHBOURHOOD, stride=1, padding=NEIGHBOURHOOD // 2)
        for each in (phi.double() * inside, inside)
    )
    return (sums / pixels).nan_to_num()  # where a pixel has no neighbour in the region, 0 / 0


def _share(counts: Tensor) -> float:
    """Return 1 - min P(q <= c | tagged) / P(q <= c | untagged) from counts by bin, (2, BINS)."""
    untagged, tagged = counts.double()
    if not untagged.any() or not tagged.any():
        missing = "without" if tagged.any() else "with"
        raise InputError(
            "E-step proportion: the share of a class cannot be estimated, because no region "
            f"{missing} its tag was found; set share"
        )
    below, tagged_below = (each.cumsum(0) / each.sum() for each in (untagged, tagged))
    upper = below >= 1 / 2
    share = 1 - float((tagged_below[upper] / below[upper]).min())
    if share < SMALLEST_SHARE:
        raise InputError(
            f"E-step proportion: the estimated share of a class is {share:.3f}, because the prior "
            "is not higher in tagged than in untagged regions; use another prior, or set share"
        )
    return share
