"""Recipes are loaded with everything that they extend, and errors are reported with their place."""

import re
from pathlib import Path

import pytest
import yaml

from wsseg.components.esteps import HardEM
from wsseg.components.registry import make
from wsseg.config.recipe_files import (
    annotated_text,
    check_recipe,
    load_recipe,
    recipe_settings,
    recipe_text,
)
from wsseg.config.settings import parse_settings
from wsseg.config.stages import EmStage, MasksStage
from wsseg.core.component import Component
from wsseg.core.optimizer import Cosine, Optimizer
from wsseg.errors import InputError


def error_of(recipe: Path, *changes: str) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(recipe, changes)
    return str(caught.value)


def test_a_recipe_is_built_of_components(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe)
    stage = recipe.stages["consolidation"]
    assert isinstance(stage, EmStage)
    assert isinstance(stage.estep, HardEM)
    assert recipe.classes == ["infection", "consolidation"]


def test_a_change_takes_precedence_over_the_file(toy_recipe: Path) -> None:
    recipe = load_recipe(toy_recipe, ["stages.infection.epochs=7", "seed=3"])
    stage = recipe.stages["infection"]
    assert isinstance(stage, MasksStage)
    assert (stage.epochs, recipe.seed) == (7, 3)


def test_a_recipe_that_is_written_and_loaded_is_equal(toy_recipe: Path, tmp_path: Path) -> None:
    recipe = load_recipe(toy_recipe)
    (tmp_path / "again.yaml").write_text(recipe_text(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe


def test_annotated_text_has_the_place_of_each_value(toy_recipe: Path) -> None:
    settings = recipe_settings(toy_recipe, ["seed=5"])
    text = annotated_text(check_recipe(settings), settings)
    assert "    epochs: 3  # toy.yaml:9\n" in text
    assert "seed: 5  # --set seed=5\n" in text
    assert "precision: auto  # default\n" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.infection.epoch=3", "stages.infection.epoch: unknown key; possible: .*'epochs'"),
        ("stages.infection.epochs=many", "stages.infection.epochs: must be an integer, not 'many'"),
        ("stages.infection.epochs=0", "greater than 0, not 0"),
        ("stages.consolidation.prior.midpoit_hu=1", "Did you mean 'midpoint_hu'"),
        ("stages.consolidation.prior={use: hu-sigmod}", "no Prior is called 'hu-sigmod'.*mean"),
        ("stages.consolidation.prior=3", "stages.consolidation.prior: 3 is not a valid Prior"),
        ("stages.consolidation.region=lungs", "region: 'lungs' is unknown"),
        ("stages.infection.start=consolidation", "start: 'consolidation' is unknown"),
        ("stages.consolidation.learn=magic", "learn"),
        ("seed=true", "seed: must be a number, not true"),
        ("stages.infection.epochs=yes", "infection.epochs: must be an integer, not 'yes'"),
        (
            "stages.consolidation.prior={use: constant, probability: true}",
            "prior.probability: must be a number, not true",
        ),
        ("seed=4294967296", "seed: .*less than 4294967296"),
        ("stages.infection.classes=[infection, infection]", "'infection' appears twice"),
        ("input.slices=4", "must be odd"),
        ("input.mask=lung", "input.mask: 'lung' is unknown"),
        ("cohort={use: table, learn: x}", "cohort.learn: unknown key; possible: .*path"),
        (
            "stages.consolidation={learn: nothing, classes: [infection], prior: {use: threshold}}",
            (
                "more than one stage has class 'infection'; to refine it after stage "
                "'infection', set start: infection"
            ),
        ),
        ("stages.infection.backbone=null", "backbone: set a backbone, or set start"),
        ("color=red", "color: unknown key"),
    ],
)
def test_an_error_is_reported_with_its_key(toy_recipe: Path, change: str, message: str) -> None:
    text = error_of(toy_recipe, change)
    assert re.search(message, text, re.DOTALL), text
    assert f"--set {change}" in text or "toy.yaml" in text


def test_an_error_in_a_file_is_reported_with_its_line(toy_recipe: Path) -> None:
    toy_recipe.write_text(toy_recipe.read_text().replace("epochs: 3", "epochs: three"))
    assert error_of(toy_recipe).startswith("toy.yaml:9: stages.infection.epochs: ")


