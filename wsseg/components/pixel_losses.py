"""Losses on pixels for the M-step: the smooth Dice loss, per image or over the batch."""

from typing import final

from pydantic import PositiveFloat
from torch import Tensor

from wsseg.core.batch import Probability, at_least_float32
from wsseg.core.interfaces import PixelLoss


@final
class SmoothDice(PixelLoss):
    """Smooth Dice loss, averaged over images and classes.

        L = 1 - mean over images and classes of (2 sum(f y) + s) / (sum(f) + sum(y) + s)

    f is the network's probability and y the target, both (B, K, H, W); the sums are over the region
    of an image. Because of s, the loss of an image without the class is 0 if the network finds
    nothing, and approaches 1 the more it finds.

    Source: Wu et al. 2020, eq. 2 and 11, plus 1.

    Example:
        >>> import torch
        >>> f, y = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
        >>> f, y = f.view(1, 1, 1, 2), y.view(1, 1, 1, 2)  # one image of two pixels
        >>> SmoothDice()(f, y, region=y >= 0)  # 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
        tensor(0.3333)
    """

    smooth: PositiveFloat = 1
    """s, in pixels: the larger, the less a few pixels change the loss of an almost empty image."""

    def __call__(self, f: Probability, y: Probability, region: Tensor) -> Tensor:
        """Return the mean of the losses of B images and K classes, a float32 scalar."""
        overlap, total = _sums(f, y, region)
        return (1 - (2 * overlap + self.smooth) / (total + self.smooth)).mean()


@final
class BatchDice(PixelLoss):
    """Smooth Dice loss of a batch, averaged over classes.

        L = 1 - mean over classes of (2 sum(f y) + s) / (sum(f) + sum(y) + s)

    f is the network's probability and y the target, both (B, K, H, W); the sums are over the
    regions of all images of the batch. An image without the class contributes only its false
    positives.

    Source: the published code of Wu et al. 2020.

    Example:
        >>> import torch
        >>> f, y = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
        >>> f, y = f.view(2, 1, 1, 1), y.view(2, 1, 1, 1)  # two images of one pixel
        >>> BatchDice()(f, y, region=y >= 0)  # 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
        tensor(0.3333)
    """

    smooth: PositiveFloat = 1
    """s, in pixels: the larger, the less a few pixels change the loss of an almost empty batch."""

    def __call__(self, f: Probability, y: Probability, region: Tensor) -> Tensor:
        """Return the mean of the losses of K classes, a float32 scalar."""
        overlap, total = (each.sum(0) for each in _sums(f, y, region))
        return (1 - (2 * overlap + self.smooth) / (total + self.smooth)).mean()


def _sums(f: Probability, y: Probability, region: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum(f y) and sum(f) + sum(y) over the region, each (B, K).

    The sums are at least float32: a sum in bfloat16 stops growing at 256.
    """
    f = at_least_float32(f).where(region, 0).flatten(2)
    y = at_least_float32(y).where(region, 0).flatten(2)
    return (f * y).sum(-1), f.sum(-1) + y.sum(-1)
