"""The prior that is a threshold on a smoothed image, followed by a binary opening."""

from collections.abc import Iterator, Sequence
from functools import reduce
from math import exp, floor
from typing import TypeAlias, final

import torch
from pydantic import Field, FiniteFloat, NonNegativeFloat
from torch import Tensor
from torch.nn import functional as F

from wsseg.core.batch import Batch, Mask, Probability
from wsseg.core.interfaces import Prior

TRUNCATE = 4  # standard deviations at which the Gaussian ends, as in scipy.ndimage
ROWS, COLUMNS = 2, 3  # the axes of a slice in (B, K, H, W)
Offset: TypeAlias = tuple[int, int]  # in rows and columns


@final
class SmoothedThreshold(Prior):
    """A threshold on the smoothed image, without small islands.

        phi = 1 inside the opening of {pixels of the region: s > threshold}, else 0
        s = sum_j g_j x_j / sum_j g_j,  j over the pixels of the region

    x is the intensity in the middle slice and g a Gaussian around the pixel. Pixels outside the
    region have no weight, so that the surroundings do not change the values at its border. The
    opening removes all pixels that no disk inside the thresholded mask covers. Distances are in
    pixels of the network's grid, because a batch has no spacing; scale them if you change
    `input: size`. The network has no influence on the posterior. All classes get the same phi.

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

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        above = (_smoothed(batch.middle.float(), batch.region, self.sigma_px)) > self.threshold
        found = _opened(above & batch.region, self.opening_px)
        return found.float().expand(batch.support.shape)


def _smoothed(image: Tensor, region: Mask, sigma_px: float) -> Tensor:
    """Return the Gaussian mean over the pixels of the region, (B, 1, H, W), valid inside it."""
    weight = region.to(image.dtype)
    total = image.where(region, 0)
    for axis in (ROWS, COLUMNS):
        total, weight = (_convolved(each, sigma_px, axis) for each in (total, weight))
    return total / weight.where(region, 1)


def _convolved(image: Tensor, sigma_px: float, axis: int) -> Tensor:
    """Convolve with a Gaussian along an axis; beyond the border of the image is 0."""
    reach = floor(TRUNCATE * sigma_px + 0.5)
    steps = range(-reach, reach + 1)
    weights = [exp(-((k / sigma_px) ** 2) / 2) if k else 1.0 for k in steps]
    offsets = [(k, 0) if axis == ROWS else (0, k) for k in steps]
    shifted = zip(_shifted(image, offsets), weights, strict=True)
    return reduce(torch.add, (each * weight / sum(weights) for each, weight in shifted))


def _opened(mask: Mask, radius_px: float) -> Mask:
    """Return the union of all disks inside the mask; beyond the border of the image is outside."""
    reach = floor(radius_px)
    steps = range(-reach, reach + 1)
    disk = [(i, j) for i in steps for j in steps if i * i + j * j <= radius_px**2]
    eroded = reduce(torch.logical_and, _shifted(mask, disk))
    return reduce(torch.logical_or, _shifted(eroded, disk))


def _shifted(image: Tensor, offsets: Sequence[Offset]) -> Iterator[Tensor]:
    """Yield, for each offset, the image moved by it; what enters is 0."""
    margin = max(abs(step) for offset in offsets for step in offset)
    height, width = image.shape[ROWS:]
    padded = F.pad(image, (margin, margin, margin, margin))
    for i, j in offsets:
        yield padded[:, :, margin + i : margin + i + height, margin + j : margin + j + width]