def test_a_weakly_supervised_stage_cannot_use_the_true_mask_of_its_class_as_region(
    toy_recipe: Path,
) -> None:
    mask = "regions.cheat={use: file, mask: consolidation}"
    for key in ("region", "region_in_training"):
        text = error_of(toy_recipe, mask, f"stages.consolidation.{key}=cheat")
        assert "must not use" in text


@pytest.mark.parametrize("key", ["input.mask", "input.standardize"])
def test_the_input_cannot_use_the_true_mask_of_a_weakly_supervised_class(
    toy_recipe: Path, key: str
) -> None:
    mask = "regions.cheat={use: file, mask: consolidation}"
    text = error_of(toy_recipe, mask, f"{key}=cheat")
    assert key in text
    assert "must not use" in text


def test_an_unknown_region_in_standardize_is_reported(toy_recipe: Path) -> None:
    text = error_of(toy_recipe, "input.unit=any", "input.standardize=brain")
    assert "input.standardize: 'brain' is unknown" in text


@pytest.mark.usefixtures("toy_recipe")
def test_the_last_extended_recipe_takes_precedence(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("extends: toy.yaml\nseed: 1\nprecision: float32\n")
    (tmp_path / "overlay.yaml").write_text("input: {size: 16}\n")
    (tmp_path / "c.yaml").write_text("extends: [b.yaml, overlay.yaml]\nseed: 2\n")
    recipe = load_recipe(tmp_path / "c.yaml")
    assert (recipe.seed, recipe.precision, recipe.input.size) == (2, "float32", 16)


def test_a_link_to_itself_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_recipe(tmp_path / "a.yaml")


def test_a_cycle_of_extends_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    assert "a.yaml → b.yaml → a.yaml" in error_of(tmp_path / "a.yaml")


def test_an_unknown_name_in_extends_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 1\nextends: covid/phi3\n")
    text = error_of(tmp_path / "a.yaml")
    assert text.startswith("a.yaml:2: extends: no recipe is called 'covid/phi3'")
    assert "covid/phi2" in text


def test_a_missing_file_in_extends_is_reported_with_its_line_and_a_similar_name(
    tmp_path: Path,
) -> None:
    (tmp_path / "base.yaml").write_text("seed: 1\n")
    (tmp_path / "a.yaml").write_text("seed: 1\nextends: [base.yaml, bsae.yaml]\n")
    missing = tmp_path / "bsae.yaml"
    wanted = f"a.yaml:2: extends: file not found: {missing}. Did you mean 'base.yaml'?"
    assert error_of(tmp_path / "a.yaml") == wanted


def test_a_long_list_is_printed_completely(toy_recipe: Path) -> None:
    rates = [[epoch, 0.001] for epoch in range(1, 300)]
    settings = recipe_settings(toy_recipe, [f"stages.infection.optimizer.lr={rates}"])
    shown = yaml.safe_load(annotated_text(check_recipe(settings), settings))
    assert shown["stages"]["infection"]["optimizer"]["lr"] == rates


TARGETS = {"covid": "consolidation", "glioma": "tumour", "surface-defects": "defect"}


def test_every_installed_recipe_is_valid() -> None:
    from wsseg.components.registry import registry

    names = [n for n in registry().names(Path) if n not in ("covid/base", "covid/demo")]
    assert {"covid/threshold", "covid/phi1", "covid/phi2", "covid/supervised"} < set(names)
    for name in names:
        assert load_recipe(name).classes[-1] == TARGETS[name.partition("/")[0]]


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
def test_learning_rates_are_those_of_the_schedule(lr: object, epoch: float, rate: float) -> None:
    optimizer = make(Optimizer, "adam", lr=lr)
    assert optimizer.lr_at(epoch, 10) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 0), (0.5, 0.25), (1, 0.5), (1.9, 0.95), (2, 1), (3, 1), (4, 0.1)]
)
def test_the_learning_rate_rises_linearly_during_the_warm_up(epoch: float, rate: float) -> None:
    optimizer = make(Optimizer, "sgd", lr=[[4, 1.0], [10, 0.1]], warmup_epochs=2)
    assert optimizer.lr_at(epoch, 10) == pytest.approx(rate)


