"""A run to predict with: the paper's network, trained briefly on phantoms."""

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
  {{slices: 7, size: {size}, unit: HU, mask: lung, fill: -1024, clip: [-1024, 160],
   offset: -1024, scale: 110}}
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
    """Of the scans, the network and its training."""

    size: int = 256
    slices: int = 40
    width: int = 32
    epochs: int = 4


@final
class Whole(Backbone):
    """A network that is not said to be local, so that it is run on whole slices."""

    local: ClassVar[bool] = False
    inner: Backbone

    def build(self, slices: int, classes: int) -> nn.Module:
        """Return the inner network."""
        return self.inner.build(slices, classes)


def trained_run(folder: Path, sizes: Sizes) -> tuple[Path, Case]:
    """Train on two phantoms; return the run's folder and a third phantom.

    In a process of its own: what training sets for its process, prediction has not got.
    """
    path = folder / "speed.yaml"
    write_text(path, RECIPE.format(**vars(sizes)))
    recipe = load_recipe(path)
    run = in_new_process(train, recipe, folder / "run", accept=[])
    return run.folder, next(c for c in recipe.cohort.cases() if c.split == "test")


def opened(folder: Path, precision: Precision = "auto") -> Run:
    """Open a run to compute in `precision`."""
    run = load_run(folder)
    return replace(run, pipeline=replace(run.pipeline, fabric=open_fabric(precision)))


def uncropped(run: Run) -> Run:
    """Return a run whose network sees whole slices."""
    stages: Mapping[str, TrainedStage] = {
        name: replace(each, stage=_whole(each.stage), digest=f"{each.digest}, whole")
        for name, each in run.pipeline.stages.items()
    }
    return replace(run, pipeline=replace(run.pipeline, stages=stages))


def _whole(stage: object) -> NetworkStage:
    assert isinstance(stage, NetworkStage)  # noqa: S101
    assert stage.backbone is not None  # noqa: S101
    return stage.model_copy(update={"backbone": Whole(inner=stage.backbone)})
