"""Fits one stage: a guess at the labels and one optimiser step, a batch at a time.

`Fit.run` tells what happens as it happens; whoever drives it shows, logs and saves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import SGD, Adam, AdamW

from wsseg.data.input import Input
from wsseg.data.slices import Scan, Schedule, Slices, epoch_draws, loader, to_device
from wsseg.diagnostics import Probe, warning_about
from wsseg.em import targets
from wsseg.errors import WorkError
from wsseg.evidence import Batch, Probability
from wsseg.network import Network
from wsseg.stages import EmStage, Learning, Optimizer


@dataclass(frozen=True)
class StepDone:
    """One optimiser step."""

    step: int  # of all the stage's steps, from 1
    steps: int
    loss: float
    share: float  # of the batch's support: `Learning.marked`
    watched: str  # its name
    slices_per_s: float  # of the epoch so far


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


class Fit:
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
        self._plain = network.to(memory_format=torch.channels_last)
        self._network, self._optimizer = fabric.setup(
            self._plain, _new_optimizer(stage.optimizer, network)
        )
        self._slices = Slices(scans, input, stage.augment, seed)
        self._epochs = [
            epoch_draws(scans, stage.sampling, seed, epoch) for epoch in range(stage.epochs)
        ]
        self.steps = len(Schedule(self._epochs, stage.batch_size))
        self._per_epoch = self.steps // stage.epochs

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
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self._plain.load_state_dict(parts["network"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": state, "param_groups": groups})
        if self.probe is not None:
            self.probe.last = parts["probe"].get("last")
        self.progress = Progress(**plain)

    def run(self, workers: int) -> Iterator[StepDone | EpochDone]:
        """Train from where the progress stands to the stage's end."""
        rest = Schedule(self._epochs, self._stage.batch_size, start=self.progress.step)
        started, seen = perf_counter(), 0
        for loaded, labels in loader(self._slices, rest, workers):
            loss, share = self._step(to_device(loaded, self._fabric.device), labels)
            seen += len(loaded.tags)
            rate = seen / (perf_counter() - started)
            yield StepDone(self.progress.step, self.steps, loss, share, self._stage.watched, rate)
            if self.progress.step % self._per_epoch == 0:
                yield self._end_epoch(perf_counter() - started, seen)
                started, seen = perf_counter(), 0

    def _step(self, batch: Batch, labels: Probability | None) -> tuple[float, float]:
        """Take one optimiser step; return the loss and the share of the support that is marked."""
        stage, progress = self._stage, self.progress
        for group in self._optimizer.param_groups:
            group["lr"] = stage.optimizer.lr_at(progress.step / self._per_epoch, stage.epochs)
        y = targets(stage, self._network, batch, labels, progress.step / self.steps)
        self._network.train()
        logits = self._network(batch.image).float()
        loss = stage.objective(logits, y, batch)
        if not torch.isfinite(loss):
            raise WorkError(self._not_finite(batch))
        self._fabric.backward(loss)
        self._optimizer.step()
        self._optimizer.zero_grad()
        progress.step += 1
        progress.losses.append(loss.item())
        marked = stage.marked(logits.detach(), y, batch)
        progress.shares.append(float(marked.sum() / batch.support.sum().clamp(min=1)))
        return progress.losses[-1], progress.shares[-1]

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
        if self.probe is not None:
            record |= self.probe.look(self._network, self._fabric.device, epoch / stage.epochs)
        progress.history.append(record)
        progress.losses, progress.shares = [], []
        return EpochDone(record, warning_about(progress.history))

    def _not_finite(self, batch: Batch) -> str:
        epoch = self.progress.step // self._per_epoch + 1
        return (
            f"stage {self._name}: the loss is no longer a number in epoch {epoch} "
            f"(cases {', '.join(sorted(set(batch.case)))}).\n"
            "The last saved state is kept. Lower the learning rate, or check these cases."
        )


def _new_optimizer(settings: Optimizer, network: Network) -> Adam | AdamW | SGD:
    rate, decay = settings.lr_at(0, 1), settings.weight_decay
    if settings.use == "sgd":
        return SGD(network.parameters(), lr=rate, weight_decay=decay, momentum=0.9)
    kind = Adam if settings.use == "adam" else AdamW
    return kind(network.parameters(), lr=rate, weight_decay=decay)