def test_an_optimizer_without_a_name_is_adam(toy_recipe: Path) -> None:
    change = "stages.infection.optimizer"
    recipe = load_recipe(toy_recipe, [f"{change}=null", f"{change}={{lr: 0.5}}"])
    stage = recipe.stages["infection"]
    assert isinstance(stage, MasksStage)
    assert stage.optimizer == make(Optimizer, "adam", lr=0.5)
    assert "use: adam" in recipe_text(recipe)
    assert "no Optimizer is called 'adma'" in error_of(toy_recipe, f"{change}.use=adma")


def test_a_learning_rate_of_the_encoder_needs_a_backbone_with_an_encoder(toy_recipe: Path) -> None:
    change = "stages.infection.optimizer.encoder_factor=0.1"
    assert "must be 1, because the backbone does not name its encoder" in error_of(
        toy_recipe, change
    )
    load_recipe(toy_recipe, [change, "stages.infection.backbone={use: smp}"])


def test_components_are_immutable() -> None:
    assert issubclass(Optimizer, Component)
    with pytest.raises(Exception, match="frozen"):
        make(Optimizer, "adam", lr=1.0).lr = 2.0  # type: ignore[misc]


def test_a_missing_key_is_reported() -> None:
    with pytest.raises(InputError, match="cohort: is missing"):
        check_recipe(parse_settings("seed: 1", "a.yaml"))


def test_null_removes_a_default_metric_unless_new_metrics_replace_all_defaults(
    toy_recipe: Path,
) -> None:
    removed = load_recipe(toy_recipe, ["metrics={hd95: null, volume: null}"])
    assert list(removed.metrics) == ["dice", "rates", "dilation"]
    assert not load_recipe(toy_recipe, ["metrics={}"]).metrics
    assert "metrics.hd59: null removes" in error_of(toy_recipe, "metrics.hd59=null")
    own = error_of(toy_recipe, "metrics={hd95: null, mine: {use: dice}}")
    assert "metrics.hd95: null removes an inherited key" in own


def test_null_removes_an_inherited_stage_region_metric_and_score(
    toy_recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "parent.yaml").write_text(
        f"extends: {toy_recipe.name}\nregions: {{all: {{use: everything}}}}\n"
        "metrics: {d: {use: dice}, v: {use: volume}}\n"
    )
    (tmp_path / "child.yaml").write_text(
        "extends: parent.yaml\nregions: {all: null}\nmetrics: {v: null}\n"
        "stages: {consolidation: null}\nscores: {share: null}\n"
    )
    recipe = load_recipe(tmp_path / "child.yaml")
    assert (recipe.regions, list(recipe.metrics), list(recipe.stages)) == ({}, ["d"], ["infection"])
    assert recipe.scores == {}
    error = error_of(tmp_path / "parent.yaml", "stages.consolidation=null")
    assert "scores.share.of: 'consolidation' is unknown" in error


@pytest.mark.parametrize("key", ["stages.x", "regions.x", "metrics.x", "scores.x"])
def test_removing_a_key_that_is_not_inherited_is_refused(toy_recipe: Path, key: str) -> None:
    error = error_of(toy_recipe, f"{key}=null")
    assert f"{key}: null removes an inherited key, but 'x' is not inherited" in error


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("stages.consolidation.estep", "hard"),
        ("stages.infection.backbone", "additive-unet"),
        ("stages.consolidation.prior", "constant"),
    ],
)
def test_the_error_for_a_bare_name_shows_how_to_write_it(
    toy_recipe: Path, key: str, name: str
) -> None:
    error = error_of(toy_recipe, f"{key}={name}")
    assert error.endswith(f"{key}: '{name}' is the name of a component; write {{use: {name}}}")


def test_a_setting_reaches_a_stage_whose_name_has_dots(toy_recipe: Path) -> None:
    toy_recipe.write_text(toy_recipe.read_text().replace("  infection:\n", "  unet.v1:\n", 1))
    toy_recipe.write_text(toy_recipe.read_text().replace("start: infection", "start: unet.v1"))
    recipe = load_recipe(
        toy_recipe,
        ["stages.consolidation.region=unet.v1", "scores={}", "stages.unet.v1.batch_size=7"],
    )
    stage = recipe.stages["unet.v1"]
    assert isinstance(stage, MasksStage)
    assert stage.batch_size == 7
