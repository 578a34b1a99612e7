"""Priors that compare a pixel with its surroundings, for images with uneven brightness."""

from typing import Annotated, Literal, TypeAlias, final

from pydantic import (
    AfterValidator,
    Field,
    FiniteFloat,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from torch import Tensor, inf
from torch.nn import functional as F

from wsseg.components.gaussian_mean import gaussian_mean
from wsseg.core.batch import Batch, Mask, Probability
from wsseg.core.interfaces import Prior

Polarity: TypeAlias = Literal["bright", "dark", "both"]


def _is_odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(f"{size} is even; give an odd size, so that the square has a middle pixel")
    return size


OddInt: TypeAlias = Annotated[PositiveInt, AfterValidator(_is_odd)]


@final
class LocalContrast(Prior):
    """A sigmoid of the difference between a pixel and the mean around it.

        logit phi = (c - midpoint) / width
        c = x - m for bright, m - x for dark, |x - m| for both

    x is the intensity in the middle slice and m the Gaussian mean around the pixel over the pixels
    of the region. Slow changes of the illumination, or of a coil's sensitivity, have almost no
    effect. An object larger than the neighbourhood is only found at its border. All classes get the
    same phi.

    Example:
        >>> import torch
        >>> from wsseg import Batch
        >>> image = torch.tensor([[[[[5.0, 5.0, 5.0, 9.0, 5.0, 5.0, 5.0]]]]])
        >>> batch = Batch(image, region=image[:, 0] > 0, tags=torch.tensor([[True]]))
        >>> LocalContrast(sigma_px=2, midpoint=2, width=0.5)(batch).gt(0.5).int()
        tensor([[[[0, 0, 0, 1, 0, 0, 0]]]], dtype=torch.int32)
    """

    sigma_px: PositiveFloat = 8.0
    """Standard deviation of the Gaussian, in pixels of the network's grid."""
    polarity: Polarity = "both"
    """Whether the class is brighter than its surroundings, darker, or either."""
    midpoint: FiniteFloat = Field(examples=[1.0])
    """Contrast at which phi is 1/2, in the image's unit."""
    width: PositiveFloat = Field(examples=[0.5])
    """Increase of the contrast that multiplies the odds of the class by e."""
    channel: str | None = None
    """The channel of the image, such as t2; null: the only one."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        image = batch.channel(self.channel).float()
        difference = image - gaussian_mean(image, batch.region, self.sigma_px)
        signed = {"bright": difference, "dark": -difference, "both": difference.abs()}
        log_odds = (signed[self.polarity] - self.midpoint) / self.width
        return log_odds.sigmoid().expand(batch.support.shape)


@final
class TopHat(Prior):
    """A threshold on the top-hat of the image, which shows small bright or dark structures.

        phi = 1 where t > threshold, else 0
        t = s - opening(s) for bright, closing(s) - s for dark, the larger of both for both

    s is the smoothed intensity in the middle slice. Opening and closing are greyscale, with a
    square of `size_px` pixels, inside the region. An object into which such a square fits has no
    top-hat. The network does not affect the posterior. All classes get the same phi.

    Source: Meyer 1979; Serra 1982, "Image analysis and mathematical morphology".

    Example:
        >>> import torch
        >>> from wsseg import Batch
        >>> row = torch.tensor([1.0, 2.0, 9.0, 3.0, 8.0, 8.0, 8.0])
        >>> image = row.expand(1, 1, 1, 3, -1)
        >>> batch = Batch(image, region=image[:, 0] > 0, tags=torch.tensor([[True]]))
        >>> prior = TopHat(size_px=3, sigma_px=0, polarity="bright", threshold=4)
        >>> prior(batch)[0, 0, 0]  # the last three columns are as wide as the square
        tensor([0., 0., 1., 0., 0., 0., 0.])
    """

    size_px: OddInt = 15
    """Side of the square, an odd number of pixels of the network's grid."""
    sigma_px: NonNegativeFloat = 1.0
    """Standard deviation of the preceding Gaussian smoothing, in pixels; 0: none."""
    polarity: Polarity = "both"
    """Whether the class is brighter than its surroundings, darker, or either."""
    threshold: FiniteFloat = Field(examples=[1.0])
    """The threshold, in the image's unit."""
    channel: str | None = None
    """The channel of the image, such as t2; null: the only one."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        region = batch.region
        image = batch.channel(self.channel).float()
        smooth = gaussian_mean(image, region, self.sigma_px)
        bright, dark = self._top_hat(smooth, region), self._top_hat(-smooth, region)
        found = {"bright": bright, "dark": dark, "both": bright.maximum(dark)}[self.polarity]
        return (region & (found > self.threshold)).float().expand(batch.support.shape)

    def _top_hat(self, image: Tensor, region: Mask) -> Tensor:
        """Return the image minus its opening, (B, 1, H, W), valid inside the region."""
        eroded = -self._dilated(-image, region)
        return image - self._dilated(eroded, region)

    def _dilated(self, image: Tensor, region: Mask) -> Tensor:
        """Return the maximum over the pixels of the square that are in the region."""
        size, margin = self.size_px, self.size_px // 2
        rows = F.max_pool2d(image.where(region, -inf), (size, 1), 1, (margin, 0))
        return F.max_pool2d(rows, (1, size), 1, (0, margin))
