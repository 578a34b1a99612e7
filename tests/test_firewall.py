"""The label firewall: no component of a weakly supervised stage can reach a mask.

The tests traverse every object that a prior, an E-step, a loss, a backbone or a region receives,
and the trainer of an EM stage: attributes, containers, closures and the frames of generators.
They do not search the disk, which no program can hide from code that it runs.
"""

import gc
import shutil
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

import nibabel as nib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

import wsseg
from tests.conftest import Wsseg
from tests.picture_files import write_pictures
from wsseg.components.cohorts import Table
from wsseg.components.hookspecs import hookimpl
from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.config.stages import EmStage, MasksStage
from wsseg.core.batch import Batch, Evidence, Logits, Probability
from wsseg.core.case import Case
from wsseg.core.class_relation import ClassRelation
from wsseg.core.interfaces import Backbone, Cohort, EStep, PixelLoss, Prior, Region
from wsseg.core.volume import Volume
from wsseg.data.prepare import prepare, prepare_mask
from wsseg.inference.network import Network, new_network
from wsseg.inference.pipeline import Pipeline
from wsseg.runtime.console import Display
from wsseg.runtime.device import open_fabric
from wsseg.training.run import split_of
from wsseg.training.stage_task import StageTask, stage_task
from wsseg.training.trainer import Trainer

GIVEN: list[tuple[str, Any]] = []  # the receiver, and what it received
LEAVES = (str, bytes, int, float, bool, type(None), type, types.ModuleType, torch.dtype)
QUIET = Display(Console(quiet=True))


@final
class RecordingPrior(Prior):
    """Records what it receives."""

    def fit(self, batches: Iterable[Batch]) -> "RecordingPrior":
        GIVEN.append(("Prior.fit", batches))
        GIVEN.append(("Prior.fit", next(iter(batches))))
        return self

    def __call__(self, batch: Batch) -> Probability:
        GIVEN.append(("Prior", batch))
        return (batch.channel() > 0).float().expand(batch.support.shape)


@final
class RecordingEStep(EStep):
    """Records what it receives."""

    def __call__(self, evidence: Evidence) -> Probability:
        GIVEN.append(("EStep", evidence))
        return (evidence.log_odds > 0).float()


@final
class RecordingLoss(PixelLoss):
    """Records what it receives."""

    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        GIVEN.append(("Loss", (logits, y, batch, relation)))
        return ((relation.probability(logits) - y) ** 2 * batch.region).mean()


