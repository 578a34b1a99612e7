"""No part of a weak stage can reach a mask, whatever it looks into.

Everything that a prior, an E-step, a loss or a backbone gets, and the fit of an EM stage itself, is
walked through: attributes, containers, closures and the frames of generators. What stays in the
same folder under another name is not walked: no program can hide a disk from code that it runs.
"""

import gc
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

import wsseg
from wsseg.components.hookspecs import hookimpl
from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.config.stages import EmStage, MasksStage
from wsseg.core.batch import Batch, Evidence, Logits, Probability
from wsseg.core.case import Case
from wsseg.core.interfaces import Backbone, EStep, PixelLoss, Prior, Region
from wsseg.core.volume import Volume
from wsseg.data.prepare import prepare, prepare_mask
from wsseg.inference.network import Network, new_network
from wsseg.inference.pipeline import Pipeline
from wsseg.runtime.console import Display
from wsseg.runtime.device import open_fabric
from wsseg.training.run import split_of
from wsseg.training.stage_task import StageTask, stage_task
from wsseg.training.trainer import Trainer

GIVEN: list[tuple[str, object]] = []  # to whom, and what
LEAVES = (str, bytes, int, float, bool, type(None), type, types.ModuleType, torch.dtype)
QUIET = Display(Console(quiet=True))


@final
class NosyPrior(Prior):
    """Keeps all that it is given."""

    def fit(self, batches: Iterable[Batch]) -> "NosyPrior":
        GIVEN.append(("Prior.fit", batches))
        GIVEN.append(("Prior.fit", next(iter(batches))))
        return self

    def __call__(self, batch: Batch) -> Probability:
        GIVEN.append(("Prior", batch))
        return (batch.middle > 0).float().expand(batch.support.shape)


@final
class NosyEStep(EStep):
    """Keeps all that it is given."""

    def __call__(self, evidence: Evidence) -> Probability:
        GIVEN.append(("EStep", evidence))
        return (evidence.log_odds > 0).float()


@final
class NosyLoss(PixelLoss):
    """Keeps all that it is given."""

    def __call__(self, f: Probability, y: Probability, region: Tensor) -> Tensor:
        GIVEN.append(("Loss", (f, y, region)))
        return ((f - y) ** 2 * region).mean()


