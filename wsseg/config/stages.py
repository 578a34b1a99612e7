"""The stages of a recipe: what each learns, from which labels, and how."""

from abc import abstractmethod
from collections.abc import Mapping
from math import cos, pi
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    model_validator,
)
from torch import Tensor

from wsseg.components.priors import PerClass
from wsseg.core.batch import Batch, Logits, Mask
from wsseg.core.class_relation import ClassRelation, Multiclass, Multilabel
from wsseg.core.component import Component, KeyProblemError
from wsseg.core.interfaces import Backbone, Cohort, EStep, PixelLoss, Prior, TagLoss
from wsseg.data.augment import Augment

LABELS: dict[str, ClassRelation] = {"independent": Multilabel(), "exclusive": Multiclass()}


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

    learn: str  # from what: each kind of stage has its word
    classes: Annotated[list[str], Field(min_length=1)]
    labels: Literal["independent", "exclusive"] = "independent"
    region: str | None = None  # a name under `regions`, or an earlier stage; null: everywhere
    region_in_training: str | None = None  # null: `region`
    cohort: Cohort | None = None  # to learn from the training cases of; null: the recipe's

    @property
    def relation(self) -> ClassRelation:
        """How the classes relate."""
        return LABELS[self.labels]

    def decide(self, logits: Logits, region: Tensor) -> Mask:  # noqa: ARG002 - not all look at it
        """Return what a pixel is said to be, (B, K, H, W) bool; outside `region` it counts not."""
        return self.relation.decide(logits)


class NetworkStage(Stage):
    """A stage that trains a network."""

    share_key: ClassVar[str] = "target_share"  # what the log calls the share of `marked`
    backbone: Backbone | None = None  # null: that of `start`
    start: str | None = None  # an earlier stage, whose weights it begins with
    loss: PixelLoss | TagLoss
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

    @abstractmethod
    def objective(self, logits: Logits, y: Tensor, batch: Batch) -> Tensor:
        """Return the scalar that a step lessens; `y` is what the stage's `em.targets` are."""

    @abstractmethod
    def watched_mask(self, logits: Logits, y: Tensor, batch: Batch) -> Tensor:
        """Return (B, K, H, W), within the support: what to watch the share of."""


class PixelStage(NetworkStage):
    """A stage that has a target for every pixel."""

    loss: PixelLoss

    def objective(self, logits: Logits, y: Tensor, batch: Batch) -> Tensor:
        """Compare the network's probabilities with the targets."""
        return self.loss(self.relation.probability(logits), y, batch.region)

    def watched_mask(self, logits: Logits, y: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """Return the targets."""
        return y


class MasksStage(PixelStage):
    """Supervised: every pixel of the region is labelled."""

    learn: Literal["masks"]


def _one_a_class(prior: Prior, known: ValidationInfo) -> Prior:
    if isinstance(prior, PerClass) and "classes" in known.data:
        problem = prior.mismatch(len(known.data["classes"]))
        if problem is not None:
            raise KeyProblemError(("priors",), problem)
    return prior


StagePrior = Annotated[Prior, AfterValidator(_one_a_class)]


class EmStage(PixelStage):
    """Weakly supervised: only a case's, or a slice's, tag is known.

    `belief` is where the E-step has its logits from. `training`: from the M-step's own forward
    pass, with its batch's statistics, so that EM costs no pass more than supervision.
    `evaluation`: from a pass of its own with running statistics (the code of Wu 2020), so that a
    slice's targets depend on no batch-mate. Without batch norm they are the same.
    """

    learn: Literal["em"]
    prior: StagePrior
    estep: EStep
    belief: Literal["training", "evaluation"] = "training"


class TagsStage(NetworkStage):
    """Weakly supervised, without EM: pixels are pooled, and the pool is to have the tag."""

    learn: Literal["tags"]
    loss: TagLoss
    share_key: ClassVar[str] = "found_share"

    def decide(self, logits: Logits, region: Tensor) -> Mask:
        """Return what is likeliest, of what the loss leaves possible."""
        possible = self.loss.possible(self.relation.logit(logits), region)
        return self.relation.decide(logits) & possible

    def objective(self, logits: Logits, y: Tensor, batch: Batch) -> Tensor:
        """Compare the pools with the tags."""
        return self.loss(self.relation.logit(logits), y, batch.region)

    def watched_mask(self, logits: Logits, y: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """Return what the network finds."""
        return self.decide(logits, batch.region) & batch.support


class PriorStage(Stage):
    """Trains nothing: predicts φ > 1/2 in the region. A prior's own baseline.

    A prior that is fitted is fitted to the tags, as before EM.
    """

    learn: Literal["nothing"]
    prior: StagePrior


def upstream(stages: Mapping[str, Stage], name: str) -> list[str]:
    """Name the stages that `name` builds on: it starts from them or works in their predictions."""
    stage = stages[name]
    named = (getattr(stage, "start", None), stage.region, stage.region_in_training)
    direct = {each for each in named if each is not None and each in stages}
    needed = direct.union(*(upstream(stages, each) for each in direct))
    return [each for each in stages if each in needed]


AnyStage = Annotated[MasksStage | EmStage | TagsStage | PriorStage, Field(discriminator="learn")]
