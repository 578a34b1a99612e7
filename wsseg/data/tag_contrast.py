"""The contrast by which images with a tag differ most from images without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Polarity: TypeAlias = Literal["bright", "dark", "both"]
Planes: TypeAlias = NDArray[Any]  # the channels of a slice, (C, H, W)
Contrasts: TypeAlias = Sequence[NDArray[np.float32]]

POLARITIES: tuple[Polarity, ...] = ("bright", "dark", "both")
SIGMAS_PX = (4.0, 8.0, 16.0, 32.0)
TOPS = (0.9, 0.99)  # quantiles of the contrast that represent an image
AUC_DIGITS = 2  # the AUC is rounded; the difference of means breaks ties
SHARES = (0.01, 0.5)  # the smallest and the largest estimate
THRESHOLDS = 400


@dataclass(frozen=True)
class TagContrast:
    """How a class differs from its surroundings, estimated from tags.

    The contrast of a pixel is x - m for bright, m - x for dark and |x - m| for both, where m is the
    Gaussian mean around it.
    """

    channel: int
    sigma_px: float
    """The standard deviation of the Gaussian, in pixels."""
    polarity: Polarity
    auc: float
    """The probability that an image with the tag has the higher contrast."""
    midpoint: float
    """The threshold of the contrast that separates best."""
    width: float
    """The standard deviation of the contrast without the tag."""
    share: float
    """The excess of pixels above the threshold in tagged images, as a share of all pixels."""


def tag_contrast(tagged: Sequence[Planes], untagged: Sequence[Planes]) -> TagContrast:
    """Return the contrast that separates tagged from untagged images best, by the AUC.

    The difference of means breaks ties.

    The share is 1 - F1(t) - (1 - F0(t)) at the threshold t where it is largest, with the
    distributions F1 and F0 of the contrast in tagged and untagged images. It is a lower bound of
    the share of the class if all other pixels have the same distribution in both.

    Source: Garg et al. 2021, "Mixture proportion estimation and PU learning: a modern approach".
    """
    best, found = (0.0, 0.0), None
    for channel, sigma_px in product(range(len(tagged[0])), SIGMAS_PX):
        difference = [[_difference(x[channel], sigma_px) for x in g] for g in (tagged, untagged)]
        noise = float(np.std(np.concatenate([x.ravel() for x in difference[1]]))) or 1.0
        for polarity in POLARITIES:
            own, others = ([_signed(x, polarity) for x in group] for group in difference)
            separation = max(
                _separation(_tops(own, top), _tops(others, top), noise) for top in TOPS
            )
            if found is None or separation > best:
                midpoint, share = _threshold(own, others)
                width = float(np.std(np.concatenate([x.ravel() for x in others])))
                best, auc = separation, separation[0]
                found = TagContrast(channel, sigma_px, polarity, auc, midpoint, width, share)
    assert found is not None, "an image has a channel"  # noqa: S101
    return found


def _difference(x: NDArray[Any], sigma_px: float) -> NDArray[np.float32]:
    image = np.ascontiguousarray(x, np.float32)
    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), sigma_px), np.float32)


def _signed(difference: NDArray[np.float32], polarity: Polarity) -> NDArray[np.float32]:
    if polarity == "both":
        return np.abs(difference)
    return difference if polarity == "bright" else -difference


def _tops(group: Contrasts, top: float) -> NDArray[np.float64]:
    return np.array([np.quantile(x, top) for x in group], np.float64)


def _separation(
    own: NDArray[np.float64], others: NDArray[np.float64], noise: float
) -> tuple[float, float]:
    """Return the AUC, in which a tie counts 1/2, and the difference of means in units of noise."""
    difference = own[:, None] - others
    auc = float((difference > 0).mean() + (difference == 0).mean() / 2)
    return round(auc, AUC_DIGITS), float(own.mean() - others.mean()) / noise


def _threshold(own: Contrasts, others: Contrasts) -> tuple[float, float]:
    """Return the threshold with the largest excess of tagged pixels above it, and that excess."""
    pixels = [np.sort(np.concatenate([x.ravel() for x in group])) for group in (own, others)]
    at = np.quantile(pixels[0], np.linspace(0, 1, THRESHOLDS))
    above = [1 - np.searchsorted(each, at, side="right") / each.size for each in pixels]
    excess = above[0] - above[1]
    index = int(excess.argmax())
    return float(at[index]), float(np.clip(excess[index], *SHARES))
