"""A wsseg prior for lesions that are brighter than the tissue around them."""

from typing import final

from pydantic import Field, FiniteFloat, PositiveFloat

from wsseg import Batch, Prior, Probability, hookimpl


@final
class Sigmoid(Prior):
    """A sigmoid of the intensity, for lesions that are brighter than the tissue around them.

        logit phi = (x - midpoint) / width

    x is a pixel's intensity in the middle slice. phi is the posterior of two normal densities with
    equal standard deviations and equal odds. In a stage without training, phi > 1/2 is the
    threshold x > midpoint. All classes get the same phi.

    Source: Bishop 2006, "Pattern recognition and machine learning", eq. 4.57 and 4.64.
    """

    midpoint: FiniteFloat = Field(examples=[1.0])
    """Intensity at which phi is 1/2, in the image's unit."""
    width: PositiveFloat = Field(examples=[0.5])
    """Increase of the intensity that multiplies the odds of the lesion by e."""
    channel: str | None = None
    """The channel of the image, such as flair; null: the only one."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        log_odds = (batch.channel(self.channel).float() - self.midpoint) / self.width
        return log_odds.sigmoid().expand(batch.support.shape)


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Register the prior."""
    return {"sigmoid": Sigmoid}
