"""Losses for the M-step that score the probability of each pixel's label: cross-entropy and focal.

The losses of segmentation-models-pytorch and MONAI are not used because they average over pixels
outside the region, sum in the type of their input, or need targets of 0 and 1.

A pixel has L labels. Independent classes: each class and its absence, L = 2 K. Exclusive classes:
each class and the background, L = K + 1. f_l is the network's probability of label l, and y_l its
target: y_k for a class, 1 - y_k for its absence, 1 - sum_k y_k for the background. Logarithms are
computed from logits. Sums over the pixels j of a batch's regions are at least float32. A batch
without region has a loss of 0.
"""

from typing import Annotated, Literal, final

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from wsseg.core.batch import Batch, Logits, Probability, at_least_float32
from wsseg.core.class_relation import ClassRelation
from wsseg.core.interfaces import PixelLoss


@final
class CrossEntropy(PixelLoss):
    """Cross-entropy of the targets and the network: the M-step of EM in theory.

        balance none:    L = -1/N sum_jl y_jl log f_jl
        balance labels:  L = -1/L sum_l (sum_j y_jl log f_jl / max(1, sum_j y_jl))

    For independent classes, the terms of a class are -y log f - (1 - y) log(1 - f); for exclusive
    ones, those of a pixel are -sum_k y_k log f_k - (1 - sum_k y_k) log f_0 with the background f_0.
    N is the number of pixels in the regions of the batch, times K for independent classes; L is the
    number of labels, 2 K or K + 1.

    Without balance, this is -log P(y | f) of the M-step, divided by N. For pixels that look alike,
    the best f is the mean of their targets. f is therefore a calibrated posterior, and the E-step
    may add its log-odds to those of the prior. `smooth-dice`, which the paper uses instead, is only
    minimised where f is 0 or 1, and `focal` by an f nearer to 1/2.

    Source: Wu et al. 2020, eq. 32.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Multilabel
        >>> logits, y = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.2]]]])  # two pixels
        >>> batch = Batch(torch.zeros(1, 1, 1, 1, 2), region=y >= 0, tags=torch.tensor([[True]]))
        >>> CrossEntropy()(logits, y, batch, Multilabel())  # log 2
        tensor(0.6931)
    """

    balance: Literal["none", "labels"] = "none"
    """none: all pixels have the same weight; labels: each label has the same total weight, a class
    as much as its absence or the background, unless its targets in a batch add up to less than one
    pixel. f is then no longer calibrated: if a class has a share s of the targets, its odds are
    (1 - s) / s times too large."""

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        """Return the mean cross-entropy over the regions, a scalar of at least float32."""
        log_f, y = _labels(logits, y, batch, relation)
        terms = y * log_f
        if self.balance == "none":
            return -terms.sum() / y.sum().clamp(min=1)
        pixels = (0, 2, 3)
        return -(terms.sum(pixels) / y.sum(pixels).clamp(min=1)).mean()


@final
class Focal(PixelLoss):
    """Focal loss: cross-entropy in which pixels with a probable label count less.

        L = -1/N sum_jl alpha_l (1 - f_jl)^gamma y_jl log f_jl

    alpha_l is `alpha` for a class, and 1 - `alpha` for its absence or the background. N is the
    number of pixels in the regions of the batch, times K for independent classes; the paper, which
    detects objects, divides by the number of objects instead. With gamma = 0 and `alpha: null` this
    is `cross-entropy`. With a larger gamma, the best f for pixels that look alike is nearer to 1/2
    than the mean of their targets, so f is not a calibrated posterior.

    Source: Lin et al. 2017, "Focal loss for dense object detection", eq. 5.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Multilabel
        >>> logits, y = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])  # two pixels
        >>> batch = Batch(torch.zeros(1, 1, 1, 1, 2), region=y >= 0, tags=torch.tensor([[True]]))
        >>> Focal()(logits, y, batch, Multilabel())  # (0.25 + 0.75) / 2 * (1 / 2)^2 * log 2
        tensor(0.0866)
    """

    alpha: Annotated[float, Field(gt=0, lt=1)] | None = 0.25
    """The weight of the classes, from 0 to 1; null: all labels have a weight of 1."""
    gamma: NonNegativeFloat = 2
    """The exponent: larger values give less weight to pixels with a probable label."""

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        """Return the mean focal loss over the regions, a scalar of at least float32."""
        classes = logits.shape[1]
        log_f, y = _labels(logits, y, batch, relation)
        smallest = torch.finfo(log_f.dtype).tiny  # the gradient of 0^gamma can be infinite
        rest = -torch.expm1(log_f)  # 1 - f
        terms = rest.clamp(min=smallest).pow(self.gamma) * y * log_f
        total = terms.sum((0, 2, 3))
        if self.alpha is not None:
            weights = [self.alpha] * classes + [1 - self.alpha] * (len(total) - classes)
            total = total * total.new_tensor(weights)
        return -total.sum() / y.sum().clamp(min=1)


def _labels(
    logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
) -> tuple[Tensor, Tensor]:
    """Return log f and the targets of all labels, each (B, L, H, W) and 0 outside the region."""
    inside = batch.region
    log_f = relation.log_distribution(at_least_float32(logits).where(inside, 0))
    all_y = relation.distribution(at_least_float32(y).where(inside, 0))
    return log_f.where(inside, 0), all_y.where(inside, 0)
