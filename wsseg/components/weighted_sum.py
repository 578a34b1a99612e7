"""The loss that adds other losses."""

from typing import Annotated, Self, final

from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor

from wsseg.core.batch import Batch, Logits, Probability
from wsseg.core.class_relation import ClassRelation
from wsseg.core.interfaces import PixelLoss


@final
class WeightedSum(PixelLoss):
    """The weighted sum of several losses.

        L = sum_i w_i L_i

    Cross-entropy plus Dice, for example, has gradients where Dice has none, and counts a class by
    its overlap, however small it is.

    Source: cross-entropy plus Dice is the loss of nnU-Net, Isensee et al. 2021.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Multilabel, PixelLoss, make
        >>> parts = [{"use": "cross-entropy"}, {"use": "smooth-dice"}]
        >>> loss = make(PixelLoss, "weighted-sum", losses=parts, weights=[1, 3])
        >>> logits, y = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])  # two pixels
        >>> batch = Batch(torch.zeros(1, 1, 1, 1, 2), region=y >= 0, tags=torch.tensor([[True]]))
        >>> loss(logits, y, batch, Multilabel())  # log 2 + 3 * (1 / 3)
        tensor(1.6931)
    """

    losses: Annotated[
        tuple[PixelLoss, ...],
        Field(min_length=1, examples=[[{"use": "cross-entropy"}, {"use": "batch-dice"}]]),
    ]
    """The losses to add."""
    weights: tuple[PositiveFloat, ...] = Field(examples=[[1, 1]])
    """The weight w of each loss, in the order of the losses."""

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if len(self.weights) != len(self.losses):
            raise ValueError(
                f"{len(self.weights)} weights for {len(self.losses)} losses; give one weight for "
                "each loss"
            )
        return self

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        """Return the weighted sum of the losses, a scalar."""
        first, *others = (
            weight * loss(logits, y, batch, relation)
            for loss, weight in zip(self.losses, self.weights, strict=True)
        )
        return sum(others, start=first)