class NosyNetwork(nn.Module):
    def __init__(self, slices: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(slices, classes, 3, padding=1)

    def forward(self, image: Tensor) -> Logits:
        GIVEN.append(("network", image))
        logits: Logits = self.layer(image)
        return logits


@final
class NosyBackbone(Backbone):
    """Keeps all that it is given, and builds what does."""

    def build(self, slices: int, classes: int) -> nn.Module:
        GIVEN.append(("Backbone.build", (slices, classes)))
        return NosyNetwork(slices, classes)


@final
class NosyRegion(Region):
    """Keeps all that it is given."""

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:
        GIVEN.append(("Region", (case, volume)))
        return np.ones(volume.voxels.shape, np.bool_)


def reached(start: object) -> Iterator[tuple[str, object]]:
    """Yield everything that can be reached from an object, with the way to it."""
    seen: set[int] = set()
    kept: list[object] = []  # so that no number is given to two
    waiting: deque[tuple[str, object]] = deque([("it", start)])
    while waiting:
        way, thing = waiting.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        kept.append(thing)
        yield way, thing
        if not isinstance(thing, (*LEAVES, Path, Tensor, np.ndarray)):
            waiting += [(f"{way}{step}", each) for step, each in inside(thing)]


def inside(thing: object) -> Iterator[tuple[str, object]]:
    """Yield what an object holds: its items, attributes, and what its code closes over."""
    if isinstance(thing, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in thing.items())
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        yield from ((f"[{place}]", value) for place, value in enumerate(thing))
    if isinstance(thing, types.GeneratorType) and thing.gi_frame is not None:
        yield from ((f".frame.{k}", value) for k, value in thing.gi_frame.f_locals.items())
    if isinstance(thing, types.FunctionType):
        cells = thing.__closure__ or ()
        yield from ((".closure", cell.cell_contents) for cell in cells)
        yield from ((".defaults", value) for value in thing.__defaults__ or ())
    if isinstance(thing, types.MethodType):
        yield ".self", thing.__self__
    if not isinstance(thing, types.FunctionType):
        yield from ((f".{name}", value) for name, value in getattr(thing, "__dict__", {}).items())
        for name in getattr(type(thing), "__slots__", ()):
            if hasattr(thing, name):
                yield f".{name}", getattr(thing, name)
        if not hasattr(thing, "__dict__"):
            yield from (("~", each) for each in gc.get_referents(thing))


def to_masks(start: object, masks: set[str], arrays: list[NDArray[np.bool_]]) -> list[str]:
    """Return the ways from an object to a file of `masks`, or to one of their planes."""
    found = []
    for way, thing in reached(start):
        if isinstance(thing, Path | str):
            name = Path(str(thing)[:500]).name
            told = name in masks or name.startswith("mask-") or name == "cohort.csv"
            found += [f"{way} = {name}"] if told else []
        if isinstance(thing, Tensor | np.ndarray):
            planes = np.asarray(thing.detach().float() if isinstance(thing, Tensor) else thing)
            found += [f"{way} holds a mask"] if holds(planes, arrays) else []
    return found


def holds(array: NDArray[Any], masks: list[NDArray[np.bool_]]) -> bool:
    """Say whether a plane of an array is one of the masks' planes, as it is or mirrored."""
    if array.ndim < 2 or array.shape[-2:] != masks[0].shape:
        return False
    planes = array.reshape(-1, *array.shape[-2:]) > 0
    return any(np.array_equal(plane, mask) for plane in planes for mask in masks)


@pytest.fixture
def run(toy_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The toy recipe, trained: its weak stage is made of nosy parts."""
    known = registry()
    monkeypatch.setattr(known, "offers", dict(known.offers))
    known.add("nosy", "nosy 0", _plugin())
    GIVEN.clear()
    path = tmp_path / "toy.yaml"
    path.write_text(toy_text)
    weak = "stages.consolidation"
    changes = [
        "stages.infection.epochs=1",
        "regions={near: {use: nosy}}",
        f"{weak}.region=near",
        f"{weak}.start=null",
        f"{weak}.backbone={{use: nosy}}",
        f"{weak}.prior={{use: nosy}}",
        f"{weak}.estep={{use: nosy}}",
        f"{weak}.loss={{use: nosy}}",
    ]
    recipe = wsseg.load_recipe(path, changes)
    begin = Trainer.__init__

    def kept(self: Trainer, task: StageTask, network: Network) -> None:
        begin(self, task, network)
        if isinstance(task.stage, EmStage):
            GIVEN.append(("Trainer", self))

    monkeypatch.setattr(Trainer, "__init__", kept)
    wsseg.train(recipe, tmp_path / "run", display=QUIET)
    return recipe


def _plugin() -> types.ModuleType:
    """Return a plugin that offers the nosy parts."""
    module = types.ModuleType("nosy")
    parts = {"priors": NosyPrior, "esteps": NosyEStep, "losses": NosyLoss}
    parts |= {"backbones": NosyBackbone, "regions": NosyRegion}
    for kind, part in parts.items():
        offer = _offer(part)
        offer.__name__ = f"wsseg_{kind}"
        setattr(module, offer.__name__, hookimpl(offer))
    return module


def _offer(part: type[Any]) -> Any:
    def offer() -> dict[str, type[Any]]:
        return {"nosy": part}

    return offer


def planes_of(recipe: Recipe, names: tuple[str, ...]) -> list[NDArray[np.bool_]]:
    """Return every plane of the training cases' masks that is not empty, on the network's grid."""
    planes = []
    for case in split_of(recipe).train:
        prepared = prepare(case, recipe.input, recipe.regions)
        for name in names:
            planes += [plane > 0 for plane in prepare_mask(prepared, name) if plane.any()]
    return planes


def test_no_part_of_a_weak_stage_reaches_a_mask(run: Recipe) -> None:
    files = {path.name for case in split_of(run).train for path in case.masks.values()}
    own = {name for name in files if "consolidation" in name}
    both, weak = planes_of(run, ("infection", "consolidation")), planes_of(run, ("consolidation",))
    whom = {who for who, _ in GIVEN}
    assert whom == {
        "Prior", "Prior.fit", "EStep", "Loss", "Backbone.build", "network", "Region", "Trainer"
    }  # fmt: skip
    for who, what in GIVEN:
        # a region may be the file of another class: that of the lungs, or of the infection
        names, planes = (own, weak) if who == "Region" else (files, both)
        assert to_masks(what, names, planes) == [], who


def test_the_way_to_a_mask_would_be_found(run: Recipe) -> None:
    """Else the test above could not fail."""
    files = {path.name for case in split_of(run).train for path in case.masks.values()}
    planes = planes_of(run, ("infection",))
    case = split_of(run).train[0]
    assert to_masks(case, files, planes)
    assert to_masks(run, files, planes)  # names the cohort's table
    image = torch.zeros(1, 3, *planes[0].shape)
    image[0, 1] = torch.from_numpy(planes[0])
    batch = Batch(image, torch.ones(1, 1, *planes[0].shape, dtype=torch.bool), torch.ones(1, 1))
    assert to_masks(batch, files, planes)
    assert to_masks((each for each in [case]), files, planes)
    assert to_masks(lambda: case, files, planes)
    stage, input = run.stages["infection"], run.input
    assert isinstance(stage, MasksStage)
    assert stage.backbone is not None
    pipeline = Pipeline(run.regions, {}, input, open_fabric("float32"))
    task = stage_task(run, "infection", [prepare(case, input)], pipeline)
    trainer = Trainer(task, new_network(stage.backbone, input, 1, seed=0))
    assert to_masks(trainer, files, planes)
