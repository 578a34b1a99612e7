"""The stages of a recipe: what each learns, from which labels, and how."""

from math import cos, pi
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from wsseg.component import Component, KeyProblemError
from wsseg.data.augment import Augment
from wsseg.interfaces import Backbone, EStep, PixelLoss, Prior
from wsseg.labels import Exclusive, Independent, Labels

LABELS: dict[str, Labels] = {"independent": Independent(), "exclusive": Exclusive()}


class Cosine(Component):
    """A learning rate that falls from `start` to `end` along half a cosine (Loshchilov 2017)."""

    start: PositiveFloat
    end: NonNegativeFloat = 0


class Optimizer(Component):
    """How the weights move. `lr` is a number, steps [[until epoch, rate], ...] or a cosine."""

    use: Literal["adam", "adamw", "sgd"] = "adam"
    lr: (
        PositiveFloat
        | Annotated[list[tuple[PositiveInt, PositiveFloat]], Field(min_length=1)]
        | Cosine
    )
    weight_decay: NonNegativeFloat = 0

    def lr_at(self, epoch: float, epochs: int) -> float:
        """Return the learning rate after `epoch` of `epochs` epochs (0 at the start)."""
        if isinstance(self.lr, float):
            return self.lr
        if isinstance(self.lr, Cosine):
            left = (1 + cos(pi * epoch / epochs)) / 2
            return self.lr.end + (self.lr.start - self.lr.end) * left
        return next((rate for until, rate in self.lr if epoch < until), self.lr[-1][1])


class Stage(Component):
    """What a stage predicts, and where."""

    classes: Annotated[list[str], Field(min_length=1)]
    labels: Literal["independent", "exclusive"] = "independent"
    region: str | None = None  # a name under `regions`, or an earlier stage; null: everywhere
    region_in_training: str | None = None  # null: `region`

    @property
    def relation(self) -> Labels:
        """How the classes relate."""
        return LABELS[self.labels]


class Learning(Stage):
    """A stage that trains a network."""

    backbone: Backbone | None = None  # null: that of `start`
    start: str | None = None  # an earlier stage, whose weights it begins with
    loss: PixelLoss
    epochs: PositiveInt
    batch_size: PositiveInt = 16
    optimizer: Optimizer
    augment: Augment = Augment()
    sampling: Literal["uniform", "balanced"] = "uniform"  # balanced: as many slices with as without

    @model_validator(mode="after")
    def _has_network(self) -> Self:
        if self.backbone is None and self.start is None:
            raise KeyProblemError(
                ("backbone",), "name a backbone, or the stage to `start` from, whose it then is"
            )
        return self


class MasksStage(Learning):
    """Supervised: every pixel of the region is labelled."""

    learn: Literal["masks"]


class EmStage(Learning):
    """Weakly supervised: only a case's, or a slice's, tag is known."""

    learn: Literal["em"]
    prior: Prior
    estep: EStep


class PriorStage(Stage):
    """Trains nothing: predicts φ > 1/2 in the region. A prior's own baseline.

    A prior that is fitted is fitted to the tags, as before EM.
    """

    learn: Literal["nothing"]
    prior: Prior


AnyStage = Annotated[MasksStage | EmStage | PriorStage, Field(discriminator="learn")]
