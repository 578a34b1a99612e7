"""The network and the training step of the paper in wsseg, on scans of noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.roofline import Roofline, roofline
from benchmarks.speed.plain_training import FILL_HU, HIGHEST_HU, SCALE_HU
from wsseg.components.registry import registry
from wsseg.config.stages import EmStage, MasksStage, NetworkStage
from wsseg.core.input import Input
from wsseg.data.augment import StandardAugment
from wsseg.data.batches import StageScan, batches_in_advance
from wsseg.inference.network import Network, new_network
from wsseg.runtime.device import open_fabric
from wsseg.runtime.memory_format import to_channels_last
from wsseg.training.events import StepDone
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Progress, Trainer

CASES = 4
AUGMENT = StandardAugment(
    rotate_deg=90, translate=0.1, zoom=(0.9, 1.1), flip=("left-right", "front-back")
)  # as recipe covid/base
RATE = 1e-4
LABELLED_HU = -100  # noise above this value is labelled
SHARED_SETTINGS: dict[str, Any] = {
    "classes": ["infection"],
    "loss": {"use": "smooth-dice"},
    "epochs": 1,
    "optimizer": {"use": "adam", "lr": RATE},
    "augment": AUGMENT.model_dump(),
}
EM_SETTINGS: dict[str, Any] = {
    "learn": "em",
    "prior": {"use": "hu-sigmoid", "midpoint_hu": -34, "width_hu": 220},
    "estep": {"use": "hard"},
}
LEARN: dict[str, tuple[type[NetworkStage], dict[str, Any]]] = {
    "masks": (MasksStage, {"learn": "masks"}),
    "em": (EmStage, EM_SETTINGS),
    "em, belief: evaluation": (EmStage, EM_SETTINGS | {"belief": "evaluation"}),
}


@dataclass(frozen=True)
class Sizes:
    """The sizes of the network and its batches; the defaults are those of the paper."""

    slices: int = 7
    pixels: int = 256  # side length
    width: int = 32
    batch: int = 16

    @property
    def input(self) -> Input:
        """The input of the network, as in recipe covid/base."""
        return Input(
            slices=self.slices, size=self.pixels, thick=None, fill=FILL_HU,
            clip=(FILL_HU, HIGHEST_HU), offset=FILL_HU, scale=SCALE_HU,
        )  # fmt: skip

    @property
    def backbone(self) -> dict[str, Any]:
        """The network, as a recipe configures it."""
        return {"use": "additive-unet", "width": self.width}


PAPER = Sizes()


def network(sizes: Sizes) -> Network:
    """Return the network with random weights, in the memory format of training."""
    stage = stage_of("masks", sizes)
    assert stage.backbone is not None, "the stage has a backbone"  # noqa: S101
    new = new_network(stage.backbone, sizes.input, len(stage.classes), seed=0)
    return to_channels_last(new)


def flop_per_slice(sizes: Sizes) -> int:
    """Count the operations of all convolutions in the forward and backward pass of a slice."""
    image = torch.zeros(1, 1, sizes.slices, sizes.pixels, sizes.pixels)
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(network(sizes).eval()(image).sum())
    return int(counter.get_total_flops())


def write_scans(folder: Path, sizes: Sizes, batches: int) -> None:
    """Write noise for `scans`, with enough slices for `batches`; half of each slice is region."""
    generator = np.random.default_rng(0)
    depth = -(-batches * sizes.batch // CASES)
    shape = (depth, sizes.pixels, sizes.pixels)
    for number in range(CASES):
        image = generator.integers(FILL_HU, HIGHEST_HU, shape).astype(np.int16)
        np.save(folder / f"image-{number}.npy", image[None])
        np.save(folder / f"labels-{number}.npy", (image > LABELLED_HU).astype(np.uint8))
        region = np.zeros(shape, np.uint8)
        region[:, sizes.pixels // 4 : -sizes.pixels // 4] = 1
        np.save(folder / f"region-{number}.npy", region)


def scans(folder: Path, *, labels: bool) -> Iterator[StageScan]:
    """Yield the scans of `write_scans` as memory maps, with labels or without."""
    for number in range(CASES):
        region = folder / f"region-{number}.npy"
        depth = len(np.load(region, mmap_mode="r", allow_pickle=False))
        yield StageScan(
            name=f"case-{number}",
            image=folder / f"image-{number}.npy",
            inside=region,
            region=region,
            tags=np.ones((depth, 1), np.bool_),
            slices=tuple(range(depth)),
            labels=(folder / f"labels-{number}.npy",) if labels else (),
        )


@cache
def shared_trainer(learn: str, sizes: Sizes, folder: Path) -> Trainer:
    """Return the trainer of a stage; all calls in a process share it."""
    return new_trainer(learn, sizes, folder, open_fabric("auto"))


def new_trainer(learn: str, sizes: Sizes, folder: Path, fabric: Fabric) -> Trainer:
    """Return the trainer of a stage on the scans of `write_scans`."""
    task = StageTask(
        name=learn,
        stage=stage_of(learn, sizes),
        input=sizes.input,
        seed=0,
        scans=tuple(scans(folder, labels=learn == "masks")),
        fabric=fabric,
        fingerprint=learn,
    )
    return Trainer(task, network(sizes))


@dataclass(frozen=True)
class Turn:
    """The time of some steps, and the part of it that they waited for data."""

    seconds: float
    waited_s: float


def take_steps(trainer: Trainer, number: int) -> Turn:
    """Train from the first batch of the stage, and return the time of `number` steps with loading.

    The first steps are not counted, because their batches were loaded in advance. The stage is
    longer than the counted steps, so that the end of an epoch is not measured.
    """
    first = batches_in_advance()
    counted = list(islice(_steps(trainer), first, first + number))
    return Turn(sum(step.seconds for step in counted), sum(step.waited_s for step in counted))


def step_operations(trainer: Trainer) -> Roofline:
    """Return the operations of the first step that `take_steps` counts."""
    steps = _steps(trainer)
    for _ in range(batches_in_advance()):
        next(steps)
    return roofline(lambda: next(steps))


def _steps(trainer: Trainer) -> Iterator[StepDone]:
    """Train from the first batch of the stage."""
    trainer.progress = Progress()
    return (event for event in trainer.run() if isinstance(event, StepDone))


def stage_of(learn: str, sizes: Sizes) -> NetworkStage:
    """Return the stage that learns from `learn`, a key of `LEARN`."""
    kind, own = LEARN[learn]
    settings = SHARED_SETTINGS | own | {"backbone": sizes.backbone, "batch_size": sizes.batch}
    return kind.model_validate(settings, context=registry())
