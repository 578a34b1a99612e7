"""A run for prediction: the network of the paper, trained briefly on phantoms."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, final

from torch import nn

from benchmarks.speed.timing import in_new_process
from wsseg import train
from wsseg.config.recipe_files import load_recipe
from wsseg.config.stages import NetworkStage
from wsseg.core.case import Case
from wsseg.core.interfaces import Backbone
from wsseg.inference.checkpoint import TrainedStage
from wsseg.inference.run import Run, load_run
from wsseg.runtime.device import Precision, open_fabric
from wsseg.runtime.files import write_text

STAGE = "infection"
RECIPE = """\
cohort: {{use: lung-phantom, cases: 3, size: {size}, slices: {slices}}}
regions:
  lung: {{use: lung-threshold}}
input:
  {{slices: 7, size: {size}, unit: HU, thick: {{thinner_than_mm: 4, to_mm: 5}}, mask: lung,
   fill: -1024, clip: [-1024, 160], offset: -1024, scale: 110}}
stages:
  infection:
    learn: masks
    classes: [infection]
    region: lung
    backbone: {{use: additive-unet, width: {width}}}
    loss: {{use: batch-dice}}
    epochs: {epochs}
    batch_size: 4
    optimizer: {{use: adam, lr: {{start: 2.0e-3, end: 1.0e-5}}}}
"""


@dataclass(frozen=True)
class Sizes:
    """The sizes of the scans, the network and its training."""

    size: int = 256
    slices: int = 40
    width: int = 32
    epochs: int = 4


@final
class FullSlice(Backbone):
    """A backbone that is not declared local, so that it is run on full slices."""

    local: ClassVar[bool] = False
    inner: Backbone

    def build(self, channels: int, classes: int) -> nn.Module:
        """Return the inner network."""
        return self.inner.build(channels, classes)


def train_run(folder: Path, sizes: Sizes) -> tuple[Path, Case]:
    """Train on two phantoms in a new process; return the folder of the run and a third phantom.

    Settings that training makes in its process must not affect prediction.
    """
    path = folder / "speed.yaml"
    write_text(path, RECIPE.format(**vars(sizes)))
    recipe = load_recipe(path)
    run = in_new_process(train, recipe, folder / "run", accept=[])
    return run.folder, next(c for c in recipe.cohort.cases() if c.split == "test")


def open_run(folder: Path, precision: Precision = "auto") -> Run:
    """Open a run for prediction in `precision`."""
    run = load_run(folder)
    return replace(run, pipeline=replace(run.pipeline, fabric=open_fabric(precision)))


def without_cropping(run: Run) -> Run:
    """Return the run with a network that sees full slices."""
    stages: Mapping[str, TrainedStage] = {
        name: replace(
            each, stage=_with_full_slices(each.stage), digest=f"{each.digest}, full slices"
        )
        for name, each in run.pipeline.stages.items()
    }
    return replace(run, pipeline=replace(run.pipeline, stages=stages))


def _with_full_slices(stage: object) -> NetworkStage:
    assert isinstance(stage, NetworkStage)  # noqa: S101
    assert stage.backbone is not None  # noqa: S101
    return stage.model_copy(update={"backbone": FullSlice(inner=stage.backbone)})
