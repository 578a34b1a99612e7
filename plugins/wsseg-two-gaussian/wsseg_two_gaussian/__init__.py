"""A wsseg prior for tissue and lesions whose intensities are each roughly normal."""

from typing import final

from pydantic import Field, FiniteFloat, PositiveFloat
from torch.distributions import Normal

from wsseg import Batch, Logits, Prior, Probability, hookimpl


@final
class TwoGaussian(Prior):
    """phi = N(x; lesion) / (N(x; lesion) + N(x; tissue)), for x in HU.

    Bayes' rule for two normal distributions with equal odds beforehand (Bishop 2006, section
    4.2). With equal spreads this is a sigmoid in x, centred between the two means. Every class
    gets the same phi.
    """

    tissue_hu: FiniteFloat = Field(examples=[-600])
    tissue_sd: PositiveFloat = Field(examples=[200])
    lesion_hu: FiniteFloat = Field(examples=[-100])
    lesion_sd: PositiveFloat = Field(examples=[200])

    def __call__(self, batch: Batch) -> Probability:
        """Judge each pixel by its own HU value."""
        middle = batch.middle.float()
        lesion = Normal(self.lesion_hu, self.lesion_sd).log_prob(middle)
        tissue = Normal(self.tissue_hu, self.tissue_sd).log_prob(middle)
        log_odds: Logits = lesion - tissue
        return log_odds.sigmoid().expand(batch.support.shape)


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Offer the prior."""
    return {"two-gaussian": TwoGaussian}
