"""What a pixel's HU value says about consolidation: the two priors of Wu 2020, and its baseline.

None of them looks at the tag: the equations' "0 if z = 0" is `Batch.support`, which no E-step and
no prediction leaves. Every class gets the same phi.
"""

from typing import Annotated, Self, final

import torch
from pydantic import AfterValidator, Field, FiniteFloat
from torch import Tensor

from wsseg import Batch, Prior, Probability

AIR_HU = -1024.0  # normalised as x = (HU + 1024) / 110: Wu 2020, section III-A
HU_PER_UNIT = 110.0


def _not_0(width_hu: float) -> float:
    if width_hu == 0:
        raise ValueError("must not be 0; a step is the prior 'threshold'")
    return width_hu


@final
class HuSigmoid(Prior):
    """phi = min(1, sigmoid((x - midpoint_hu) / width_hu) + bias), x in HU (Wu 2020, eq. 13).

    With the paper's bias of 1/2, a pixel above the midpoint is positive for sure, and one far below
    gets no opinion. Without bias, phi is below 1/2 under the midpoint: the prior can say no. The
    paper's best: -34 HU and 220 HU; midpoints of 21, -34, -89 and -144 HU are its Fig. 3.

    A width below 0 is the mirror image, for a class that is darker than the rest.
    """

    midpoint_hu: FiniteFloat = -34.0
    width_hu: Annotated[FiniteFloat, AfterValidator(_not_0)] = 220.0
    bias: Annotated[float, Field(ge=0, le=0.5)] = 0.5

    @classmethod
    def from_paper(cls, b2: float = 9.0, k2: float = 0.5) -> Self:
        """Build from the paper's constants, which are of normalised values x = (HU + 1024) / 110.

        1 / (1 + exp(-k2 (x - b2))): midpoint_hu = 110 b2 - 1024, width_hu = 110 / k2.
        """
        return cls(midpoint_hu=HU_PER_UNIT * b2 + AIR_HU, width_hu=HU_PER_UNIT / k2)

    def __call__(self, batch: Batch) -> Probability:
        """Judge each pixel by its own HU value."""
        steps = (batch.middle.float() - self.midpoint_hu) / self.width_hu
        return _for_each_class((steps.sigmoid() + self.bias).clamp(max=1), batch)


@final
class Constant(Prior):
    """phi = probability, the same for every pixel (Wu 2020, eq. 12: b1).

    The paper's best, 1, says that every pixel of the region has the class if the tag names it.
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 1.0

    def __call__(self, batch: Batch) -> Probability:
        """Judge every pixel alike."""
        return _for_each_class(
            torch.full_like(batch.middle, self.probability, dtype=torch.float32), batch
        )


@final
class Threshold(Prior):
    """phi = 1 where x > hu, 0 elsewhere: no network can change its mind.

    In a stage that learns nothing, the baseline of Wu 2020, section III-B, at -200 HU.
    """

    hu: FiniteFloat = -200.0

    def __call__(self, batch: Batch) -> Probability:
        """Judge each pixel by its own HU value."""
        return _for_each_class((batch.middle > self.hu).float(), batch)


def _for_each_class(phi: Tensor, batch: Batch) -> Probability:
    """Repeat (B, 1, H, W) for the K classes, without a copy."""
    return phi.expand(-1, batch.tags.shape[1], -1, -1)
