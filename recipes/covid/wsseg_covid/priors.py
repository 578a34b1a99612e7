"""The two priors of Wu et al. 2020 for consolidation, and the threshold of its baseline.

The priors do not use the tag. The "0 if z = 0" of the paper's equations is `Batch.support`, to
which all E-steps and predictions are confined. All classes get the same phi.
"""

from typing import Annotated, Self, final

import torch
from pydantic import AfterValidator, Field, FiniteFloat
from torch import Tensor

from wsseg import Batch, Prior, Probability

AIR_HU = -1024.0  # the paper normalises intensities to (HU + 1024) / 110 (section III-A)
HU_PER_UNIT = 110.0


def _check_nonzero(width_hu: float) -> float:
    if width_hu == 0:
        raise ValueError("must not be 0; use the prior 'threshold' for a step")
    return width_hu


@final
class HuSigmoid(Prior):
    """A sigmoid of the intensity with an offset.

        phi = min(1, sigmoid((x - midpoint_hu) / width_hu) + bias)

    x is a pixel's intensity in the middle slice, in HU. With the paper's bias of 1/2, phi is 1
    above the midpoint and approaches 1/2, no evidence, far below it. Without bias, phi is below
    1/2 below the midpoint. A negative width mirrors the sigmoid, for a class that is darker than
    the rest.

    Source: Wu et al. 2020, eq. 13. The defaults are the paper's best constants; its Fig. 3 compares
    midpoints of 21, -34, -89 and -144 HU.
    """

    midpoint_hu: FiniteFloat = -34.0
    """Centre of the sigmoid, in HU."""
    width_hu: Annotated[FiniteFloat, AfterValidator(_check_nonzero)] = 220.0
    """Width of the sigmoid, in HU."""
    bias: Annotated[float, Field(ge=0, le=0.5)] = 0.5
    """Offset that is added to the sigmoid."""
    channel: str | None = None
    """The channel of the image, such as ct; null: the only one."""

    @classmethod
    def from_paper(cls, b2: float = 9.0, k2: float = 0.5) -> Self:
        """Convert the constants b2 and k2 of the paper, which are for x = (HU + 1024) / 110.

        The paper's sigmoid is 1 / (1 + exp(-k2 (x - b2))), so that midpoint_hu = 110 b2 - 1024 and
        width_hu = 110 / k2.
        """
        return cls(midpoint_hu=HU_PER_UNIT * b2 + AIR_HU, width_hu=HU_PER_UNIT / k2)

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        steps = (batch.channel(self.channel).float() - self.midpoint_hu) / self.width_hu
        return _for_each_class((steps.sigmoid() + self.bias).clamp(max=1), batch)


@final
class Constant(Prior):
    """The same phi for every pixel.

        phi = probability

    Source: Wu et al. 2020, eq. 12. The default of 1 is the paper's best value: if a tag is set, the
    entire region belongs to the class.
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    """phi of every pixel, from 0 to 1; b1 in the paper."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        phi = torch.full_like(batch.region, self.probability, dtype=torch.float32)
        return _for_each_class(phi, batch)


@final
class Threshold(Prior):
    """A threshold on the intensity.

        phi = 1 if x > hu, else 0

    The network has no influence on the posterior. In a stage without training, this is the baseline
    of Wu et al. 2020, section III-B.
    """

    hu: FiniteFloat = -200.0
    """The threshold, in HU."""
    channel: str | None = None
    """The channel of the image, such as ct; null: the only one."""

    def __call__(self, batch: Batch) -> Probability:
        """Return phi of each pixel, (B, K, H, W)."""
        return _for_each_class((batch.channel(self.channel) > self.hu).float(), batch)


def _for_each_class(phi: Tensor, batch: Batch) -> Probability:
    """Expand (B, 1, H, W) to the K classes, without a copy."""
    return phi.expand(-1, batch.tags.shape[1], -1, -1)
