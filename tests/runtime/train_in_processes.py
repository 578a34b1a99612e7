"""Trains a small network for 20 steps: train_in_processes.py PROCESSES LOSS OUT [FROM].

LOSS is the loss of a supervised stage, or "em" for a stage with an E-step that remembers and a
prior that is fitted after each epoch. A single process also saves its state after `HALF_WAY` steps,
next to OUT. FROM is a saved state to continue from.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import Tensor, nn

import wsseg
from wsseg.components.registry import Offer, registry
from wsseg.config.stages import EmStage, MasksStage, NetworkStage
from wsseg.core.batch import Batch, Evidence, Logits, Probability
from wsseg.core.class_relation import ClassRelation
from wsseg.core.input import Input
from wsseg.core.interfaces import EStep, PixelLoss, Prior
from wsseg.data.augment import StandardAugment
from wsseg.data.batches import StageScan
from wsseg.inference.folders import StageFolder
from wsseg.inference.network import Network
from wsseg.training.events import StepDone
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Trainer
from wsseg.training.training_state import load_state, save_state

HALF_WAY = 7  # steps, in the middle of an epoch
INPUT = Input(slices=3, size=16)


class FrozenNorm(nn.BatchNorm2d):
    """A batch norm that uses its running statistics in training as well."""

    def train(self, mode: bool = True) -> "FrozenNorm":  # noqa: ARG002
        return super().train(False)


class BrighterCounts(PixelLoss):
    """Cross-entropy with the weight exp(x) of a pixel: it needs the image and the case names."""

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        assert len(batch.case) == len(logits)
        entropy = -(relation.distribution(y) * relation.log_distribution(logits)).sum(1)
        of_case = torch.tensor([1 + int(name.removeprefix("case-")) for name in batch.case])
        return (entropy * batch.middle[:, 0].exp() * of_case[:, None, None]).mean()


class Remembers(EStep):
    """The mean of the posterior and of its average over the earlier steps."""

    def __call__(self, evidence: Evidence) -> Probability:
        q = evidence.log_odds.sigmoid()
        mean = evidence.memory.get("mean", torch.tensor(0.5))
        return ((q + mean) / 2).where(evidence.batch.support, 0)

    def remember(self, evidence: Evidence) -> Mapping[str, Tensor]:
        newest = evidence.log_odds.sigmoid().mean()
        return {"mean": (evidence.memory.get("mean", newest) + newest) / 2}


class Refitted(Prior):
    """phi is the network's mean posterior in the epoch before, the same for all pixels."""

    level: float = 0.6

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, self.level)

    def refit(self, evidence: Iterable[Evidence]) -> Self:
        means = [each.log_odds.sigmoid().mean() for each in evidence]
        return self.model_copy(update={"level": 0.3 + 0.5 * float(torch.stack(means).mean())})


def stage_of(loss: str) -> NetworkStage:
    """Return the supervised stage with a loss, or the EM stage."""
    shared: dict[str, Any] = {
        "classes": ["lesion"],
        "start": "before",
        "epochs": 5,
        "batch_size": 7,  # of 25 slices in balanced order: 4 batches an epoch, the last one smaller
        "optimizer": wsseg.make(wsseg.Optimizer, "sgd", lr=0.1),
        "augment": StandardAugment(flip=("left-right",)),
        "sampling": "balanced",
    }
    if loss != "em":
        own = BrighterCounts() if loss == "brighter-counts" else wsseg.make(PixelLoss, loss)
        return MasksStage(learn="masks", loss=own, **shared)
    offer = Offer("refitted", Prior, Refitted, "test", "test 1.0")
    registry().offers[Prior, "refitted"] = offer
    entropy = wsseg.make(PixelLoss, "cross-entropy")
    return EmStage(learn="em", prior=Refitted(), estep=Remembers(), loss=entropy, **shared)


def scan(number: int) -> StageScan:
    noise = np.random.default_rng(number)
    image = noise.normal(size=(1, 5, 16, 16)).astype(np.float32)
    mask = (image[0] > 0.5).astype(np.uint8)
    tags = np.full((5, 1), number % 2 == 0)
    return StageScan(f"case-{number}", image, None, None, tags, tuple(range(5)), (mask,))


def save(trainer: Trainer, path: Path) -> None:
    save_file({name: weight.contiguous() for name, weight in trainer.weights.items()}, path)


def main() -> None:
    processes, loss, out = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    torch.set_default_dtype(torch.float64)
    strategy = "ddp" if processes > 1 else "auto"
    fabric = Fabric(accelerator="cpu", strategy=strategy, devices=processes, precision="64-true")
    fabric.launch()
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), FrozenNorm(8), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1)
    )
    stage = stage_of(loss)
    scans = tuple(scan(number) for number in range(5))
    task = StageTask("masks", stage, INPUT, 3, scans, fabric, fingerprint="key")
    trainer = Trainer(
        task, Network(body, INPUT, wsseg.make(wsseg.Backbone, "additive-unet"), classes=1)
    )
    if fabric.is_global_zero:
        save(trainer, out.with_suffix(".start.safetensors"))
    if state := load_state(StageFolder(Path(sys.argv[4])), "key") if len(sys.argv) > 4 else None:
        trainer.restore(*state)
    for event in trainer.run():
        if processes == 1 and isinstance(event, StepDone) and event.step == HALF_WAY:
            save_state(StageFolder(out.with_suffix("")), *trainer.state(), "key")
    assert trainer.progress.step >= 20, trainer.progress.step
    if fabric.is_global_zero:
        save(trainer, out)


main()
