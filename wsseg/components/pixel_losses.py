"""Losses of the M-step on pixels: the two reductions of the smooth Dice loss."""

from typing import final

import torch
from pydantic import PositiveFloat
from torch import Tensor

from wsseg.core.batch import Probability
from wsseg.core.interfaces import PixelLoss


@final
class SmoothDice(PixelLoss):
    """1 - mean over images and classes of (2 sum(f y) + s) / (sum(f) + sum(y) + s).

    Sums over an image's region; Wu 2020, eq. 2 and 11, plus 1. With s, an image without the
    class has a loss too: 0 where the network finds nothing, towards 1 the more it finds.
    """

    smooth: PositiveFloat = 1

    def __call__(self, f: Probability, y: Probability, region: Tensor) -> Tensor:
        """Return the mean of B x K losses, a float32 scalar."""
        overlap, total = _sums(f, y, region)
        return (1 - (2 * overlap + self.smooth) / (total + self.smooth)).mean()


@final
class BatchDice(PixelLoss):
    """1 - mean over classes of (2 sum(f y) + s) / (sum(f) + sum(y) + s), for a batch as a whole.

    Sums over the regions of all images of the batch: the published code of Wu 2020. An image
    without the class counts by its false positives alone.
    """

    smooth: PositiveFloat = 1

    def __call__(self, f: Probability, y: Probability, region: Tensor) -> Tensor:
        """Return the mean of K losses, a float32 scalar."""
        overlap, total = (each.sum(0) for each in _sums(f, y, region))
        return (1 - (2 * overlap + self.smooth) / (total + self.smooth)).mean()


def _sums(f: Probability, y: Probability, region: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum(f y) and sum(f) + sum(y) over the region, each (B, K).

    In float32 at least: a bfloat16 sum stops growing at 256.
    """
    exact = torch.promote_types(torch.promote_types(f.dtype, y.dtype), torch.float32)
    f = f.to(exact).where(region, 0).flatten(2)
    y = y.to(exact).where(region, 0).flatten(2)
    return (f * y).sum(-1), f.sum(-1) + y.sum(-1)