class RecordingNetwork(nn.Module):
    def __init__(self, slices: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(slices, classes, 3, padding=1)

    def forward(self, image: Tensor) -> Logits:
        GIVEN.append(("network", image))
        logits: Logits = self.layer(image)
        return logits


@final
class RecordingBackbone(Backbone):
    """Records what it receives, and builds a network that does."""

    def build(self, channels: int, classes: int) -> nn.Module:
        GIVEN.append(("Backbone.build", (channels, classes)))
        return RecordingNetwork(channels, classes)


@final
class RecordingRegion(Region):
    """Records what it receives."""

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:
        GIVEN.append(("Region", (case, volume)))
        return np.ones(volume.shape, np.bool_)


def reached(start: object) -> Iterator[tuple[str, object]]:
    """Yield everything that can be reached from an object, with the path to it."""
    seen: set[int] = set()
    kept: list[object] = []  # so that no id is used twice
    waiting: deque[tuple[str, object]] = deque([("it", start)])
    while waiting:
        route, target = waiting.popleft()
        if id(target) in seen:
            continue
        seen.add(id(target))
        kept.append(target)
        yield route, target
        if not isinstance(target, (*LEAVES, Path, Tensor, np.ndarray)):
            waiting += [(f"{route}{step}", each) for step, each in inside(target)]


def inside(target: object) -> Iterator[tuple[str, object]]:
    """Yield the contents of an object: items, attributes and variables of its closure."""
    if isinstance(target, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in target.items())
    elif isinstance(target, list | tuple | set | frozenset | deque):
        yield from ((f"[{place}]", value) for place, value in enumerate(target))
    if isinstance(target, types.GeneratorType) and target.gi_frame is not None:
        yield from ((f".frame.{k}", value) for k, value in target.gi_frame.f_locals.items())
    if isinstance(target, types.FunctionType):
        cells = target.__closure__ or ()
        yield from ((".closure", cell.cell_contents) for cell in cells)
        yield from ((".defaults", value) for value in target.__defaults__ or ())
    if isinstance(target, types.MethodType):
        yield ".self", target.__self__
    if not isinstance(target, types.FunctionType):
        yield from ((f".{name}", value) for name, value in getattr(target, "__dict__", {}).items())
        for name in getattr(type(target), "__slots__", ()):
            if hasattr(target, name):
                yield f".{name}", getattr(target, name)
        if not hasattr(target, "__dict__"):
            yield from (("~", each) for each in gc.get_referents(target))


def to_masks(start: object, masks: set[str], arrays: list[NDArray[np.bool_]]) -> list[str]:
    """Return the paths from an object to a file of `masks`, or to a plane of `arrays`."""
    found = []
    for route, target in reached(start):
        if isinstance(target, Path | str):
            name = Path(str(target)[:500]).name
            leads_to_mask = name in masks or name.startswith("mask-") or name == "cohort.csv"
            found += [f"{route} = {name}"] if leads_to_mask else []
        if isinstance(target, Tensor | np.ndarray):
            planes = np.asarray(target.detach().float() if isinstance(target, Tensor) else target)
            found += [f"{route} holds a mask"] if holds(planes, arrays) else []
    return found


def holds(array: NDArray[Any], masks: list[NDArray[np.bool_]]) -> bool:
    """Return whether a plane of an array equals a plane of the masks."""
    if array.ndim < 2 or array.shape[-2:] != masks[0].shape:
        return False
    planes = array.reshape(-1, *array.shape[-2:]) > 0
    return any(np.array_equal(plane, mask) for plane in planes for mask in masks)


@pytest.fixture
def run(toy_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The trained toy recipe, with a weak stage made of components that record their inputs."""
    known = registry()
    monkeypatch.setattr(known, "offers", dict(known.offers))
    known.add("recording", "recording 0", _plugin())
    GIVEN.clear()
    path = tmp_path / "toy.yaml"
    path.write_text(toy_text)
    scribbled = _with_scribbles(wsseg.load_recipe(path).cohort, tmp_path / "data")
    weak = "stages.consolidation"
    changes = [
        f"cohort.path={scribbled}",
        "stages.infection.epochs=1",
        "regions={near: {use: recording}}",
        f"{weak}.region=near",
        f"{weak}.start=null",
        f"{weak}.backbone={{use: recording}}",
        f"{weak}.prior={{use: recording}}",
        f"{weak}.estep={{use: recording}}",
        f"{weak}.loss={{use: recording}}",
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


@pytest.mark.parametrize("words", ["train a.yaml --out run", "data check a.yaml"])
def test_a_true_mask_among_the_scribbles_is_refused_before_training(
    wsseg: Wsseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures")
    mask = "pictures/crack/001_mask.png"
    rows = f"a,pictures/crack/001.png,{mask},{mask}\nb,pictures/good/000.png,,\n"
    (tmp_path / "a.csv").write_text(f"case,image,mask.crack,scribble.crack\n{rows}")
    assert wsseg("init", "pictures", "--out", "a.yaml").code == 0
    table = "cohort={use: table, path: a.csv}"
    values = "cohort.scribble_values={crack: {present: [255], absent: [0], unknown: [4]}}"
    ended = wsseg(*words.split(), "--set", table, "--set", values)
    ended.refused("case a: scribble.crack is the file of mask.crack")


def _with_scribbles(cohort: Cohort, folder: Path) -> Path:
    """Copy the toy cohort, with scribbles in every fourth pixel of its consolidations."""
    assert isinstance(cohort, Table)
    copied = Path(shutil.copytree(cohort.path.parent, folder)) / cohort.path.name
    header, *rows = copied.read_text().splitlines()
    for number in range(len(rows)):
        mask = nib.Nifti1Image.from_filename(folder / f"{number}-consolidation.nii.gz")
        labels = np.zeros(mask.shape, np.uint8)
        labels[::2, ::2] = np.asarray(mask.dataobj)[::2, ::2]
        labels[0] = 2
        nib.save(nib.Nifti1Image(labels, mask.affine), folder / f"{number}-scribbles.nii.gz")
    lines = [f"{header},scribble.consolidation"]
    lines += [f"{row},{number}-scribbles.nii.gz" for number, row in enumerate(rows)]
    copied.write_text("\n".join(lines) + "\n")
    return copied


def _plugin() -> types.ModuleType:
    """Return a plugin that offers the recording components."""
    module = types.ModuleType("recording")
    parts = {"priors": RecordingPrior, "esteps": RecordingEStep, "losses": RecordingLoss}
    parts |= {"backbones": RecordingBackbone, "regions": RecordingRegion}
    for kind, part in parts.items():
        offer = _offer(part)
        offer.__name__ = f"wsseg_{kind}"
        setattr(module, offer.__name__, hookimpl(offer))
    return module


def _offer(part: type[Any]) -> Any:
    def offer() -> dict[str, type[Any]]:
        return {"recording": part}

    return offer


def planes_of(recipe: Recipe, names: tuple[str, ...]) -> list[NDArray[np.bool_]]:
    """Return the non-empty planes of the training cases' masks, on the network's grid."""
    planes = []
    for case in split_of(recipe).train:
        prepared = prepare(case, recipe.input, recipe.regions)
        for name in names:
            planes += [plane > 0 for plane in prepare_mask(prepared, name) if plane.any()]
    return planes


def test_no_component_of_a_weak_stage_can_reach_a_mask(run: Recipe) -> None:
    files = {path.name for case in split_of(run).train for path in case.masks.values()}
    own = {name for name in files if "consolidation" in name}
    both, weak = planes_of(run, ("infection", "consolidation")), planes_of(run, ("consolidation",))
    receivers = {receiver for receiver, _ in GIVEN}
    assert receivers == {
        "Prior", "Prior.fit", "EStep", "Loss", "Backbone.build", "network", "Region", "Trainer"
    }  # fmt: skip
    known = [what.known for receiver, what in GIVEN if receiver == "Prior"]
    assert any((each > 0).any() for each in known)  # scribbles are weak labels, and do arrive
    for receiver, what in GIVEN:
        # a region may be read from the mask of another class
        names, planes = (own, weak) if receiver == "Region" else (files, both)
        assert to_masks(what, names, planes) == [], receiver


def test_a_mask_is_found_in_every_kind_of_object(run: Recipe) -> None:
    """Otherwise, the test above could not fail."""
    files = {path.name for case in split_of(run).train for path in case.masks.values()}
    planes = planes_of(run, ("infection",))
    case = split_of(run).train[0]
    assert to_masks(case, files, planes)
    assert to_masks(run, files, planes)  # contains the path of the cohort's table
    image = torch.zeros(1, 3, *planes[0].shape)
    image[0, 1] = torch.from_numpy(planes[0])
    batch = Batch(
        image[:, None], torch.ones(1, 1, *planes[0].shape, dtype=torch.bool), torch.ones(1, 1)
    )
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
