"""The prior that judges the smoothed image by another prior."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Self, final

import torch
from pydantic import Field, PositiveFloat

from wsseg.components.gaussian_mean import gaussian_mean
from wsseg.core.batch import Batch, Evidence, Probability
from wsseg.core.contracts import check_fitted, check_probability
from wsseg.core.interfaces import Prior


@final
class Smoothed(Prior):
    """Another prior, evaluated on the smoothed image.

        phi = phi of the other prior at s
        s = sum_j g_j x_j / sum_j g_j,  j over the pixels of the region

    x is the intensity in the middle slice and g a Gaussian around the pixel, in each channel.
    Pixels outside the region have no weight, so that the surroundings do not change the values at
    its border. Smoothing reduces noise, and leaves lesions that are larger than the Gaussian. The
    other prior gets the middle slice alone; if it learns, it learns from smoothed images. sigma is
    in pixels of the network's grid, because a batch has no spacing; scale it if you change
    `input: size`.

    Source: Knutsson & Westin 1993, "Normalized and differential convolution".
    """

    prior: Prior = Field(examples=[{"use": "hu-sigmoid"}])
    """The prior that judges the smoothed image."""
    sigma_px: PositiveFloat = 1.0
    """Standard deviation of the Gaussian, in pixels of the network's grid."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        smooth = self._smoothed(batch)
        return check_probability(self.prior, self.prior(smooth), smooth)

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Return this prior with the other one fitted to the smoothed images."""
        return self._with(self.prior.fit(map(self._smoothed, batches)))

    @property
    def refits(self) -> bool:
        """Whether the other prior is fitted again after each epoch."""
        return self.prior.refits

    def refit(self, evidence: Iterable[Evidence]) -> Self:
        """Return this prior with the other one fitted to the network's beliefs."""
        return self._with(self.prior.refit(self._with_smoothed_images(evidence)))

    def _with(self, fitted: Prior) -> Self:
        return self.model_copy(update={"prior": check_fitted(self.prior, fitted)})

    def _smoothed(self, batch: Batch) -> Batch:
        """Return the middle slices of a batch, smoothed inside the region."""
        image = batch.middle.float()
        means = [
            gaussian_mean(channel, batch.region, self.sigma_px) for channel in image.split(1, dim=1)
        ]
        smooth = torch.cat(means, dim=1).where(batch.region, image)
        return replace(batch, image=smooth.unsqueeze(2))

    def _with_smoothed_images(self, evidence: Iterable[Evidence]) -> Iterator[Evidence]:
        for each in evidence:
            yield replace(each, batch=self._smoothed(each.batch))
