"""A wsseg prior that depends on the distance of a pixel from the region's border."""

from collections.abc import Iterator
from functools import reduce
from math import ceil
from typing import final

import torch
from pydantic import Field, FiniteFloat, PositiveFloat
from torch import Tensor
from torch.nn import functional as F

from wsseg import Batch, Prior, Probability, hookimpl


@final
class Spatial(Prior):
    """Log-odds that change linearly with the depth of a pixel in the region.

        logit phi = border + (inside - border) min(1, d / depth_px)

    d is the distance of a pixel from the region's outermost pixels, where it is 0: the Euclidean
    distance transform of the slice minus 1. Distances are in pixels of the network's grid, because
    a batch has no spacing; scale `depth_px` if you change `input: size`. The edge of the image is
    not a border of the region. All classes get the same phi.

    Source of the distance transform: Saito & Toriwaki 1994.
    """

    border: FiniteFloat = Field(examples=[-1])
    """Log-odds at the region's outermost pixels."""
    inside: FiniteFloat = Field(examples=[0])
    """Log-odds at a depth of `depth_px` and more."""
    depth_px: PositiveFloat = Field(examples=[3])
    """Depth at which the log-odds reach `inside`, in pixels of the network's grid."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        distance_px = _distance_px(batch.region, ceil(self.depth_px) + 1)
        depth = ((distance_px - 1) / self.depth_px).clamp(0, 1)
        log_odds = self.border + (self.inside - self.border) * depth
        return log_odds.sigmoid().expand(batch.support.shape)


def _distance_px(region: Tensor, reach_px: int) -> Tensor:
    """Return the distance to the nearest pixel outside the region, (B, 1, H, W).

    The square is the minimum of (row - r)^2 + (column - c)^2 over the pixels (r, c) outside, taken
    first over rows and then over columns. It is inf where no pixel within `reach_px` is outside.
    """
    squared = torch.zeros_like(region, dtype=torch.float32).masked_fill(region, torch.inf)
    for axis in (2, 3):
        squared = reduce(torch.minimum, _neighbours(squared, reach_px, axis))
    return squared.sqrt()


def _neighbours(squared: Tensor, reach_px: int, axis: int) -> Iterator[Tensor]:
    """Yield, for each neighbour along `axis`, its value plus the squared distance to it."""
    margin = (reach_px, reach_px)
    padded = F.pad(squared, (0, 0, *margin) if axis == 2 else margin, value=torch.inf)  # noqa: PLR2004
    for k in range(2 * reach_px + 1):
        yield padded.narrow(axis, k, squared.shape[axis]) + (k - reach_px) ** 2


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Register the prior."""
    return {"spatial": Spatial}
