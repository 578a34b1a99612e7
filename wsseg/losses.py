"""Losses of the M-step: plain functions with their equation."""

from torch import Tensor

from wsseg.evidence import Probability


def smooth_dice(f: Probability, y: Probability, region: Tensor, smooth: float = 1.0) -> Tensor:
    """Mean over images and classes of 1 - (2 sum(f y) + s) / (sum(f) + sum(y) + s), all sums over the region.

    Wu 2020, eq. 2.
    """
    f, y = (f * region).flatten(2), (y * region).flatten(2)
    return (1 - (2 * (f * y).sum(-1) + smooth) / (f.sum(-1) + y.sum(-1) + smooth)).mean()
