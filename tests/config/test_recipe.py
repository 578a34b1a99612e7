"""Recipes are checked whole, and say where they are wrong."""

import re
from pathlib import Path

import pytest
import yaml

from wsseg.components.esteps import HardEM
from wsseg.config.recipe_files import (
    annotated_text,
    check_recipe,
    load_recipe,
    recipe_settings,
    recipe_text,
)
from wsseg.config.settings import parse_settings
from wsseg.config.stages import Cosine, EmStage, MasksStage, Optimizer
from wsseg.core.component import Component
from wsseg.errors import InputError


def problem(recipe: Path, *changes: str) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(recipe, changes)
    return str(caught.value)


def test_a_recipe_becomes_components(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe)
    stage = recipe.stages["consolidation"]
    assert isinstance(stage, EmStage)
    assert isinstance(stage.estep, HardEM)
    assert recipe.classes == ["infection", "consolidation"]


def test_a_change_wins_over_the_file(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe, ["stages.infection.epochs=7", "seed=3"])
    stage = recipe.stages["infection"]
    assert isinstance(stage, MasksStage)
    assert (stage.epochs, recipe.seed) == (7, 3)


def test_a_written_recipe_reads_back_equal(toy_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(toy_recipe)
    (tmp_path / "again.yaml").write_text(recipe_text(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe


def test_show_gives_each_value_its_place(toy_recipe: Path) -> None:
    settings = recipe_settings(toy_recipe, ["seed=5"])
    text = annotated_text(check_recipe(settings), settings)
    assert "    epochs: 3  # toy.yaml:9\n" in text
    assert "seed: 5  # --set seed=5\n" in text
    assert "precision: auto  # default\n" in text


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("stages.infection.epoch=3", "stages.infection.epoch: unknown key; possible: .*'epochs'"),
        ("stages.infection.epochs=many", "stages.infection.epochs: .*integer.*'many'"),
        ("stages.infection.epochs=0", "greater than 0, not 0"),
        ("stages.consolidation.prior.midpoit_hu=1", "Did you mean 'midpoint_hu'"),
        ("stages.consolidation.prior={use: hu-sigmod}", "no Prior is called 'hu-sigmod'.*mean"),
        ("stages.consolidation.prior=3", "stages.consolidation.prior: 3 is not a valid Prior"),
        ("stages.consolidation.region=lungs", "region: nothing is called 'lungs'"),
        ("stages.infection.start=consolidation", "start: nothing is called 'consolidation'"),
        ("stages.consolidation.learn=magic", "learn"),
        ("seed=true", "seed: expected a number, not True"),
        ("stages.infection.epochs=yes", "infection.epochs: expected a number, not True"),
        ("stages.consolidation.prior={use: constant, probability: on}", "prior.probability: a num"),
        ("seed=4294967296", "seed: .*less than 4294967296"),
        ("stages.infection.classes=[infection, infection]", "'infection' stands there twice"),
        ("input.slices=4", "odd number"),
        ("input.mask=lung", "input.mask: nothing is called 'lung'"),
        ("cohort={use: table, learn: x}", "cohort.learn: unknown key; possible: .*path"),
        (
            "stages.consolidation={learn: nothing, classes: [infection], prior: {use: threshold}}",
            (
                "more than one stage has class 'infection'; to take it over from stage "
                "'infection', start from that"
            ),
        ),
        ("stages.infection.backbone=null", "backbone: name a backbone"),
        ("color=red", "color: unknown key"),
    ],
)
def test_a_mistake_is_named_by_key(toy_recipe: Path, change: str, wanted: str) -> None:
    text = problem(toy_recipe, change)
    assert re.search(wanted, text, re.DOTALL), text
    assert f"--set {change}" in text or "toy.yaml" in text


def test_a_mistake_in_a_file_is_named_by_line(toy_recipe: Path) -> None:
    toy_recipe.write_text(toy_recipe.read_text().replace("epochs: 3", "epochs: three"))
    assert problem(toy_recipe).startswith("toy.yaml:9: stages.infection.epochs: ")


def test_no_weak_stage_may_work_inside_its_own_true_mask(toy_recipe: Path) -> None:
    mask = "regions.cheat={use: file, mask: consolidation}"
    for key in ("region", "region_in_training"):
        text = problem(toy_recipe, mask, f"stages.consolidation.{key}=cheat")
        assert "must not see" in text


@pytest.mark.parametrize("key", ["input.mask", "input.standardize"])
def test_no_input_shows_a_weak_stage_its_own_true_mask(toy_recipe: Path, key: str) -> None:
    mask = "regions.cheat={use: file, mask: consolidation}"
    text = problem(toy_recipe, mask, f"{key}=cheat")
    assert key in text
    assert "must not see" in text


def test_the_region_to_standardize_by_has_a_name(toy_recipe: Path) -> None:
    text = problem(toy_recipe, "input.unit=any", "input.standardize=brain")
    assert "input.standardize: nothing is called 'brain'" in text


@pytest.mark.usefixtures("toy_recipe")
def test_recipes_extend_one_another_in_levels(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("extends: toy.yaml\nseed: 1\nprecision: float32\n")
    (tmp_path / "overlay.yaml").write_text("input: {size: 16}\n")
    (tmp_path / "c.yaml").write_text("extends: [b.yaml, overlay.yaml]\nseed: 2\n")
    recipe = load_recipe(tmp_path / "c.yaml")
    assert (recipe.seed, recipe.precision, recipe.input.size) == (2, "float32", 16)


def test_a_circle_of_links_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_recipe(tmp_path / "a.yaml")


def test_a_circle_of_recipes_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    assert "a.yaml → b.yaml → a.yaml" in problem(tmp_path / "a.yaml")


def test_an_unknown_parent_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 1\nextends: covid/phi3\n")
    text = problem(tmp_path / "a.yaml")
    assert text.startswith("a.yaml:2: extends: no recipe is called 'covid/phi3'")
    assert "covid/phi2" in text


def test_a_parent_that_is_no_file_is_named_with_its_line_and_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("seed: 1\n")
    (tmp_path / "a.yaml").write_text("seed: 1\nextends: [base.yaml, bsae.yaml]\n")
    wanted = f"a.yaml:2: extends: there is no {tmp_path / 'bsae.yaml'}. Did you mean 'base.yaml'?"
    assert problem(tmp_path / "a.yaml") == wanted


def test_a_long_list_is_shown_whole(toy_recipe: Path) -> None:
    rates = [[epoch, 0.001] for epoch in range(1, 300)]
    settings = recipe_settings(toy_recipe, [f"stages.infection.optimizer.lr={rates}"])
    shown = yaml.safe_load(annotated_text(check_recipe(settings), settings))
    assert shown["stages"]["infection"]["optimizer"]["lr"] == rates


def test_every_installed_recipe_is_valid() -> None:
    from wsseg.components.registry import registry

    names = [n for n in registry().names(Path) if n not in ("covid/base", "covid/demo")]
    assert {"covid/threshold", "covid/phi1", "covid/phi2", "covid/supervised"} < set(names)
    for name in names:
        target = "tumour" if name.startswith("glioma/") else "consolidation"
        assert load_recipe(name).classes[-1] == target


@pytest.mark.parametrize(
    ("lr", "epoch", "rate"),
    [
        (0.5, 7, 0.5),
        ([[50, 1e-2], [100, 1e-3], [200, 1e-4]], 49.9, 1e-2),
        ([[50, 1e-2], [100, 1e-3], [200, 1e-4]], 50, 1e-3),
        ([[50, 1e-2], [100, 1e-3], [200, 1e-4]], 500, 1e-4),
        (Cosine(start=2, end=1), 0, 2),
        (Cosine(start=2, end=1), 5, 1.5),
        (Cosine(start=2, end=1), 10, 1),
    ],
)
def test_learning_rates_follow_their_schedule(lr: object, epoch: float, rate: float) -> None:
    optimizer = Optimizer.model_validate({"lr": lr})
    assert optimizer.lr_at(epoch, 10) == pytest.approx(rate)


def test_components_cannot_be_changed_after_they_were_made() -> None:
    assert issubclass(Optimizer, Component)
    with pytest.raises(Exception, match="frozen"):
        Optimizer(lr=1.0).lr = 2.0  # type: ignore[misc]


def test_settings_of_nothing_name_what_is_missing() -> None:
    with pytest.raises(InputError, match="cohort: is missing"):
        check_recipe(parse_settings("seed: 1", "a.yaml"))
