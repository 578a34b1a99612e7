"""The training loop of one stage: for each batch, targets and an optimiser step.

`Trainer.run` yields events; callers show, log and save.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field
from math import inf, isfinite
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from wsseg.config.stages import EmStage, NetworkStage, PixelStage
from wsseg.core.batch import Batch, Logits, Probability
from wsseg.core.contracts import check_loss
from wsseg.data.batches import (
    SliceDraw,
    Slices,
    epoch_draws,
    load_batches,
    to_device,
    training_batches,
)
from wsseg.errors import WorkError
from wsseg.inference.network import BODY, Network
from wsseg.runtime.collectives import gather_batch, shard
from wsseg.runtime.memory_format import to_channels_last
from wsseg.runtime.random_numbers import seeded
from wsseg.training.averaging import averaged_copy, update_average
from wsseg.training.em import Networks, forward, targets
from wsseg.training.monitoring import TargetProbe, divergence, list_cases, target_warning
from wsseg.training.optimizer import (
    clip_gradients,
    in_memory_format_of,
    new_optimizer,
    set_learning_rate,
)
from wsseg.training.stage_task import StageTask
from wsseg.training.target_snapshots import TargetSnapshot
from wsseg.training.validation import ValidationLoss


@dataclass(frozen=True)
class StepDone:
    """The event after an optimiser step."""

    step: int  # counted over the stage, from 1
    steps: int  # of the stage
    epoch: int
    loss: float
    share: float  # of the batch's support, inside `NetworkStage.watched_mask`
    share_name: str  # the share's key in an epoch's record
    slices_per_s: float  # averaged over the epoch so far
    seconds: float  # for this step
    waited_s: float  # for the batch to be loaded, included in `seconds`
    warning: str | None


@dataclass(frozen=True)
class EpochDone:
    """The event after an epoch: its record in the log, and a warning about EM's targets, if any."""

    record: dict[str, Any]
    warning: str | None


