"""The training loop of one stage: for each batch, targets and an optimiser step.

`Trainer.run` yields events, which callers display and log; callers also save the state.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field, replace
from math import inf, isfinite
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wsseg.config.stages import EmStage, NetworkStage, PixelStage
from wsseg.core.batch import Batch, Logits, Probability, StepContext
from wsseg.data.batches import (
    SliceDraw,
    Slices,
    epoch_draws,
    load_batches,
    training_batches,
)
from wsseg.errors import WorkError
from wsseg.inference.network import Network
from wsseg.runtime.collectives import gather_batch, shard
from wsseg.runtime.random_numbers import seeded
from wsseg.training.cutoff import shift_to_share, tagged_batches
from wsseg.training.em import (
    evaluation_logits,
    evidence_of,
    forward,
    step_loss,
    targets,
)
from wsseg.training.events import EpochDone, StepDone
from wsseg.training.messages import (
    divergence_error,
    empty_regions_warning,
    empty_targets_error,
    validation_error,
)
from wsseg.training.monitoring import TargetProbe, divergence, target_warning
from wsseg.training.plain_slices import plain_batches
from wsseg.training.stage_parts import StageParts
from wsseg.training.stage_task import StageTask
from wsseg.training.target_snapshots import TargetSnapshot
from wsseg.training.validation import ValidationLoss
from wsseg.training.weights import Weights, tensors_of


@dataclass
class Progress:
    """The progress of a stage, without its tensors. All values can be saved as JSON."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # of the current epoch
    shares: list[float] = field(default_factory=list)  # of the current epoch
    history: list[dict[str, Any]] = field(default_factory=list)  # records of finished epochs
    best_epoch: int = 0  # with the lowest validation loss; 0: not measured yet
    prior: dict[str, Any] | None = None  # as plain values, if it was fitted again


class _StepResult(NamedTuple):
    loss: float
    share: float
    warning: str | None


