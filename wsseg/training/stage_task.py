"""The task of training one stage: its settings, its data, and its initial weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric

from wsseg.config.recipe import Recipe
from wsseg.config.stages import EmStage, NetworkStage, PriorStage, Stage, stops_early
from wsseg.core.batch import Evidence
from wsseg.core.channels import ONE_CHANNEL
from wsseg.core.contracts import check_fitted, check_probability
from wsseg.core.input import Input
from wsseg.core.interfaces import Prior
from wsseg.data.batches import StageScan
from wsseg.data.prepare import Prepared
from wsseg.inference.checkpoint import TrainedStage, load_stage
from wsseg.inference.pipeline import Pipeline, computed_precision
from wsseg.runtime.collectives import leader_first
from wsseg.runtime.files import fingerprint
from wsseg.training.monitoring import check_positives
from wsseg.training.plain_slices import plain_batches
from wsseg.training.stage_identity import prepared_identity, started_folder, with_backbone
from wsseg.training.training_set import training_scans
from wsseg.training.weak_labels import with_bounds_of_slices


@dataclass(frozen=True)
class StageTask:
    """Everything that determines the result of one stage, and the devices that compute it."""

    name: str
    stage: Stage  # with its backbone, which may be that of the stage it starts from
    input: Input
    seed: int  # of all random numbers of the stage
    scans: tuple[StageScan, ...]  # to learn from; empty if nothing is learnt
    fabric: Fabric
    fingerprint: str  # of everything that determines the result; see `stage_identity`
    start: TrainedStage | None = None  # whose weights the network starts with; None: random
    validation: tuple[StageScan, ...] = ()  # of a stage that stops early
    left_out: int = 0  # training cases without known labels or without region
    channels: tuple[str, ...] = ONE_CHANNEL  # of the image of every case

    @property
    def network_stage(self) -> NetworkStage:
        """The stage of a task that trains a network."""
        assert isinstance(self.stage, NetworkStage), "this stage trains no network"  # noqa: S101
        return self.stage

    def fitted(self) -> "StageTask":
        """Return the task with its prior, and then its E-step, fitted to the scans.

        Both are fitted to images and weak labels only, of slices with certain tags, without
        augmentation or balancing. Before the E-step is fitted, bounds on the share of a class in a
        case are converted into bounds for its slices (`with_bounds_of_slices`). A stage without a
        prior is unchanged.
        """
        stage = self.stage
        if not isinstance(stage, EmStage | PriorStage):
            return self
        prior = check_fitted(stage.prior, stage.prior.fit(plain_batches(self.scans, self.input)))
        if not isinstance(stage, EmStage):
            return replace(self, stage=stage.model_copy(update={"prior": prior}))
        scans = tuple(with_bounds_of_slices(scan, prior, self.input) for scan in self.scans)
        evidence = (
            Evidence(batch, torch.zeros_like(phi), phi, stage.relation, progress=0)
            for batch in plain_batches(scans, self.input)
            for phi in [check_probability(prior, prior(batch), batch)]
        )
        estep = check_fitted(stage.estep, stage.estep.fit(evidence))
        parts = {"prior": prior, "estep": estep}
        return replace(self, stage=stage.model_copy(update=parts), scans=scans)


def stage_task(
    recipe: Recipe, name: str, cases: Sequence[Prepared], pipeline: Pipeline
) -> StageTask:
    """Return the task of training a recipe's stage on those of `cases` whose labels are known.

    If the stage stops early, the cases whose split is "val" are its validation cases. `pipeline`
    contains the earlier stages. In a group of processes, the leader prepares the regions.

    Raises:
        InputError: No case has the labels that the stage needs, or none has any of its classes.
    """
    stage, start = with_backbone(recipe, name), None
    scans, validation = list[StageScan](), list[StageScan]()
    early = stops_early(stage)
    training = [each for each in cases if not early or each.case.split != "val"]
    others = [each for each in cases if early and each.case.split == "val"]
    if isinstance(stage, NetworkStage) or _is_fitted(stage):
        fabric = pipeline.fabric
        scans = leader_first(fabric, lambda: training_scans(name, stage, training, pipeline))
        if others:
            validation = leader_first(fabric, lambda: training_scans(name, stage, others, pipeline))
    if isinstance(stage, NetworkStage):
        check_positives(name, stage.classes, scans)
        start = _start_of(stage, pipeline)
    marked = [replace(scan, name=f"{scan.name} (validation)") for scan in validation]
    precision = computed_precision(pipeline.fabric)
    identity = prepared_identity(recipe, name, [*scans, *marked], start, precision)
    return StageTask(
        name=name,
        stage=stage,
        input=recipe.input,
        seed=int(fingerprint([recipe.seed, name])[:8], 16),
        scans=tuple(scans),
        fabric=pipeline.fabric,
        fingerprint=identity.digest,
        start=start,
        validation=tuple(validation),
        left_out=len(training) - len(scans),
        channels=cases[0].channels if cases else ONE_CHANNEL,
    )


def _start_of(stage: NetworkStage, pipeline: Pipeline) -> TrainedStage | None:
    """Return the trained stage whose weights a stage's network starts with."""
    start = stage.trained_start
    if start is None:
        return None
    return pipeline.stages[start.stage] if start.run is None else load_stage(started_folder(start))


def _is_fitted(stage: Stage) -> bool:
    return isinstance(stage, PriorStage) and type(stage.prior).fit is not Prior.fit