@dataclass
class Progress:
    """The progress of a stage, without its tensors. All values can be saved as JSON."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # of the current epoch
    shares: list[float] = field(default_factory=list)  # of the current epoch
    history: list[dict[str, Any]] = field(default_factory=list)  # records of finished epochs
    best_epoch: int = 0  # of the lowest loss on the validation cases; 0: not measured yet


class _StepResult(NamedTuple):
    loss: float
    share: float
    warning: str | None


class Trainer:
    """The training of one stage, which can be saved and restored after every step.

    Drawn slices and augmentation are a function of the task's seed, the epoch, the case and the
    slice. What networks, E-steps and losses draw from torch, such as dropout, is a function of the
    seed, the step and the process. `steps` is the number of optimiser steps of the stage.
    """

    def __init__(self, task: StageTask, network: Network) -> None:
        """Prepare to train `network`, which is changed, on the scans of `task`."""
        stage, scans, input, fabric = task.network_stage, task.scans, task.input, task.fabric
        self.progress = Progress()
        self.probe = TargetProbe(stage, scans, input) if isinstance(stage, EmStage) else None
        self._name, self._stage, self._fabric = task.name, stage, fabric
        self._module = to_channels_last(_synchronised(network, fabric))
        self._initial_norm = float(self._weight_norm())
        self._average = averaged_copy(self._module) if stage.average is not None else None
        trained, self._optimizer = fabric.setup(
            self._module, new_optimizer(stage.optimizer, self._module, _encoder_of(stage))
        )
        averaged = None if self._average is None else fabric.setup_module(self._average)
        self._networks = Networks(trained, averaged)
        self._slices = Slices(scans, input, stage.augment, task.seed)
        self._scans, self._seed = scans, task.seed
        self._steps_per_epoch = len(self._batches_of(0))
        self.steps = self._steps_per_epoch * stage.epochs
        self._case_names = [scan.name for scan in scans]
        self._warned_of_empty_regions = False
        self._validation = (
            ValidationLoss(stage, task.validation, input) if task.validation else None
        )
        self._best: dict[str, Tensor] = {}  # the weights after `Progress.best_epoch`

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights that the stage predicts with, on the CPU.

        Those of the best epoch of a stage that stops early; else the average, if there is one.
        """
        return self._best or _on_cpu(self._predicting)

    @property
    def stopped_early(self) -> bool:
        """Whether the loss on the validation cases has not fallen for too long."""
        stopping, epoch = self._stage.early_stopping, len(self.progress.history)
        return stopping is not None and epoch - self.progress.best_epoch >= stopping.patience

    @property
    def _predicting(self) -> nn.Module:
        return self._module if self._average is None else self._average

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what `restore` needs to resume training: tensors, and JSON-like values."""
        tensors = {f"network.{name}": value for name, value in _on_cpu(self._module).items()}
        if self._average is not None:
            tensors |= {f"average.{name}": each for name, each in _on_cpu(self._average).items()}
        for index, values in self._optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer.{index}.{key}": value.cpu()
                for key, value in values.items()
                if value is not None  # such as the momentum of SGD without momentum
            }
        tensors |= {f"best.{name}": value for name, value in self._best.items()}
        if self.probe is not None and self.probe.last is not None:
            tensors["probe.last"] = self.probe.last
        return tensors, asdict(self.progress)

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from a state that `state` returned."""
        names = ("network", "average", "best", "optimizer", "probe")
        parts = {name: dict[str, Tensor]() for name in names}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self._module.load_state_dict(parts["network"])
        if self._average is not None:
            self._average.load_state_dict(parts["average"])
        self._best = parts["best"]
        state: dict[int, dict[str, Tensor]] = {}
        groups = self._optimizer.state_dict()["param_groups"]
        weights = [each for group in self._optimizer.param_groups for each in group["params"]]
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = in_memory_format_of(weights[int(index)], value)
        self._optimizer.load_state_dict({"state": state, "param_groups": groups})
        if self.probe is not None:
            self.probe.last = parts["probe"].get("last")
        self.progress = Progress(**values)

    def target_snapshot(self) -> TargetSnapshot | None:
        """Return the newest EM targets of a few slices; None for a stage without EM."""
        if self.probe is None:
            return None
        with (
            self._seeded(0),
            self._fabric.autocast(),
        ):  # not through DDP, since only one process may call this
            network = Networks(self._module, self._average).of_targets(self._stage)
            return self.probe.snapshot(network, self._fabric.device)

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
                result = self._step(draws, to_device(batch, fabric.device), labels)
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
                    share_name=self._stage.share_key,
                    slices_per_s=rate,
                    seconds=seconds,
                    waited_s=waited,
                    warning=result.warning,
                )

    def _batches_after(self, step: int) -> Iterator[list[SliceDraw]]:
        """Yield the batches that follow a step. An epoch is drawn when its first one is needed."""
        done, first = divmod(step, self._steps_per_epoch)
        for epoch in range(done, self._stage.epochs):
            yield from self._batches_of(epoch)[first:]
            first = 0

    def _batches_of(self, epoch: int) -> list[list[SliceDraw]]:
        draws = epoch_draws(self._scans, self._stage.sampling, self._seed, epoch)
        return training_batches(draws, self._stage.batch_size)

    def _shard(self, draws: Sequence[SliceDraw]) -> list[SliceDraw]:
        """Return this process's draws: two or more where batch norm is not synchronised."""
        fabric = self._fabric
        smallest = 1 if fabric.device.type == "cuda" else 2
        return shard(draws, fabric.global_rank, fabric.world_size, smallest)

    def _step(
        self, draws: Sequence[SliceDraw], batch: Batch, labels: Probability | None
    ) -> _StepResult:
        """Take one optimiser step. `batch` is this process's shard of `draws`."""
        stage, progress = self._stage, self.progress
        rate = stage.optimizer.lr_at(progress.step / self._steps_per_epoch, stage.epochs)
        set_learning_rate(self._optimizer, rate)
        with self._seeded(1 + self._fabric.global_rank):
            outputs = forward(stage, self._networks, batch)
            y = targets(stage, batch, labels, outputs.e_step, progress.step / self.steps)
        names = tuple(self._case_names[draw.scan] for draw in draws)
        logits, y, batch = self._gather(names, outputs.m_step, y, batch)
        with self._seeded(0):  # all processes compute the same loss
            loss = check_loss(stage.loss, stage.objective(logits, y, batch))
            self._fabric.backward(loss)
        gradient = get_total_norm(p.grad for p in self._module.parameters() if p.grad is not None)
        clip_gradients(self._module, gradient, stage.optimizer.max_gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._average is not None and stage.average is not None:
            update_average(self._average, self._module, stage.average.decay)
        progress.step += 1
        watched = stage.watched_mask(logits.detach(), y, batch)
        share = watched.sum() / batch.support.sum().clamp(min=1)
        numbers = torch.stack([loss.detach(), gradient, self._weight_norm(), share])
        has_region = batch.region.flatten(1).any(1)
        # One transfer from the device for all numbers.
        loss_, gradient_, norm, share_, *some = torch.cat([numbers, has_region]).tolist()
        if problem := divergence(loss_, gradient_, norm, self._initial_norm):
            raise WorkError(self._divergence_error(problem, draws))
        progress.losses.append(loss_)
        progress.shares.append(share_)
        empty = [draw for draw, any_ in zip(draws, some, strict=True) if not any_]
        return _StepResult(loss_, share_, self._empty_region_warning(empty))

    def _end_epoch(self, seconds: float, slices: int) -> EpochDone:
        progress, stage = self.progress, self._stage
        epoch = self._epoch
        record: dict[str, Any] = {
            "stage": self._name,
            "learn": stage.learn,
            "epoch": epoch,
            "epochs": stage.epochs,
            "step": progress.step,
            "loss": sum(progress.losses) / len(progress.losses),
            stage.share_key: sum(progress.shares) / len(progress.shares),
            "lr": self._optimizer.param_groups[0]["lr"],  # of the last step
            "slices_per_s": slices / seconds,
            "seconds": seconds,
        }
        if isinstance(stage, PixelStage) and not any(progress.shares):
            raise WorkError(self._empty_targets_error(slices))
        if self.probe is not None:
            with self._seeded(0):
                share = epoch / stage.epochs
                network = self._networks.of_targets(stage)
                record |= self.probe.measure(network, self._fabric.device, share)
        if self._validation is not None:
            record["validation_loss"] = self._validation_loss(self._validation)
            earlier = [each["validation_loss"] for each in progress.history]
            if record["validation_loss"] < min(earlier, default=inf):
                progress.best_epoch = epoch
                self._best = {
                    name: each.clone() for name, each in _on_cpu(self._predicting).items()
                }
        progress.history.append(record)
        progress.losses, progress.shares = [], []
        return EpochDone(record, target_warning(progress.history))

    def _validation_loss(self, validation: ValidationLoss) -> float:
        """Return the loss on the validation cases, the same in all processes."""
        with self._seeded(0), self._fabric.autocast():
            own = validation.measure(self._predicting, self._fabric.device)
        loss: float = self._fabric.broadcast(own)
        if not isfinite(loss):
            raise WorkError(
                f"{self._position}: the loss on the validation cases is {loss}.\nThe newest saved "
                "state is intact. Inspect these images"
            )
        return loss

    def _gather(
        self, names: tuple[str, ...], logits: Logits, y: Tensor, batch: Batch
    ) -> tuple[Logits, Tensor, Batch]:
        """Join the shards of all processes. Of the images, losses get only the middle slices."""
        tensors = (logits, y, batch.middle, batch.region, batch.tags)
        logits, y, middle, region, tags = (
            gather_batch(self._fabric, each, len(names)) for each in tensors
        )
        return logits, y, Batch(middle, region, tags, case=names)

    def _seeded(self, stream: int) -> AbstractContextManager[None]:
        """Seed torch's generators for a part of the next step, so that no state needs saving."""
        return seeded(self._fabric.device, self._seed, self.progress.step, stream)

    def _weight_norm(self) -> Tensor:
        return get_total_norm(p.detach() for p in self._module.parameters())

    @property
    def _epoch(self) -> int:
        """The epoch of the newest step, from 1."""
        return -(-self.progress.step // self._steps_per_epoch)

    @property
    def _position(self) -> str:
        return f"stage {self._name}, step {self.progress.step} (epoch {self._epoch})"

    def _divergence_error(self, problem: str, draws: Sequence[SliceDraw]) -> str:
        """Return an error that names the cases with NaN or infinite voxels, or else all cases."""
        bad = [draw for draw in draws if not np.isfinite(self._slices[draw].image).all()]
        return (
            f"{self._position}: {problem}; {self._cases(bad or draws)}.\n"
            "The newest saved state is intact. Lower the learning rate, or inspect these images"
        )

    def _empty_targets_error(self, slices: int) -> str:
        return (
            f"{self._position}: the targets of all {slices} slices of the epoch are empty "
            f"({list_cases(self._case_names)}), so the network would learn to predict background "
            "only.\nThe newest saved state is intact. Is the region empty, or the prior too strict?"
        )

    def _empty_region_warning(self, draws: Sequence[SliceDraw]) -> str | None:
        """Return a warning about slices without region; None where it was given before."""
        if not draws or self._warned_of_empty_regions:
            return None
        self._warned_of_empty_regions = True
        return (
            f"{self._position}: {len(draws)} slices of {self._cases(draws)} have no region left: "
            "augmentation moved it out of the image, or it is smaller than a pixel. Nothing is "
            "learnt from them"
        )

    def _cases(self, draws: Sequence[SliceDraw]) -> str:
        return list_cases(self._case_names[draw.scan] for draw in draws)


def _encoder_of(stage: NetworkStage) -> str | None:
    """Return the name of the encoder in the network of a stage, if its backbone has one."""
    name = None if stage.backbone is None else stage.backbone.encoder_module
    return None if name is None else f"{BODY}.{name}"


def _on_cpu(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights and buffers of a network, on the CPU."""
    return {name: value.detach().cpu() for name, value in network.state_dict().items()}


def _synchronised(network: Network, fabric: Fabric) -> nn.Module:
    """Synchronise batch norm between GPUs; torch has no synchronised batch norm for CPUs."""
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return synchronised
    return network
