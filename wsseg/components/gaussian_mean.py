"""Means of an image around each pixel, weighted by a Gaussian."""

from collections.abc import Iterator, Sequence
from functools import reduce
from math import exp, floor
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from wsseg.core.batch import Mask

TRUNCATE = 4  # standard deviations at which the Gaussian ends, as in scipy.ndimage
ROWS, COLUMNS = 2, 3  # the axes of a slice in (B, K, H, W)
Offset: TypeAlias = tuple[int, int]  # in rows and columns


def gaussian_mean(image: Tensor, region: Mask, sigma_px: float) -> Tensor:
    """Return the Gaussian mean over pixels of the region, (B, 1, H, W), valid in the region."""
    weight = region.to(image.dtype)
    total = image.where(region, 0)
    for axis in (ROWS, COLUMNS):
        total, weight = (_convolved(each, sigma_px, axis) for each in (total, weight))
    return total / weight.where(region, 1)


def _convolved(image: Tensor, sigma_px: float, axis: int) -> Tensor:
    """Convolve with a Gaussian along an axis, up to a factor, with 0 beyond the border."""
    reach = min(floor(TRUNCATE * sigma_px + 0.5), image.shape[axis] - 1)
    steps = range(-reach, reach + 1)
    weights = [exp(-((k / sigma_px) ** 2) / 2) if k else 1.0 for k in steps]
    offsets = [(k, 0) if axis == ROWS else (0, k) for k in steps]
    moved = zip(shifted(image, offsets), weights, strict=True)
    return reduce(torch.add, (each * weight / sum(weights) for each, weight in moved))


def shifted(image: Tensor, offsets: Sequence[Offset]) -> Iterator[Tensor]:
    """Yield the image shifted by each offset, with 0 beyond its border."""
    margin = max(abs(step) for offset in offsets for step in offset)
    height, width = image.shape[ROWS:]
    padded = F.pad(image, (margin, margin, margin, margin))
    for i, j in offsets:
        yield padded[:, :, margin + i : margin + i + height, margin + j : margin + j + width]
