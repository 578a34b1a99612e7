"""The paper's network and training step as wsseg has them, on scans of noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.plain_training import FILL_HU, HIGHEST_HU, SCALE_HU
from wsseg.components.registry import registry
from wsseg.config.stages import EmStage, NetworkStage, MasksStage
from wsseg.core.input import Input
from wsseg.data.augment import Augment
from wsseg.data.batches import Scan
from wsseg.inference.network import Network, new_network
from wsseg.runtime.device import open_fabric
from wsseg.runtime.threads import PREFETCHED
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Progress, StepDone, Trainer

CASES = 4
AUGMENT = Augment(
    rotate_deg=90, translate=0.1, zoom=(0.9, 1.1), flip=("left-right", "front-back")
)  # as recipe covid/base
RATE = 1e-4
LABELLED_HU = -100  # noise above has the class
SHARED: dict[str, Any] = {
    "classes": ["infection"],
    "loss": {"use": "smooth-dice"},
    "epochs": 1,
    "optimizer": {"use": "adam", "lr": RATE},
    "augment": AUGMENT.model_dump(),
}
GUESSED: dict[str, Any] = {
    "learn": "em",
    "prior": {"use": "hu-sigmoid", "midpoint_hu": -34, "width_hu": 220},
    "estep": {"use": "hard"},
}
LEARN: dict[str, tuple[type[NetworkStage], dict[str, Any]]] = {
    "masks": (MasksStage, {"learn": "masks"}),
    "em": (EmStage, GUESSED),
    "em, belief: evaluation": (EmStage, GUESSED | {"belief": "evaluation"}),
}


@dataclass(frozen=True)
class Sizes:
    """Of the network and its batches: by default the paper's."""

    slices: int = 7
    pixels: int = 256  # a side
    width: int = 32
    batch: int = 16

    @property
    def input(self) -> Input:
        """What the network sees, as in recipe covid/base."""
        return Input(
            slices=self.slices, size=self.pixels, thick=None, fill=FILL_HU,
            clip=(FILL_HU, HIGHEST_HU), offset=FILL_HU, scale=SCALE_HU,
        )  # fmt: skip

    @property
    def backbone(self) -> dict[str, Any]:
        """The network, as a recipe names it."""
        return {"use": "additive-unet", "width": self.width}


PAPER = Sizes()


def network(sizes: Sizes) -> Network:
    """Return the network with random weights, in the memory order in which it is trained."""
    stage = _stage("masks", sizes)
    assert stage.backbone is not None, "the stage names it"  # noqa: S101
    new = new_network(stage.backbone, sizes.input, len(stage.classes), seed=0)
    return new.to(memory_format=torch.channels_last)


def flop_a_slice(sizes: Sizes) -> int:
    """Count the products and sums of convolutions in a slice's forward and backward pass."""
    image = torch.zeros(1, sizes.slices, sizes.pixels, sizes.pixels)
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(network(sizes).eval()(image).sum())
    return int(counter.get_total_flops())


def write_scans(folder: Path, sizes: Sizes, batches: int) -> None:
    """Write noise for `scans`, enough slices for so many batches; half of it is region."""
    generator = np.random.default_rng(0)
    deep = -(-batches * sizes.batch // CASES)
    shape = (deep, sizes.pixels, sizes.pixels)
    for number in range(CASES):
        image = generator.integers(FILL_HU, HIGHEST_HU, shape).astype(np.int16)
        np.save(folder / f"image-{number}.npy", image)
        np.save(folder / f"labels-{number}.npy", (image > LABELLED_HU).astype(np.uint8))
        region = np.zeros(shape, np.uint8)
        region[:, sizes.pixels // 4 : -sizes.pixels // 4] = 1
        np.save(folder / f"region-{number}.npy", region)


def scans(folder: Path, *, labels: bool) -> Iterator[Scan]:
    """Yield what `write_scans` wrote, as memory maps; EM may see no labels."""
    for number in range(CASES):
        region = folder / f"region-{number}.npy"
        deep = len(np.load(region, mmap_mode="r", allow_pickle=False))
        yield Scan(
            name=f"case-{number}",
            image=folder / f"image-{number}.npy",
            inside=region,
            region=region,
            tags=np.ones((deep, 1), np.bool_),
            slices=tuple(range(deep)),
            labels=(folder / f"labels-{number}.npy",) if labels else (),
        )


@cache
def fit(learn: str, sizes: Sizes, folder: Path) -> Trainer:
    """Return a stage being fitted, the same one for every call in a process."""
    task = StageTask(
        name=learn,
        stage=_stage(learn, sizes),
        input=sizes.input,
        seed=0,
        scans=tuple(scans(folder, labels=learn == "masks")),
        fabric=open_fabric("bfloat16"),
        fingerprint=learn,
    )
    return Trainer(task, network(sizes))


@dataclass(frozen=True)
class Turn:
    """Steps in the middle of a stage: what they took, and how much of it they waited for data."""

    seconds: float
    waited_s: float


def take_steps(fit: Trainer, number: int) -> Turn:
    """Take steps from the stage's first batch; count so many of them, loading included.

    Those before are not: with them, all batches that are gathered ahead would be there for free.
    The stage is longer than that: an EM stage looks at its probe after an epoch's last step.
    """
    fit.progress = Progress()
    done = (event for event in fit.run() if isinstance(event, StepDone))
    counted = list(islice(done, PREFETCHED, PREFETCHED + number))
    return Turn(sum(step.seconds for step in counted), sum(step.waited_s for step in counted))


def _stage(learn: str, sizes: Sizes) -> NetworkStage:
    kind, own = LEARN[learn]
    settings = SHARED | own | {"backbone": sizes.backbone, "batch_size": sizes.batch}
    return kind.model_validate(settings, context=registry())
