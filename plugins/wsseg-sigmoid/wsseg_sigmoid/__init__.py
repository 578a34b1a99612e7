"""A wsseg prior for lesions that are brighter than the tissue around them."""

from typing import final

from pydantic import Field, FiniteFloat, PositiveFloat

from wsseg import Batch, Prior, Probability, hookimpl


@final
class Sigmoid(Prior):
    """logit phi = (x - midpoint) / width, for x in the image's unit.

    The posterior of two normal densities with equal spreads and equal odds beforehand (Bishop
    2006, eq. 4.57 and 4.64): `width` is how much brighter a pixel must be for e times the odds. A
    stage that learns nothing takes phi > 1/2, which is x > midpoint: a threshold. Every class
    gets the same phi.
    """

    midpoint: FiniteFloat = Field(examples=[1.0])
    width: PositiveFloat = Field(examples=[0.5])

    def __call__(self, batch: Batch) -> Probability:
        """Judge each pixel by its own intensity."""
        log_odds = (batch.middle.float() - self.midpoint) / self.width
        return log_odds.sigmoid().expand(batch.support.shape)


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Offer the prior."""
    return {"sigmoid": Sigmoid}
