"""Fits one stage: a guess at the labels and one optimiser step, a batch at a time.

`Fit.run` tells what happens as it happens; whoever drives it shows, logs and saves.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import SGD, Adam, AdamW

from wsseg.config.stages import EmStage, Learning, Optimizer, PixelStage
from wsseg.core.batch import Batch, Logits, Probability
from wsseg.core.input import Input
from wsseg.data.batches import Draw, Scan, Slices, batches_of, epoch_draws, loaded, to_device
from wsseg.errors import WorkError
from wsseg.inference.network import Network
from wsseg.runtime.collectives import gather_batch, shard
from wsseg.training.em import forward, targets
from wsseg.training.monitoring import Probe, divergence, named, warning_about


@dataclass(frozen=True)
class StepDone:
    """One optimiser step."""

    step: int  # of all the stage's steps, from 1
    steps: int
    epoch: int
    loss: float
    share: float  # of the batch's support: `Learning.marked`
    watched: str  # its name
    slices_per_s: float  # of the epoch so far
    seconds: float  # of this step
    waited_s: float  # of them, for the batch to be loaded
    warning: str | None


@dataclass(frozen=True)
class EpochDone:
    """One epoch: what the log keeps of it, and what is wrong with its targets, if anything is."""

    record: dict[str, Any]
    warning: str | None


@dataclass
class Progress:
    """What is known of a stage half-way, but for its tensors; plain, to be saved as JSON."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # of the epoch so far
    shares: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """One stage being fitted. All randomness is a function of `seed`, epoch, case and slice.

    `steps` is how many it takes in all.
    """

    def __init__(
        self,
        name: str,
        stage: Learning,
        network: Network,
        scans: Sequence[Scan],
        input: Input,
        seed: int,
        fabric: Fabric,
    ) -> None:
        self.progress = Progress()
        self.probe = Probe(stage, scans, input) if isinstance(stage, EmStage) else None
        self._name, self._stage, self._fabric = name, stage, fabric
        self._plain = _synchronised(network, fabric).to(memory_format=torch.channels_last)
        self._began = float(self._norm())
        self._network, self._optimizer = fabric.setup(
            self._plain, _new_optimizer(stage.optimizer, self._plain)
        )
        self._slices = Slices(scans, input, stage.augment, seed)
        epochs = [epoch_draws(scans, stage.sampling, seed, epoch) for epoch in range(stage.epochs)]
        self._batches = batches_of(epochs, stage.batch_size)
        self.steps = len(self._batches)
        self._per_epoch = self.steps // stage.epochs
        self._names = [scan.name for scan in scans]
        self._warned = False

    @property
    def weights(self) -> dict[str, Tensor]:
        """The network's weights as they are now."""
        return {name: value.detach().cpu() for name, value in self._plain.state_dict().items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that `restore` needs to go on from here: tensors, and plain values."""
        tensors = {f"network.{name}": value for name, value in self.weights.items()}
        for index, values in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value.cpu() for key, value in values.items()}
        if self.probe is not None and self.probe.last is not None:
            tensors["probe.last"] = self.probe.last
        return tensors, asdict(self.progress)

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        parts = {name: dict[str, Tensor]() for name in ("network", "optimizer", "probe")}
        for name, value in tensors.items():
            shard, _, rest = name.partition(".")
            parts[shard][rest] = value
        self._plain.load_state_dict(parts["network"])
        state: dict[int, dict[str, Tensor]] = {}
        weights = list(self._plain.parameters())
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = _laid_out_as(weights[int(index)], value)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": state, "param_groups": groups})
        if self.probe is not None:
            self.probe.last = parts["probe"].get("last")
        self.progress = Progress(**plain)

    def planes(self) -> dict[str, Tensor]:
        """Return a few slices with their newest targets; nothing where the stage does not guess."""
        if self.probe is None:
            return {}
        with self._fabric.autocast():  # not by way of DDP: only one of several processes may ask
            return self.probe.planes(self._plain, self._fabric.device)

    def run(self) -> Iterator[StepDone | EpochDone]:
        """Train from where the progress stands to the stage's end.

        An epoch's end comes before its last step is told: after a step, no state lacks an epoch.

        Raises:
            WorkError: A number is none or absurd, or there was nothing to learn from.
        """
        fabric, progress = self._fabric, self.progress
        rest = self._batches[progress.step :]
        parts = [shard(draws, fabric.global_rank, fabric.world_size) for draws in rest]
        started, seen = perf_counter(), 0
        with closing(loaded(self._slices, parts)) as batches:
            for draws in rest:
                asked = perf_counter()
                batch, labels = next(batches)
                waited = perf_counter() - asked
                loss, share, warning = self._step(draws, to_device(batch, fabric.device), labels)
                seconds = perf_counter() - asked
                seen += len(draws)
                rate = seen / (perf_counter() - started)
                watched = self._stage.watched
                epoch = -(-progress.step // self._per_epoch)
                if progress.step % self._per_epoch == 0:
                    yield self._end_epoch(perf_counter() - started, seen)
                    started, seen = perf_counter(), 0
                yield StepDone(
                    progress.step, self.steps, epoch, loss, share, watched, rate, seconds, waited,
                    warning,
                )  # fmt: skip

    def _step(
        self, draws: Sequence[Draw], batch: Batch, labels: Probability | None
    ) -> tuple[float, float, str | None]:
        """Take one optimiser step; return its loss, the share that is marked, and a warning.

        The `batch` is this process's part of `draws`.
        """
        stage, progress = self._stage, self.progress
        for group in self._optimizer.param_groups:
            group["lr"] = stage.optimizer.lr_at(progress.step / self._per_epoch, stage.epochs)
        logits, belief = forward(stage, self._network, batch)
        y = targets(stage, batch, labels, belief, progress.step / self.steps)
        logits, y, batch = self._whole(len(draws), logits, y, batch)
        loss = stage.objective(logits, y, batch)
        self._fabric.backward(loss)
        gradient = get_total_norm(p.grad for p in self._plain.parameters() if p.grad is not None)
        self._optimizer.step()
        self._optimizer.zero_grad()
        progress.step += 1
        share = stage.watched_mask(logits.detach(), y, batch).sum() / batch.support.sum().clamp(
            min=1
        )
        numbers = torch.stack([loss.detach(), gradient, self._norm(), share])
        inside = batch.region.flatten(1).any(1)
        loss_, gradient_, norm, share_, *some = torch.cat([numbers, inside]).tolist()  # one wait
        if problem := divergence(loss_, gradient_, norm, self._began):
            raise WorkError(self._unsound(problem, draws))
        progress.losses.append(loss_)
        progress.shares.append(share_)
        return (
            loss_,
            share_,
            self._outside([d for d, any_ in zip(draws, some, strict=True) if not any_]),
        )

    def _end_epoch(self, seconds: float, seen: int) -> EpochDone:
        progress, stage = self.progress, self._stage
        epoch = progress.step // self._per_epoch
        record: dict[str, Any] = {
            "stage": self._name,
            "learn": stage.learn,
            "epoch": epoch,
            "epochs": stage.epochs,
            "step": progress.step,
            "loss": sum(progress.losses) / len(progress.losses),
            stage.watched: sum(progress.shares) / len(progress.shares),
            "lr": stage.optimizer.lr_at(epoch, stage.epochs),
            "slices_per_s": seen / seconds,
            "seconds": seconds,
        }
        if isinstance(stage, PixelStage) and not any(progress.shares):
            raise WorkError(self._nothing(seen))
        if self.probe is not None:
            record |= self.probe.look(self._network, self._fabric.device, epoch / stage.epochs)
        progress.history.append(record)
        progress.losses, progress.shares = [], []
        return EpochDone(record, warning_about(progress.history))

    def _whole(
        self, number: int, logits: Logits, y: Tensor, batch: Batch
    ) -> tuple[Logits, Tensor, Batch]:
        """Join the processes' parts of a batch; without its images, at which nobody looks now."""
        if self._fabric.world_size == 1:
            return logits, y, batch
        logits, y, region, tags = (
            gather_batch(self._fabric, each, number)
            for each in (logits, y, batch.region, batch.tags)
        )
        return logits, y, Batch(region.new_empty(number, 0, *region.shape[2:]), region, tags)

    def _norm(self) -> Tensor:
        return get_total_norm(p.detach() for p in self._plain.parameters())

    def _at(self) -> str:
        epoch = -(-self.progress.step // self._per_epoch)
        return f"stage {self._name}, step {self.progress.step} (epoch {epoch})"

    def _unsound(self, problem: str, draws: Sequence[Draw]) -> str:
        """Blame the cases whose images have values that are no numbers; where none has, all."""
        bad = [draw for draw in draws if not np.isfinite(self._slices[draw].image).all()]
        return (
            f"{self._at()}: {problem}; {self._cases(bad or draws)}.\n"
            "What was saved last is kept, and is sound. Lower the learning rate, or look at these "
            "images"
        )

    def _nothing(self, slices: int) -> str:
        return (
            f"{self._at()}: the targets of all {slices} slices of the epoch are empty "
            f"({named(self._names)}): a network would only learn to find nothing.\n"
            "What was saved last is kept. Is the region empty, or the prior too strict?"
        )

    def _outside(self, draws: Sequence[Draw]) -> str | None:
        """Say, once, that nothing is left of some slices' region."""
        if not draws or self._warned:
            return None
        self._warned = True
        return (
            f"{self._at()}: nothing is left of the region in {len(draws)} slices of "
            f"{self._cases(draws)}: moved out of the image, or smaller than a pixel. Nothing is "
            "learnt from them"
        )

    def _cases(self, draws: Sequence[Draw]) -> str:
        return named(self._names[draw.scan] for draw in draws)


def _synchronised(network: Network, fabric: Fabric) -> nn.Module:
    """Let batch norm see the whole batch where several GPUs share it; torch has that for no CPU."""
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return synchronised
    return network


def _laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return `value` in the memory order of its weight: fused optimisers go through both at once.

    A file has every tensor in the order of its axes.
    """
    if value.shape != weight.shape:  # a count of steps
        return value
    return torch.empty_like(weight, dtype=value.dtype, device=value.device).copy_(value)


def _new_optimizer(settings: Optimizer, network: nn.Module) -> Adam | AdamW | SGD:
    rate, decay = settings.lr_at(0, 1), settings.weight_decay
    if settings.use == "sgd":
        return SGD(network.parameters(), lr=rate, weight_decay=decay, momentum=0.9)
    kind = Adam if settings.use == "adam" else AdamW
    return kind(network.parameters(), lr=rate, weight_decay=decay)
