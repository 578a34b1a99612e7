"""A prior that thresholds a smoothed image and applies a binary opening."""

from functools import reduce
from math import floor
from typing import final

import torch
from pydantic import Field, FiniteFloat, NonNegativeFloat

from wsseg.components.gaussian_mean import gaussian_mean, shifted
from wsseg.core.batch import Batch, Mask, Probability
from wsseg.core.interfaces import Prior


@final
class SmoothedThreshold(Prior):
    """A threshold on the smoothed image, without small islands.

        phi = 1 inside the opening of {pixels of the region: s > threshold}, else 0
        s = sum_j g_j x_j / sum_j g_j,  j over the pixels of the region

    x is the intensity in the middle slice and g a Gaussian around the pixel. Pixels outside the
    region have no weight, so that they do not change the values at its border. The opening removes
    all pixels that are not covered by a disk inside the thresholded mask. Distances are in
    pixels of the network's grid, because a batch has no spacing; scale them if you change
    `input: size`. The network does not affect the posterior. All classes get the same phi.

    Source: Knutsson & Westin 1993, "Normalized and differential convolution" (s); Serra 1982,
    "Image analysis and mathematical morphology" (opening).
    """

    threshold: FiniteFloat = Field(examples=[1.0])
    """The threshold, in the image's unit."""
    sigma_px: NonNegativeFloat = 1.0
    """Standard deviation of the Gaussian, in pixels of the network's grid; 0: no smoothing."""
    opening_px: NonNegativeFloat = 1.0
    """Radius of the disk of the opening, in pixels of the network's grid: 1 is a pixel with its 4
    neighbours, 1.5 a square of 3 x 3 pixels; below 1: no opening."""
    channel: str | None = None
    """The channel of the image, such as t2; null: the only one."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        image = batch.channel(self.channel).float()
        above = gaussian_mean(image, batch.region, self.sigma_px) > self.threshold
        found = _opened(above & batch.region, self.opening_px)
        return found.float().expand(batch.support.shape)


def _opened(mask: Mask, radius_px: float) -> Mask:
    """Return the union of all disks inside the mask; pixels beyond the image count as outside."""
    reach = floor(radius_px)
    steps = range(-reach, reach + 1)
    disk = [(i, j) for i in steps for j in steps if i * i + j * j <= radius_px**2]
    eroded = reduce(torch.logical_and, shifted(mask, disk))
    return reduce(torch.logical_or, shifted(eroded, disk))
