"""The identity of a stage: the parts of its recipe and data that determine its result.

An identity has a recipe part and a data part. The recipe part is the same before and after the
data is prepared; the data part differs:

- `planned_identities` describes the data by the recipe: cohort, fold, regions and earlier stages.
  It reads no files; a suite uses it to find the runs that share a stage.
- `prepared_identity` describes the data by digests of its contents. Trained stages are stored and
  looked up by its digest.

The contents are a function of the description, so stages with equal planned identities also have
equal prepared ones. `recipe_part` alone decides which settings count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

from wsseg.components.regions import FileRegion
from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.config.stages import MasksStage, NetworkStage, Stage, Start, earlier_start
from wsseg.core.code_digest import code_digest
from wsseg.core.interfaces import Backbone, Cohort
from wsseg.data.batches import StageScan
from wsseg.data.weak_maps import WeakMaps
from wsseg.errors import InputError, known_words
from wsseg.inference.checkpoint import TrainedStage, read_record
from wsseg.inference.folders import StageFolder
from wsseg.inference.packed_run import run_folder
from wsseg.runtime.files import fingerprint, sha256

# its number, the number of folds, and that of inner folds, if any; None: the cohort's split
Fold: TypeAlias = tuple[int, ...] | None

DATA_KEYS = ("region", "region_in_training", "cohort")  # of a stage: the data part covers these
PACKAGES = ("wsseg", "torch", "albumentations")  # whose versions may change a result


@dataclass(frozen=True)
class StageIdentity:
    """A recipe part and a data part, both JSON-like. Stages that agree in both are the same."""

    recipe: Sequence[Any]
    data: Sequence[Any]

    @property
    def digest(self) -> str:
        """A digest of both parts."""
        return fingerprint([*self.recipe, *self.data])


def recipe_part(recipe: Recipe, name: str) -> list[Any]:
    """Return the settings that determine a stage, given its data.

    They include the name of the stage, which seeds its random numbers.
    """
    described = registry().describe(with_backbone(recipe, name)) | data_settings(None)
    return [name, described, registry().describe(recipe.input), recipe.seed]


def trained_part(recipe: Recipe, name: str) -> Stage:
    """Return a stage with its backbone, without the settings that only select its data."""
    return with_backbone(recipe, name).model_copy(update=dict.fromkeys(DATA_KEYS))


def data_settings(stage: Stage | None) -> dict[str, Any]:
    """Return the settings that only select a stage's data; None for each without a stage."""
    if stage is None:
        return dict.fromkeys(DATA_KEYS)
    described = registry().describe(stage)
    return {key: described[key] for key in DATA_KEYS}


def planned_identities(recipe: Recipe, fold: Fold = None) -> dict[str, StageIdentity]:
    """Return the identity of each stage of a recipe, without reading any data."""
    identities: dict[str, StageIdentity] = {}
    digests: dict[str, Any] = {
        name: registry().describe(region) for name, region in recipe.regions.items()
    }
    of_input = (recipe.input.mask, recipe.input.standardize)
    input_regions = [digests[name] for name in of_input if name is not None]
    for name, stage in recipe.stages.items():
        sources = (
            earlier_start(stage),
            stage.region_in_training or stage.region,
            stage.region,
        )
        data = [
            registry().describe(visible_cohort(recipe, stage)),
            None if stage.cohort is not None or fold is None else list(fold),
            input_regions,
            [None if each is None else digests[each] for each in sources],
            recipe.precision,
        ]
        identities[name] = StageIdentity(recipe_part(recipe, name), data)
        digests[name] = identities[name].digest
    return identities


