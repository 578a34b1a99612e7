"""The prior that uses the colour of a pixel."""

from math import sqrt
from typing import Annotated, Literal, final

import torch
from pydantic import Field, FiniteFloat, PositiveFloat
from torch import Tensor

from wsseg.core.batch import Batch, Probability
from wsseg.core.channels import RGB
from wsseg.core.interfaces import Prior

GREY_SHARES = (0.299, 0.587, 0.114)  # of red, green and blue in the luma of ITU-R BT.601
OPPOSITE_DEG = 180.0


@final
class Colour(Prior):
    """A sigmoid of a property of a pixel's colour, in images with the channels red, green and blue.

        logit phi = (v - midpoint) / width for above, (midpoint - v) / width for below
        v = (max - min) / max                      saturation, from 0 to 1; 0 for black
        v = |hue - hue_deg| on the circle          hue, from 0 to 180 degrees
        v = 0.299 red + 0.587 green + 0.114 blue   grey, in the image's unit
        hue = atan2(sqrt(3) (green - blue), 2 red - green - blue)

    max and min are over the three channels. The hue of red is 0 degrees, of green 120 and of blue
    240; a grey pixel has no hue, and its distance is 180. The channels must not be standardized,
    and 0 means no light. All classes get the same phi.

    Source: Smith 1978, "Color gamut transform pairs" (saturation); Hanbury 2008, "Constructing
    cylindrical coordinate colour spaces" (hue); ITU-R BT.601 (grey).

    Example:
        >>> import torch
        >>> from wsseg import Batch
        >>> colours = torch.tensor([[200.0, 50.0, 50.0], [90.0, 90.0, 90.0]])  # red and grey
        >>> image = colours.T.reshape(1, 3, 1, 1, 2)
        >>> region, tags = torch.ones(1, 1, 1, 2) > 0, torch.tensor([[True]])
        >>> batch = Batch(image, region, tags, channels=("red", "green", "blue"))
        >>> Colour(property="saturation", midpoint=0.5, width=0.25)(batch)  # of 0.75 and 0
        tensor([[[[0.7311, 0.1192]]]])
    """

    property: Literal["saturation", "hue", "grey"] = Field(examples=["saturation"])
    """The property v: the saturation, the distance of the hue from `hue_deg`, or the grey level."""
    side: Literal["above", "below"] = "above"
    """Whether the class is likely above or below the midpoint; for a hue near `hue_deg`, below."""
    midpoint: FiniteFloat = Field(examples=[0.3])
    """The value of the property at which phi is 1/2."""
    width: PositiveFloat = Field(examples=[0.1])
    """The change of the property that multiplies the odds of the class by e."""
    hue_deg: Annotated[float, Field(ge=0, lt=360)] = 0.0
    """The hue from which distances are measured, in degrees; only used with `property: hue`."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W).

        Raises:
            InputError: The image has no channels red, green and blue.
        """
        red, green, blue = (batch.channel(name).float() for name in RGB)
        match self.property:
            case "saturation":
                value = _saturation(red, green, blue)
            case "hue":
                value = _hue_distance_deg(red, green, blue, self.hue_deg)
            case "grey":
                shares = zip(GREY_SHARES, (red, green, blue), strict=True)
                value = torch.stack([share * each for share, each in shares]).sum(0)
        log_odds = (value - self.midpoint) / self.width
        signed = log_odds if self.side == "above" else -log_odds
        return signed.sigmoid().expand(batch.support.shape)


def _saturation(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Return (max - min) / max of the channels, from 0 to 1; values below 0 count as 0."""
    colours = torch.stack([red, green, blue]).clamp(min=0)
    most, least = colours.amax(0), colours.amin(0)
    return torch.where(most > 0, (most - least) / most.clamp(min=torch.finfo(most.dtype).tiny), 0)


def _hue_distance_deg(red: Tensor, green: Tensor, blue: Tensor, hue_deg: float) -> Tensor:
    """Return the distance between the hue of each pixel and `hue_deg`, from 0 to 180 degrees."""
    up, right = sqrt(3) * (green - blue), 2 * red - green - blue
    around = torch.atan2(up, right).rad2deg() - hue_deg
    distance = (around + OPPOSITE_DEG).remainder(2 * OPPOSITE_DEG).sub(OPPOSITE_DEG).abs()
    return distance.where((up != 0) | (right != 0), OPPOSITE_DEG)
