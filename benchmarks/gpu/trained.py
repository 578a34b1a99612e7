"""A run that is trained on this machine's device, and the scans that it segments."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from lightning_fabric import Fabric
from rich.console import Console

from benchmarks.speed.phantom_run import RECIPE, Sizes
from wsseg import load_run, train
from wsseg.config.recipe_files import load_recipe
from wsseg.core.case import Case
from wsseg.inference.run import Run
from wsseg.runtime.console import Display
from wsseg.runtime.device import Precision, open_fabric
from wsseg.runtime.files import write_text


@dataclass(frozen=True)
class TrainedRun:
    """The folder of a run, and a phantom that it has not seen."""

    folder: Path
    case: Case

    def open(self, precision: Precision) -> Run:
        """Return the run for prediction on the device, in a precision."""
        return self.on(open_fabric(precision))

    def on(self, fabric: Fabric) -> Run:
        """Return the run for prediction with a Fabric."""
        run = load_run(self.folder)
        return replace(run, pipeline=replace(run.pipeline, fabric=fabric))


@cache
def trained_run(sizes: Sizes) -> TrainedRun:
    """Train the paper's network on two phantoms; all parts in a process share the run."""
    folder = Path(mkdtemp())
    write_text(folder / "recipe.yaml", RECIPE.format(**vars(sizes)))
    recipe = load_recipe(folder / "recipe.yaml")
    train(recipe, folder / "run", display=Display(Console(quiet=True)), accept=[])
    case = next(each for each in recipe.cohort.cases() if each.split == "test")
    return TrainedRun(folder / "run", case)
