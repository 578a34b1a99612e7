"""The stages of a recipe: what each stage learns, from which labels and how."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

import torch
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveInt,
    ValidationInfo,
    model_validator,
)
from torch import Tensor

from wsseg.components.priors import PerClass
from wsseg.core.augment import Augment
from wsseg.core.batch import Batch, Evidence, Logits, Mask, StepContext
from wsseg.core.class_relation import ClassRelation, Multiclass, Multilabel
from wsseg.core.component import Component, KeyProblemError
from wsseg.core.contracts import check_possible
from wsseg.core.interfaces import Backbone, Cohort, EStep, Method, PixelLoss, Prior, TagLoss
from wsseg.core.optimizer import Optimizer
from wsseg.data.augment import StandardAugment
from wsseg.data.batches import Sampling

Belief: TypeAlias = Literal["training", "evaluation", "average"]

ANY_STEP = StepContext()
RELATIONS: dict[str, ClassRelation] = {"independent": Multilabel(), "exclusive": Multiclass()}


class Average(Component):
    """An exponential moving average of the weights and of batch norm's statistics.

    It starts from the initial weights. After each optimizer step: average = decay * average + (1 -
    decay) * weights

    Source: Polyak & Juditsky 1992; Tarvainen & Valpola 2017, "Mean teachers are better role
    models".
    """

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """The share of the average that a step keeps: the average is over about 1 / (1 - decay) steps,
    of which a stage should have several times as many."""


class EarlyStopping(Component):
    """The end of training when the loss on the validation cases no longer falls.

    The loss is measured after each epoch. The stage gets the weights of the epoch with the lowest.
    """

    patience: PositiveInt = 10
    """The number of epochs without a lower loss after which training stops."""


class Start(Component):
    """The trained weights that a network starts with.

    Layers with the same name and shape as in the trained network get its weights; the log names the
    layers that do not exist in it, which get random weights.
    """

    stage: str
    """The trained stage."""
    run: Path | None = None
    """The folder of another run, or its file of `wsseg pack`, to which the stage belongs; null: it
    is an earlier stage of this recipe."""
    head: Literal["trained", "new"] = "trained"
    """The last layers, which turn the decoder's features into logits. new: they get random weights,
    such as for another class."""


class Stage(Component):
    """A step of a run that predicts one or several classes."""

    learn: str
    """What the stage learns from; it determines the kind of stage."""
    classes: Annotated[list[str], Field(min_length=1)]
    """The classes that the stage predicts; tags and masks are found by these names."""
    labels: Literal["independent", "exclusive"] = "independent"
    """How the classes relate: independent classes may overlap, exclusive ones may not."""
    region: str | None = None
    """The region, or the earlier stage, in which the stage predicts; null: all voxels."""
    region_in_training: str | None = None
    """The region, or the earlier stage, in which the stage learns; null: `region`."""
    cohort: Cohort | None = None
    """The cohort whose training cases the stage learns from; null: that of the recipe."""

    @property
    def relation(self) -> ClassRelation:
        """How the classes relate, as log-odds, probabilities and decisions."""
        return RELATIONS[self.labels]

    def decide(self, logits: Logits, region: Tensor) -> Mask:  # noqa: ARG002 - for subclasses
        """Return the predicted classes of each pixel, (B, K, H, W) bool, valid inside `region`."""
        return self.relation.decide(logits)


class NetworkStage(Stage):
    """A stage that trains a network."""

    share_key: ClassVar[str] = "found_share"
    """The key in the training log of the share of the support that is in `watched_mask`."""

    backbone: Backbone | None = None
    """The network; null: that of the stage `start`."""
    start: str | Start | None = None
    """The trained weights to start with: the name of an earlier stage, or a map, such as
    {stage: NAME, head: new} or {run: PATH, stage: NAME}; null: random weights, or those
    of the backbone."""
    epochs: PositiveInt
    """The number of passes over the training slices."""
    batch_size: PositiveInt = 16
    """The number of slices in an optimizer step. Only a size of 1 gives batches of one slice."""
    optimizer: Optimizer
    """The optimizer and its learning rate."""
    auxiliary_weight: NonNegativeFloat = 0.4
    """The weight of the loss of a network's auxiliary outputs, if it has any: their losses are
    averaged. 0.4 as in Zhao et al. 2017."""
    average: Average | None = None
    """An average of the weights, which the stage predicts with; null: it uses the last weights."""
    augment: Augment = StandardAugment()
    """Random changes of the training slices."""
    sampling: Sampling = "uniform"
    """uniform: each slice once in an epoch; balanced: smaller groups of slices with equal tags are
    repeated up to the size of the largest, so that half of the slices have a single class;
    alternating: balanced in each batch, with a slice of each group in turn."""

    early_stopping: EarlyStopping | None = None
    """The rule that stops training early, by the loss on the cases with the split val; null:
    training lasts for all epochs."""
    mirror: tuple[Literal["left-right", "front-back"], ...] = ()
    """The directions in which images are also mirrored in prediction: the logits of all mirrored
    images, mirrored back, are averaged. Each direction doubles the time of prediction."""

    @property
    def trained_start(self) -> Start | None:
        """The trained weights to start with; None: there are none."""
        return Start(stage=self.start) if isinstance(self.start, str) else self.start

    @model_validator(mode="after")
    def _has_head(self) -> Self:
        names_none = self.backbone is not None and self.backbone.head_module is None
        if isinstance(self.start, Start) and self.start.head == "new" and names_none:
            raise KeyProblemError(
                ("start", "head"),
                "is impossible: the backbone does not name its last layers; remove start.head",
            )
        return self

    @model_validator(mode="after")
    def _has_validation_cases(self) -> Self:
        if self.early_stopping is not None and self.cohort is not None:
            raise KeyProblemError(
                ("early_stopping",),
                "is impossible for a stage with its own cohort, which has no validation cases; "
                "remove it",
            )
        return self

    @model_validator(mode="after")
    def _has_encoder(self) -> Self:
        names_none = self.backbone is not None and self.backbone.encoder_module is None
        if self.optimizer.encoder_factor != 1 and names_none:
            raise KeyProblemError(
                ("optimizer", "encoder_factor"),
                "must be 1, because the backbone does not name its encoder; remove it",
            )
        return self

    @model_validator(mode="after")
    def _has_network(self) -> Self:
        if self.backbone is None and self.start is None:
            raise KeyProblemError(
                ("backbone",), "set a backbone, or set start to an earlier stage to use its network"
            )
        return self

    @model_validator(mode="after")
    def _has_average_of_belief(self) -> Self:
        if self.source_of_belief == "average" and self.average is None:
            raise KeyProblemError(
                ("average",),
                "is needed, because the targets come from averaged weights; add average: "
                "{decay: 0.99}",
            )
        return self

    @property
    def source_of_belief(self) -> Belief:
        """The forward pass that targets are computed from; see `EmStage.belief`."""
        return "training"

    @property
    @abstractmethod
    def criterion(self) -> PixelLoss | TagLoss | Method:
        """The part that computes the loss, which each optimizer step decreases."""

    @abstractmethod
    def objective(self, logits: Logits, y: Tensor, batch: Batch, context: StepContext) -> Tensor:
        """Return the scalar loss of a step, given the stage's targets `y`."""

    def watched_mask(self, logits: Logits, y: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """Return the pixels whose share of the support is logged: the predicted classes in it."""
        return self.decide(logits, batch.region) & batch.support


class PixelStage(NetworkStage):
    """A stage with a target for each pixel."""

    share_key: ClassVar[str] = "target_share"

    loss: PixelLoss
    """The loss that compares the network's probabilities with the targets."""
    loss_over: Literal["region", "image"] = "region"
    """The pixels that the loss is computed over. region: those where the stage learns; the network
    is free elsewhere, where it does not predict. image: all pixels; targets outside the region are
    0 (the code of Wu et al. 2020)."""

    @property
    def criterion(self) -> PixelLoss:
        """The loss."""
        return self.loss

    def objective(
        self,
        logits: Logits,
        y: Tensor,
        batch: Batch,
        context: StepContext = ANY_STEP,  # noqa: ARG002 - for methods
    ) -> Tensor:
        """Return the loss of the network's probabilities and the targets."""
        if self.loss_over == "image":
            y = y.where(batch.region, 0)
            batch = replace(batch, region=torch.ones_like(batch.region))
        return self.loss(logits, y, batch, self.relation)

    def watched_mask(self, logits: Logits, y: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """Return the targets."""
        return y


class MasksStage(PixelStage):
    """A supervised stage: it learns from the true masks of its classes."""

    learn: Literal["masks"]
    """masks: the stage learns from true masks."""


def _check_number_of_priors(prior: Prior, info: ValidationInfo) -> Prior:
    if isinstance(prior, PerClass) and "classes" in info.data:
        problem = prior.mismatch(len(info.data["classes"]))
        if problem is not None:
            raise KeyProblemError(("priors",), problem)
    return prior


StagePrior = Annotated[Prior, AfterValidator(_check_number_of_priors)]


class EmStage(PixelStage):
    """A weakly supervised stage: it learns from tags by expectation-maximisation.

    In each step, the E-step computes targets from the network's logits and the prior, and the
    M-step decreases the loss of the network's probabilities and these targets.

    Source: Wu et al. 2020, table I.
    """

    learn: Literal["em"]
    """em: the stage learns from the tags of cases or slices by EM."""
    prior: StagePrior
    """The probability of each class given the value of a pixel."""
    estep: EStep
    """The rule that computes targets from logits and prior."""
    belief: Belief = "training"
    """The forward pass whose logits the E-step uses. training: that of the M-step, in which batch
    norm uses the statistics of the batch; no further pass is computed. evaluation: a separate pass
    with running statistics, so that the targets of a slice do not depend on the other slices of the
    batch (the code of Wu et al. 2020). Without batch norm both are equal. average: a separate pass
    of the network with the averaged weights of `average`, so that targets change slowly."""
    cutoff: Literal["half", "share"] = "half"
    """The probability above which a pixel is predicted to have a class. half: 1/2. share: the one
    at which the predictions cover the same share of the tagged training regions as the targets. A
    calibrated network is rarely certain, so that 1/2 finds too little of a class that is hard to
    see. With share, a constant is added to the log-odds of the trained network, so that the cutoff
    of its probabilities is 1/2 again; they are then no longer calibrated."""

    @property
    def source_of_belief(self) -> Belief:
        """The forward pass whose logits the E-step uses."""
        return self.belief

    @model_validator(mode="after")
    def _has_fixed_targets(self) -> Self:
        if self.early_stopping is not None:
            raise KeyProblemError(
                ("early_stopping",),
                "is impossible for EM: its targets follow the network, so a low loss does not "
                "mean good masks; remove it",
            )
        return self


class TagsStage(NetworkStage):
    """A weakly supervised stage without EM: the loss compares pooled logits with tags."""

    learn: Literal["tags"]
    """tags: the stage learns from the tags of cases or slices."""
    loss: TagLoss
    """The loss that pools the logits of a slice and compares them with its tags."""

    def decide(self, logits: Logits, region: Tensor) -> Mask:
        """Return the predicted classes of each pixel, limited to pixels that the loss allows."""
        possible = self.loss.possible(self.relation.logit(logits), region)
        return self.relation.decide(logits) & check_possible(self.loss, possible, logits)

    @property
    def criterion(self) -> TagLoss:
        """The loss."""
        return self.loss

    def objective(
        self,
        logits: Logits,
        y: Tensor,
        batch: Batch,
        context: StepContext = ANY_STEP,  # noqa: ARG002 - for methods
    ) -> Tensor:
        """Return the loss of the pooled logits and the tags."""
        return self.loss(self.relation.logit(logits), y, batch.region)


class MethodStage(NetworkStage):
    """A weakly supervised stage that learns from tags by a method of a plugin."""

    learn: Literal["method"]
    """method: the stage learns from the tags of cases or slices by `method`."""
    method: Method
    """How the stage learns."""

    @property
    def source_of_belief(self) -> Belief:
        """The forward pass that the method compares the network with."""
        return self.method.belief

    @property
    def criterion(self) -> Method:
        """The method."""
        return self.method

    @model_validator(mode="after")
    def _has_fixed_targets(self) -> Self:
        if self.early_stopping is not None:
            raise KeyProblemError(
                ("early_stopping",),
                "is impossible for a method: its loss follows the network's predictions, so a low "
                "loss does not mean good masks; remove it",
            )
        return self

    def objective(self, logits: Logits, y: Tensor, batch: Batch, context: StepContext) -> Tensor:
        """Return the loss of the method; `y` are the logits of the belief."""
        evidence = Evidence(
            batch,
            y,
            torch.full_like(y, 0.5),
            self.relation,
            progress=context.progress,
            epoch=context.epoch,
        )
        return self.method(logits, evidence)


class PriorStage(Stage):
    """A stage without a network, which predicts a class where phi > 1/2: the baseline for EM.

    Priors with parameters that can be learnt are fitted to the tags, as in an EM stage.
    """

    learn: Literal["nothing"]
    """nothing: the stage trains no network."""
    prior: StagePrior
    """The probability of each class given the value of a pixel."""


def stops_early(stage: Stage) -> bool:
    """Return whether the training of a stage may stop before its last epoch."""
    return isinstance(stage, NetworkStage) and stage.early_stopping is not None


def earlier_start(stage: Stage) -> str | None:
    """Return the earlier stage of the same recipe whose weights a stage starts with, if any."""
    start = stage.trained_start if isinstance(stage, NetworkStage) else None
    return None if start is None or start.run is not None else start.stage


def upstream(stages: Mapping[str, Stage], name: str) -> list[str]:
    """Return the stages whose weights or predictions stage `name` uses, directly or indirectly."""
    stage = stages[name]
    references = (earlier_start(stage), stage.region, stage.region_in_training)
    direct = {each for each in references if each is not None and each in stages}
    needed = direct.union(*(upstream(stages, each) for each in direct))
    return [each for each in stages if each in needed]


AnyStage = Annotated[
    MasksStage | EmStage | TagsStage | MethodStage | PriorStage, Field(discriminator="learn")
]
