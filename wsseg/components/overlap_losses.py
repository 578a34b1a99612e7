"""Overlap losses for the M-step: smooth Dice, per image or over the batch, and Tversky.

Dice losses of other packages cannot exclude pixels by a mask and sum in the type of their input.

Each loss is a ratio of two functions that are linear in the probability f_j of a pixel, so it is
monotone in each f_j. Its minimum is at a corner, where every f_j is 0 or 1, even if the targets are
between 0 and 1. In EM, networks trained with these losses do not learn the posterior probability;
with `cross-entropy`, they do.
"""

from typing import Annotated, Literal, final

from pydantic import Field, PositiveFloat
from torch import Tensor

from wsseg.core.batch import Batch, Logits, Probability, at_least_float32
from wsseg.core.class_relation import ClassRelation
from wsseg.core.interfaces import PixelLoss


@final
class SmoothDice(PixelLoss):
    """Smooth Dice loss, averaged over images and classes.

        L = 1 - mean over images and classes of (2 sum(f y) + s) / (sum(f) + sum(y) + s)

    f is the network's probability and y the target, both (B, K, H, W); the sums are over the region
    of an image. Because of s, the loss of an image without the class is 0 if the network finds
    nothing, and approaches 1 the more it finds.

    It is only minimised where f is 0 or 1, even for soft targets. The M-step of EM is
    `cross-entropy`; the paper uses this loss instead.

    Source: Wu et al. 2020, eq. 2 and 11, plus 1.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Multilabel
        >>> logits, y = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])  # two pixels
        >>> batch = Batch(torch.zeros(1, 1, 1, 1, 2), region=y >= 0, tags=torch.tensor([[True]]))
        >>> SmoothDice()(logits, y, batch, Multilabel())  # 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
        tensor(0.3333)
    """

    smooth: PositiveFloat = 1
    """s, in pixels; it limits how much a few pixels change the loss of an almost empty image."""

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        """Return the mean of the losses of B images and K classes, a scalar of at least float32."""
        overlap, found, true = _sums(logits, y, batch, relation)
        return (1 - (2 * overlap + self.smooth) / (found + true + self.smooth)).mean()


@final
class BatchDice(PixelLoss):
    """Smooth Dice loss of a batch, averaged over classes.

        L = 1 - mean over classes of (2 sum(f y) + s) / (sum(f) + sum(y) + s)

    f is the network's probability and y the target, both (B, K, H, W); the sums are over the
    regions of all images of the batch. An image without the class contributes only its false
    positives. Like `smooth-dice`, it is only minimised where f is 0 or 1.

    Source: the published code of Wu et al. 2020.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Multilabel
        >>> logits, y = torch.zeros(2, 1, 1, 1), torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)
        >>> batch = Batch(torch.zeros(2, 1, 1, 1, 1), region=y >= 0, tags=y[:, :, 0, 0] > 0)
        >>> BatchDice()(logits, y, batch, Multilabel())  # 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
        tensor(0.3333)
    """

    smooth: PositiveFloat = 1
    """s, in pixels; it limits how much a few pixels change the loss of an almost empty batch."""

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        """Return the mean of the losses of K classes, a scalar of at least float32."""
        overlap, found, true = _sums(logits, y, batch, relation)
        total = (found + true).sum(0)
        return (1 - (2 * overlap.sum(0) + self.smooth) / (total + self.smooth)).mean()


@final
class Tversky(PixelLoss):
    """Tversky loss: Dice with separate weights of false positives and false negatives.

        L = 1 - mean of (2 TP + s) / (2 TP + 2 alpha FP + 2 beta FN + s)
        TP = sum(f y),  FP = sum(f (1 - y)),  FN = sum((1 - f) y)

    f is the network's probability and y the target, both (B, K, H, W). With alpha = beta = 1/2 it
    is `smooth-dice` or, over the batch, `batch-dice`; with a larger beta, the network misses less
    and marks more. Like them, it is only minimised where f is 0 or 1.

    Source: Salehi, Erdogmus & Gholipour 2017, "Tversky loss function for image segmentation using
    3D fully convolutional deep networks", with alpha 0.3 and beta 0.7; s is an addition.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Multilabel
        >>> logits, y = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])  # two pixels
        >>> batch = Batch(torch.zeros(1, 1, 1, 1, 2), region=y >= 0, tags=torch.tensor([[True]]))
        >>> Tversky(alpha=0.2, beta=0.8)(logits, y, batch, Multilabel())  # 1 - 2 / (1 + 0.2 + 1.8)
        tensor(0.3333)
    """

    alpha: Annotated[float, Field(ge=0)] = 0.3
    """The weight of false positives."""
    beta: Annotated[float, Field(ge=0)] = 0.7
    """The weight of false negatives."""
    smooth: PositiveFloat = 1
    """s, in pixels; it limits how much a few pixels change the loss where the class is rare."""
    reduction: Literal["image", "batch"] = "image"
    """image: sums are over the region of an image, and losses are averaged over images and classes;
    batch: sums are over the regions of the batch, and losses are averaged over classes."""

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        """Return the mean of the losses, a scalar of at least float32."""
        overlap, found, true = _sums(logits, y, batch, relation)
        if self.reduction == "batch":
            overlap, found, true = overlap.sum(0), found.sum(0), true.sum(0)
        errors = self.alpha * (found - overlap) + self.beta * (true - overlap)
        return (1 - (2 * overlap + self.smooth) / (2 * (overlap + errors) + self.smooth)).mean()


def _sums(
    logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sum(f y), sum(f) and sum(y) over the region of each image, each (B, K).

    The sums are at least float32: a sum in bfloat16 stops growing at 256.
    """
    f = relation.probability(at_least_float32(logits)).where(batch.region, 0).flatten(2)
    y = at_least_float32(y).where(batch.region, 0).flatten(2)
    return (f * y).sum(-1), f.sum(-1), y.sum(-1)
