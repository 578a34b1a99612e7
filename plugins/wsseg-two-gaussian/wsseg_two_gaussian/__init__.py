"""A wsseg prior for tissue and lesions whose intensities are normally distributed."""

from typing import final

from pydantic import Field, FiniteFloat, PositiveFloat
from torch.distributions import Normal

from wsseg import Batch, Logits, Prior, Probability, hookimpl


@final
class TwoGaussian(Prior):
    """Bayes' rule for a normal density of the lesion and one of the tissue, with equal odds.

        phi = N(x; lesion_hu, lesion_sd) / (N(x; lesion_hu, lesion_sd) + N(x; tissue_hu, tissue_sd))

    x is a pixel's intensity in the middle slice. With equal standard deviations phi is a sigmoid
    in x, centred between the two means. All classes get the same phi.

    Source: Bishop 2006, "Pattern recognition and machine learning", section 4.2.
    """

    tissue_hu: FiniteFloat = Field(examples=[-600])
    """Mean intensity of the tissue around the lesion, in the image's unit (HU for CT)."""
    tissue_sd: PositiveFloat = Field(examples=[200])
    """Standard deviation of the tissue's intensity."""
    lesion_hu: FiniteFloat = Field(examples=[-100])
    """Mean intensity of the lesion, in the image's unit (HU for CT)."""
    lesion_sd: PositiveFloat = Field(examples=[200])
    """Standard deviation of the lesion's intensity."""
    channel: str | None = None
    """The channel of the image, such as flair; null: the only one."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        middle = batch.channel(self.channel).float()
        lesion = Normal(self.lesion_hu, self.lesion_sd).log_prob(middle)
        tissue = Normal(self.tissue_hu, self.tissue_sd).log_prob(middle)
        log_odds: Logits = lesion - tissue
        return log_odds.sigmoid().expand(batch.support.shape)


@hookimpl
def wsseg_priors() -> dict[str, type[Prior]]:
    """Register the prior."""
    return {"two-gaussian": TwoGaussian}