class Trainer:
    """The training of one stage, which can be saved and restored after every step.

    The drawn slices and their augmentation depend only on the task's seed, the epoch, the case and
    the slice. Random numbers that networks, E-steps and losses draw from torch, for example for
    dropout, depend only on the seed, the step and the process. `steps` is the number of optimiser
    steps of the stage.
    """

    def __init__(self, task: StageTask, network: Network) -> None:
        """Prepare to train `network`, in place, on the scans of `task`."""
        stage, scans, input, fabric = task.network_stage, task.scans, task.input, task.fabric
        self.progress = Progress()
        self.probe = TargetProbe(stage, scans, input) if isinstance(stage, EmStage) else None
        self._name, self._parts, self._fabric = task.name, StageParts(stage), fabric
        self._weights = Weights(stage, network, fabric)
        self._slices = Slices(scans, input, stage.augment, task.seed)
        self._scans, self._input, self._seed = scans, input, task.seed
        self._steps_per_epoch = len(self._batches_of(0))
        self.steps = self._steps_per_epoch * stage.epochs
        self._case_names = [scan.name for scan in scans]
        self._warned_of_empty_regions = False
        self._validation = (
            ValidationLoss(stage, task.validation, input) if task.validation else None
        )

    @property
    def stage(self) -> NetworkStage:
        """The stage with its newest prior."""
        return self._parts.stage

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights that the stage predicts with, on the CPU.

        If the stage stops early, they are those of the best epoch. Averaged weights take the place
        of the trained ones if the stage averages them.
        """
        return self._weights.final()

    @property
    def stopped_early(self) -> bool:
        """Whether the loss on the validation cases has stopped decreasing."""
        stopping, epoch = self.stage.early_stopping, len(self.progress.history)
        return stopping is not None and epoch - self.progress.best_epoch >= stopping.patience

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what `restore` needs to resume training: tensors, and JSON-like values."""
        memory, prior = self._parts.state()
        tensors = self._weights.state() | {f"memory.{name}": each for name, each in memory.items()}
        if self.probe is not None and self.probe.last is not None:
            tensors["probe.last"] = self.probe.last
        return tensors, asdict(replace(self.progress, prior=prior))

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from a state that `state` returned."""
        self._weights.restore(tensors)
        if self.probe is not None:
            self.probe.last = tensors.get("probe.last")
        self.progress = Progress(**values)
        memory = tensors_of("memory", tensors)
        self._parts.restore(
            {name: value.to(self._fabric.device) for name, value in memory.items()},
            self.progress.prior,
        )

    def target_snapshot(self) -> TargetSnapshot | None:
        """Return the newest EM targets of a few slices, or None for a stage without EM."""
        if self.probe is None or not isinstance(self.stage, EmStage):
            return None
        with (
            self._seeded(0),
            self._fabric.autocast(),
        ):  # not through DDP, because only one process may call this
            network = self._weights.alone.of_targets(self.stage)
            return self.probe.snapshot(self.stage, network, self._fabric.device)

    def shift_to_share(self) -> Tensor | None:
        """Return what is added to the logits of the trained network, (K, 1, 1); None: nothing."""
        stage, device = self.stage, self._fabric.device
        if not (isinstance(stage, EmStage) and stage.cutoff == "share"):
            return None
        tagged = tagged_batches(self._scans, self._input, stage.batch_size)
        batches, network = (batch.to(device) for batch in tagged), self._weights.predicting
        with self._seeded(0), self._fabric.autocast():
            shift = shift_to_share(stage, network, batches, self._parts.context(1, stage.epochs))
        return shift[:, None, None]

    def run(self) -> Iterator[StepDone | EpochDone]:
        """Train from the current progress to the end of the stage.

        The event of an epoch precedes that of its last step, so that a state saved after any
        `StepDone` contains every finished epoch.

        Raises:
            WorkError: Training diverged, or all targets of an epoch are empty.
        """
        fabric, progress = self._fabric, self.progress
        remaining = self._batches_after(progress.step)
        loading = load_batches(self._slices, remaining, self._shard)
        epoch_start, slices = perf_counter(), 0
        with closing(loading) as batches:
            while progress.step < self.steps and not self.stopped_early:
                step_start = perf_counter()
                draws, batch, labels = next(batches)
                waited = perf_counter() - step_start
                result = self._step(draws, batch.to(fabric.device), labels)
                seconds = perf_counter() - step_start
                slices += len(draws)
                rate = slices / (perf_counter() - epoch_start)
                epoch = self._epoch
                if progress.step % self._steps_per_epoch == 0:
                    yield self._end_epoch(perf_counter() - epoch_start, slices)
                    epoch_start, slices = perf_counter(), 0
                yield StepDone(
                    step=progress.step,
                    steps=self.steps,
                    epoch=epoch,
                    loss=result.loss,
                    share=result.share,
                    share_name=self.stage.share_key,
                    slices_per_s=rate,
                    seconds=seconds,
                    waited_s=waited,
                    warning=result.warning,
                )

    def _batches_after(self, step: int) -> Iterator[list[SliceDraw]]:
        """Yield the batches after a step. An epoch is drawn when its first batch is needed."""
        done, first = divmod(step, self._steps_per_epoch)
        for epoch in range(done, self.stage.epochs):
            yield from self._batches_of(epoch)[first:]
            first = 0

    def _batches_of(self, epoch: int) -> list[list[SliceDraw]]:
        draws = epoch_draws(self._scans, self.stage.sampling, self._seed, epoch)
        return training_batches(draws, self.stage.batch_size)

    def _shard(self, draws: Sequence[SliceDraw]) -> list[SliceDraw]:
        """Return this process's draws: two or more if batch norm is not synchronised."""
        fabric = self._fabric
        smallest = 1 if fabric.device.type == "cuda" else 2
        return shard(draws, fabric.global_rank, fabric.world_size, smallest)

    def _step(
        self, draws: Sequence[SliceDraw], batch: Batch, labels: Probability | None
    ) -> _StepResult:
        """Take one optimiser step. `batch` is this process's shard of `draws`."""
        stage, progress = self.stage, self.progress
        context = self._context
        with self._seeded(1 + self._fabric.global_rank):
            outputs = forward(stage, self._weights.networks, batch)
            y = targets(stage, batch, labels, outputs.e_step, context)
        own = batch
        y, batch = self._gather(y, len(draws)), self._gather_batch(draws, batch)
        heads = [self._gather(each, len(draws)) for each in (outputs.m_step, *outputs.auxiliary)]
        if self._parts.remembers:
            self._remember(own, outputs.e_step, batch)
        with self._seeded(0):  # all processes compute the same loss
            loss = step_loss(stage, heads, y, batch, context)
            self._fabric.backward(loss)
        rate = stage.optimizer.lr_at(progress.step / self._steps_per_epoch, stage.epochs)
        gradient = self._weights.step(rate)
        progress.step += 1
        watched = stage.watched_mask(heads[0].detach(), y, batch)
        share = watched.sum() / batch.support.sum().clamp(min=1)
        numbers = torch.stack([loss.detach(), gradient, self._weights.norm(), share])
        has_region = batch.region.flatten(1).any(1)
        # One transfer from the device for all numbers.
        loss_, gradient_, norm, share_, *some = torch.cat([numbers, has_region]).tolist()
        if problem := divergence(loss_, gradient_, norm, self._weights.initial_norm):
            raise WorkError(divergence_error(self._position, problem, self._bad_cases(draws)))
        if not progress.losses:
            self._parts.check_unchanged()
        progress.losses.append(loss_)
        progress.shares.append(share_)
        empty = [draw for draw, any_ in zip(draws, some, strict=True) if not any_]
        return _StepResult(loss_, share_, self._empty_region_warning(empty))

    def _end_epoch(self, seconds: float, slices: int) -> EpochDone:
        progress, stage = self.progress, self.stage
        epoch = self._epoch
        record: dict[str, Any] = {
            "stage": self._name,
            "learn": stage.learn,
            "epoch": epoch,
            "epochs": stage.epochs,
            "step": progress.step,
            "loss": sum(progress.losses) / len(progress.losses),
            stage.share_key: sum(progress.shares) / len(progress.shares),
            "lr": self._weights.learning_rate,
            "slices_per_s": slices / seconds,
            "seconds": seconds,
        }
        if isinstance(stage, PixelStage) and not any(progress.shares):
            raise WorkError(empty_targets_error(self._position, slices, self._case_names))
        if self.probe is not None and isinstance(stage, EmStage):
            with self._seeded(0):
                context = self._parts.context(epoch / stage.epochs, epoch)
                network = self._weights.networks.of_targets(stage)
                record |= self.probe.measure(stage, network, self._fabric.device, context)
        self._parts.check_unchanged()
        if self._parts.refits:
            self._refit_prior()
        if self._validation is not None:
            record["validation_loss"] = self._validation_loss(self._validation)
            earlier = [each["validation_loss"] for each in progress.history]
            if record["validation_loss"] < min(earlier, default=inf):
                progress.best_epoch = epoch
                self._weights.keep_best()
        progress.history.append(record)
        progress.losses, progress.shares = [], []
        return EpochDone(record, target_warning(progress.history))

    def _validation_loss(self, validation: ValidationLoss) -> float:
        """Return the loss on the validation cases, the same in all processes."""
        with self._seeded(0), self._fabric.autocast():
            own = validation.measure(self._weights.predicting, self._fabric.device)
        loss: float = self._fabric.broadcast(own)
        if not isfinite(loss):
            raise WorkError(validation_error(self._position, loss))
        return loss

    def _gather(self, rows: Tensor, size: int) -> Tensor:
        return gather_batch(self._fabric, rows, size)

    def _gather_batch(self, draws: Sequence[SliceDraw], batch: Batch) -> Batch:
        """Join the shards of all processes. Losses get only the middle slices of the images."""
        names, index = tuple(self._cases(draws)), tuple(draw.z for draw in draws)
        seen = replace(batch.middle_slices(), case=names, slice_index=index)
        return seen.with_tensors(lambda tensor: self._gather(tensor, len(draws)))

    def _remember(self, own: Batch, logits: Logits, batch: Batch) -> None:
        """Update the E-step's memory from the evidence of all processes; `own` is one shard."""
        assert isinstance(self.stage, EmStage), "only an E-step remembers"  # noqa: S101
        with torch.no_grad(), self._seeded(0):
            evidence = evidence_of(self.stage, own, logits, self._context)
            logits, phi = (
                self._gather(each, len(batch.tags)) for each in (evidence.logits, evidence.phi)
            )
            self._parts.remember(replace(evidence, batch=batch, logits=logits, phi=phi))

    def _refit_prior(self) -> None:
        """Fit the prior to the network's predictions for all slices; all processes use the same."""
        stage, device = self.stage, self._fabric.device
        assert isinstance(stage, EmStage), "only EM has a prior"  # noqa: S101
        network = self._weights.networks.of_targets(stage)
        context = self._parts.context(self._epoch / stage.epochs, self._epoch)
        with self._seeded(0):
            prior = self._parts.refitted_prior(
                evidence_of(stage, batch, evaluation_logits(network, batch), context)
                for each in plain_batches(self._scans, self._input)
                for batch in [each.to(device)]
            )
        self._parts.use_prior(self._fabric.broadcast(prior))

    @property
    def _context(self) -> StepContext:
        """The state of training that is passed to the E-step of the next step."""
        step = self.progress.step
        return self._parts.context(step / self.steps, 1 + step // self._steps_per_epoch)

    def _seeded(self, stream: int) -> AbstractContextManager[None]:
        """Seed torch's generators for a part of the next step; their state need not be saved."""
        return seeded(self._fabric.device, self._seed, self.progress.step, stream)

    @property
    def _epoch(self) -> int:
        """The epoch of the newest step, from 1."""
        return -(-self.progress.step // self._steps_per_epoch)

    @property
    def _position(self) -> str:
        return f"stage {self._name}, step {self.progress.step} (epoch {self._epoch})"

    def _empty_region_warning(self, draws: Sequence[SliceDraw]) -> str | None:
        """Return a warning about slices without a region, or None if it was given before."""
        if not draws or self._warned_of_empty_regions:
            return None
        self._warned_of_empty_regions = True
        return empty_regions_warning(self._position, len(draws), self._cases(draws))

    def _bad_cases(self, draws: Sequence[SliceDraw]) -> list[str]:
        """Return the names of the cases with NaN or infinite voxels, or of all if none has any."""
        bad = [draw for draw in draws if not np.isfinite(self._slices[draw].image).all()]
        return self._cases(bad or draws)

    def _cases(self, draws: Sequence[SliceDraw]) -> list[str]:
        return [self._case_names[draw.scan] for draw in draws]
