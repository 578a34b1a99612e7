"""A wsseg prior that knows how far from the region's border a pixel lies."""

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
    """logit phi = border + (inside - border) min(1, d / depth_px): it rises or falls with depth.

    d is how many pixels lie between a pixel and the region's outermost ones: 0 on these, by the
    Euclidean distance transform of the slice (Saito & Toriwaki 1994). Pixels are those of the
    network's grid (`input: size`), since a batch knows no spacing: on another grid, scale
    `depth_px`. The image's own edge is no border. Every class gets the same phi.
    """

    border: FiniteFloat = Field(examples=[-1])  # log-odds on the outermost pixels; 0: no opinion
    inside: FiniteFloat = Field(examples=[0])  # log-odds `depth_px` further in, and from there on
    depth_px: PositiveFloat = Field(examples=[3])

    def __call__(self, batch: Batch) -> Probability:
        """Judge each pixel by its place."""
        beyond = _distance_px(batch.region, ceil(self.depth_px) + 1)
        depth = ((beyond - 1) / self.depth_px).clamp(0, 1)
        log_odds = self.border + (self.inside - self.border) * depth
        return log_odds.sigmoid().expand(batch.support.shape)


def _distance_px(region: Tensor, reach_px: int) -> Tensor:
    """Return the distance to the nearest pixel outside, (B, 1, H, W); beyond the reach, inf.

    min over (r, c) outside of (row - r)^2 + (column - c)^2, first over rows, then over columns.
    """
    squared = torch.zeros_like(region, dtype=torch.float32).masked_fill(region, torch.inf)
    for axis in (2, 3):
        squared = reduce(torch.minimum, _neighbours(squared, reach_px, axis))
    return squared.sqrt()


def _neighbours(squared: Tensor, reach_px: int, axis: int) -> Iterator[Tensor]:
    """Yield what the neighbours along `axis` offer: their value and the way to them."""
    margin = (reach_px, reach_px)
    padded = F.pad(squared, (0, 0, *margin) if axis == 2 else margin, value=torch.inf)  # noqa: PLR2004
    for k in range(2 * reach_px + 1):
        yield padded.narrow(axis, k, squared.shape[axis]) + (k - reach_px) ** 2


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Offer the prior."""
    return {"spatial": Spatial}