def prepared_identity(
    recipe: Recipe,
    name: str,
    scans: Sequence[StageScan],
    start: TrainedStage | None,
    precision: str,
) -> StageIdentity:
    """Return the identity of a stage with prepared data, computed in `precision`.

    It does not depend on the device. The only paths outside the cache that it contains are those of
    the weights that the network starts with, whose contents count too.
    """
    settings = recipe_part(recipe, name)
    versions = [metadata.version(package) for package in PACKAGES]
    versions += sorted(registry().distributions(settings[1]))
    versions += [sha256(path) for path in weights_files(recipe, name)]
    versions += [code_digest(each) for each in (trained_part(recipe, name), recipe.input)]
    contents = [
        [
            scan.name,
            [_content_name(path) for path in (scan.image, scan.inside, scan.region, *scan.labels)],
            scan.tags.astype(int).tolist(),
            scan.slices,
            scan.channels,
            *_weak_contents(scan.weak),
        ]
        for scan in scans
    ]
    return StageIdentity(
        settings, [precision, None if start is None else start.digest, versions, contents]
    )


def weights_files(recipe: Recipe, name: str) -> tuple[Path, ...]:
    """Return the files, from outside the run, of the weights that a stage's network starts with."""
    stage = recipe.stages[name]
    if not isinstance(stage, NetworkStage):
        return ()
    start = stage.trained_start
    of_run = () if start is None or start.run is None else (started_folder(start).weights,)
    return (*backbone_of(recipe.stages, name).files(), *of_run)


def started_folder(start: Start) -> StageFolder:
    """Return the folder of the stage of another run that a network starts from.

    Raises:
        InputError: The run has no such stage, or the stage has no network.
    """
    assert start.run is not None, "this start is an earlier stage"  # noqa: S101
    run = run_folder(start.run)
    folder = run.stage(start.stage)
    if not folder.weights.exists():
        known = sorted(path.parent.name for path in run.stages.glob(f"*/{folder.weights.name}"))
        raise InputError(
            f"{start.run}: no stage with a trained network is called {start.stage!r}; "
            f"{known_words(start.stage, known)}"
        )
    return folder


def visible_cohort(recipe: Recipe, stage: Stage) -> Cohort:
    """Return the cohort that a stage learns from, with only the masks that it can read."""
    regions = recipe.regions.values()
    masks = {region.mask for region in regions if isinstance(region, FileRegion)}
    masks |= set(stage.classes) if isinstance(stage, MasksStage) else set()
    return (stage.cohort or recipe.cohort).as_seen_with(masks)


def with_backbone(recipe: Recipe, name: str) -> Stage:
    """Return a stage with its backbone, which may be that of the stage it starts from."""
    stage = recipe.stages[name]
    if not isinstance(stage, NetworkStage) or stage.backbone is not None:
        return stage
    return stage.model_copy(update={"backbone": backbone_of(recipe.stages, name)})


def backbone_of(stages: Mapping[str, Stage], name: str) -> Backbone:
    """Return the backbone of a learning stage, or of the stage that it starts from."""
    stage = stages[name]
    assert isinstance(stage, NetworkStage), "a recipe only starts from stages that learn"  # noqa: S101
    if stage.backbone is not None:
        return stage.backbone
    start = stage.trained_start
    assert start is not None, "a stage has a backbone, or starts from another one"  # noqa: S101
    if start.run is None:
        return backbone_of(stages, start.stage)
    trained = read_record(started_folder(start)).stage
    assert isinstance(trained, NetworkStage), "a stage with weights has a network"  # noqa: S101
    assert trained.backbone is not None, "a trained stage names its backbone"  # noqa: S101
    return trained.backbone


def _weak_contents(weak: WeakMaps | None) -> list[Any]:
    """Return what determines the weak labels other than tags, as JSON-like values."""
    if weak is None:
        return []
    boxes = [[[(p.start, p.stop) for p in box] for box in each] for each in weak.boxes]
    numbers = (weak.tag_probability, weak.bounds, weak.case_bounds)
    return [list(map(_content_name, weak.known)), boxes, [str(each.tolist()) for each in numbers]]


def _content_name(path: object) -> str:
    """Return a name that identifies a map's content; cached files are named by digests."""
    return f"{path.parent.name}/{path.name}" if isinstance(path, Path) else ""
