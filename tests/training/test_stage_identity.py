"""What determines a trained stage, before and after its data is prepared."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wsseg.config.recipe import Recipe
from wsseg.config.recipe_files import load_recipe
from wsseg.inference.pipeline import Pipeline
from wsseg.runtime.console import SilentDisplay
from wsseg.runtime.device import open_fabric
from wsseg.training.run import prepare_all, split_of
from wsseg.training.stage_identity import planned_identities
from wsseg.training.stage_task import StageTask, stage_task

STAGE = "infection"


def load(text: str, folder: Path, *changes: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return load_recipe(path, changes)


def prepared_task(recipe: Recipe) -> StageTask:
    cases = prepare_all(split_of(recipe).train, recipe, recipe.stages.values(), SilentDisplay())
    pipeline = Pipeline(recipe.regions, {}, recipe.input, open_fabric("float32"))
    return stage_task(recipe, STAGE, cases, pipeline)


def planned(recipe: Recipe) -> str:
    return planned_identities(recipe)[STAGE].digest


def prepared(recipe: Recipe) -> str:
    return prepared_task(recipe).fingerprint


@pytest.mark.parametrize("digest", [planned, prepared])
@pytest.mark.parametrize(
    "change",
    ["seed=1", f"stages.{STAGE}.epochs=9", f"stages.{STAGE}.backbone.width=2", "input.size=48"],
)
def test_a_changed_setting_changes_both_identities(
    toy_text: str, tmp_path: Path, change: str, digest: Callable[[Recipe], str]
) -> None:
    assert digest(load(toy_text, tmp_path)) != digest(load(toy_text, tmp_path, change))


@pytest.mark.parametrize("digest", [planned, prepared])
def test_later_stages_and_scores_change_neither_identity(
    toy_text: str, tmp_path: Path, digest: Callable[[Recipe], str]
) -> None:
    changes = ("stages.consolidation.epochs=9", "scores={}")
    assert digest(load(toy_text, tmp_path)) == digest(load(toy_text, tmp_path, *changes))


@pytest.mark.parametrize("key", ["input.mask", "input.standardize", f"stages.{STAGE}.region"])
@pytest.mark.parametrize("digest", [planned, prepared])
def test_a_changed_region_of_the_same_name_changes_both_identities(
    toy_text: str, tmp_path: Path, key: str, digest: Callable[[Recipe], str]
) -> None:
    regions = (
        "regions={body: {use: everything}}",
        "regions={body: {use: nonzero}}",
    )
    one, other = (load(toy_text, tmp_path, region, f"{key}=body") for region in regions)
    assert digest(one) != digest(other)


def test_moved_data_changes_only_the_planned_identity(
    toy_text: str, toy_cohort: Path, tmp_path: Path
) -> None:
    """The prepared identity describes the contents of scans and masks, not their paths."""
    moved = tmp_path / "moved.csv"
    header, *lines = toy_cohort.read_text().splitlines()
    columns = header.split(",")
    for index, line in enumerate(lines):
        cells = dict(zip(columns, line.split(","), strict=True))
        for name in ("image", "mask.infection", "mask.consolidation"):
            cells[name] = str(toy_cohort.parent / cells[name])
        lines[index] = ",".join(cells.values())
    moved.write_text("\n".join([header, *lines]))
    before = load(toy_text, tmp_path)
    after = load(toy_text, tmp_path, f"cohort.path={moved}")
    assert planned(before) != planned(after)
    assert prepared(before) == prepared(after)


def test_other_training_cases_change_the_prepared_identity(toy_text: str, tmp_path: Path) -> None:
    recipe = load(toy_text, tmp_path)
    task = prepared_task(recipe)
    cases = prepare_all(split_of(recipe).train[1:], recipe, recipe.stages.values(), SilentDisplay())
    pipeline = Pipeline(recipe.regions, {}, recipe.input, task.fabric)
    assert stage_task(recipe, STAGE, cases, pipeline).fingerprint != task.fingerprint


def test_the_seed_of_a_stage_depends_on_the_recipes_seed_and_its_own_name(
    toy_text: str, tmp_path: Path
) -> None:
    renamed = toy_text.replace("  infection:\n", "  lesion:\n").replace(
        ": infection\n", ": lesion\n"
    )
    other = load(renamed, tmp_path, "scores={}")
    cases = prepare_all(split_of(other).train, other, other.stages.values(), SilentDisplay())
    pipeline = Pipeline(other.regions, {}, other.input, open_fabric("float32"))
    seeds = {
        prepared_task(load(toy_text, tmp_path)).seed,
        prepared_task(load(toy_text, tmp_path, "seed=1")).seed,
        stage_task(other, "lesion", cases, pipeline).seed,
    }
    assert len(seeds) == 3


def test_a_stage_inherits_the_backbone_of_the_stage_it_starts_from(
    toy_text: str, tmp_path: Path
) -> None:
    """The EM stage of the toy recipe names none; its identity changes with that of the first."""
    before = planned_identities(load(toy_text, tmp_path))["consolidation"]
    wider = planned_identities(load(toy_text, tmp_path, "stages.infection.backbone.width=2"))
    assert before.recipe[1]["backbone"]["width"] == 4
    assert wider["consolidation"].recipe[1]["backbone"]["width"] == 2
