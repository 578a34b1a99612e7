"""The recipes on synthetic tiles: tags, groups, training without masks, and prediction."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import wsseg
from wsseg.cli import app
from wsseg.components.registry import registry

SIDE, TILES, EXPOSURES = 48, 4, 2
ONLY_HOLES = "classes={defect: [blowhole]}"
TINY = "backbone={use: additive-unet, width: 2}"


def small(*stages: str) -> list[str]:
    """Return settings for one epoch of a tiny network in each stage."""
    epochs = [f"stages.{stage}.epochs=1" for stage in stages]
    return ["input.size=48", *epochs, f"stages.{stages[0]}.{TINY}"]


@pytest.fixture
def tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write exposures of tiles with a gradient of light; every second tile has a dark hole."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    root = tmp_path / "tiles"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rows = []
    for number in range(TILES * EXPOSURES):
        tile, exposure = divmod(number, EXPOSURES)
        defect = "blowhole" if tile % 2 else "free"
        hole = np.zeros((SIDE, SIDE), bool)
        if defect == "blowhole":
            hole[20:27, 10 + 5 * tile : 17 + 5 * tile] = True
        light = np.linspace(90, 150, SIDE) * (1 + 0.2 * exposure)
        pixels = np.where(hole, 40, light) + rng.normal(0, 3, (SIDE, SIDE))
        name = f"{defect}-exp{exposure}_num_{1000 * tile + 20 * exposure}"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / f"images/{name}.png")
        Image.fromarray(hole).save(root / f"masks/{name}.png")
        rows.append([f"images/{name}.png", 1000 * tile + 20 * exposure, defect])
    with (root / "tiles.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "tile", "defect"], *rows])
    return root


def settings_of(cohort: str, tiles: Path) -> list[str]:
    """Return the settings that replace the pictures of a cohort."""
    files = (f"path={tiles}", f"tags={tiles / 'tiles.csv'}", ONLY_HOLES)
    return [f"{cohort}.{each}" for each in files]


def recipe_of(name: str, tiles: Path, *changes: str) -> wsseg.Recipe:
    places = settings_of("cohort", tiles)
    return wsseg.load_recipe(f"surface-defects/{name}", [*places, *changes])


def test_pictures_have_tags_masks_and_the_group_of_their_tile(tiles: Path) -> None:
    cases = recipe_of("threshold", tiles).cohort.cases()
    assert len(cases) == TILES * EXPOSURES
    assert {case.patient for case in cases} == {"0", "1000", "2000", "3000"}
    for case in cases:
        assert case.tags == {"defect": case.name.startswith("blowhole")}
        assert set(case.masks) == {"defect"}


@pytest.mark.parametrize("name", ["threshold", "top-hat"])
def test_baselines_without_training_find_the_hole(tiles: Path, name: str) -> None:
    run = wsseg.train(recipe_of(name, tiles, "input.size=48"), tiles / name)
    case = next(each for each in run.recipe.cohort.cases() if each.tags["defect"])
    found = run.predict(case).masks["defect"][0]
    true = np.asarray(Image.open(case.masks["defect"])) > 0
    assert 2 * (found & true).sum() > 0.8 * (found.sum() + true.sum())


@pytest.mark.parametrize(
    ("name", "stages"),
    [("em", ("start", "refined")), ("mil", ("defect",)), ("cam", ("defect",))],
)
def test_training_from_tags_reads_no_mask(tiles: Path, name: str, stages: tuple[str, ...]) -> None:
    out = tiles / name
    words = ["train", f"surface-defects/{name}", "--out", str(out)]
    places = settings_of("cohort", tiles)
    sets = [word for each in (*places, *small(*stages)) for word in ("--set", each)]
    done = CliRunner().invoke(app, words + sets)
    assert done.exit_code == 0, done.output
    files = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert {file["use"] for file in files} == {"image"}


def test_only_defective_pictures_have_scribbles_and_training_reads_only_scribbles(
    tiles: Path,
) -> None:
    changes = [*settings_of("cohort.cohort", tiles), *small("start", "refined")]
    recipe = wsseg.load_recipe("surface-defects/scribbles", changes)
    wsseg.train(recipe, tiles / "run")
    manifest = json.loads((tiles / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert {file["use"] for file in manifest["files"]} == {"image", "scribble"}
    labels = manifest["weak_labels"]["refined"]
    assert {name.split("-")[0] for name in labels} == {"blowhole"}
    assert len(labels) == TILES * EXPOSURES / 2


def test_a_few_masks_are_used(tiles: Path) -> None:
    changes = [*settings_of("cohort.cohort", tiles), "cohort.masks=3"]
    cases = wsseg.load_recipe("surface-defects/few-masks", changes).cohort.cases()
    assert sum("defect" in case.masks for case in cases) == 3
    recipe = wsseg.load_recipe("surface-defects/few-masks")
    assert recipe.cohort.model_dump()["masks"] == 32


def described(name: str, tiles: Path, stage: str = "defect") -> dict[str, Any]:
    """Return the settings of a stage of a recipe as plain values."""
    return dict(registry().describe(recipe_of(name, tiles))["stages"][stage])


FROZEN = {
    "use": "hypercolumns",
    "encoder": "mobilenet_v2",
    "weights": {"use": "mobilenet-v2"},
    "hidden": 32,
    "dropout": 0.3,
}


def test_em_has_its_documented_constants(tiles: Path) -> None:
    start, refined = (described("em", tiles, stage) for stage in ("start", "refined"))
    assert (start["learn"], start["epochs"], start["sampling"]) == ("tags", 12, "balanced")
    assert start["loss"] == {"use": "log-sum-exp", "sharpness": 1}
    assert start["backbone"] == FROZEN
    assert (refined["learn"], refined["start"], refined["epochs"]) == ("em", "start", 6)
    assert (refined["belief"], refined["average"]["decay"]) == ("average", 0.95)
    assert refined["estep"] == {"use": "proportion", "share": 0.1}
    assert refined["loss"]["use"] == "batch-dice"
    assert refined["prior"] == {
        "use": "local-contrast",
        "channel": None,
        "sigma_px": 16,
        "polarity": "both",
        "midpoint": 1,
        "width": 1,
    }


def test_baselines_have_their_documented_constants(tiles: Path) -> None:
    assert described("threshold", tiles)["prior"]["midpoint"] == 1.5
    assert described("top-hat", tiles)["prior"] == {
        "use": "top-hat",
        "channel": None,
        "size_px": 21,
        "sigma_px": 1,
        "polarity": "both",
        "threshold": 1,
    }
    mil, cam = described("mil", tiles), described("cam", tiles)
    assert (mil["loss"], mil["backbone"]) == ({"use": "log-sum-exp", "sharpness": 1}, FROZEN)
    assert cam == {**mil, "loss": {"use": "mean-logits", "share": 0.2}}


def test_learning_from_masks_has_its_documented_constants(tiles: Path) -> None:
    supervised = described("supervised", tiles)
    assert (supervised["learn"], supervised["epochs"]) == ("masks", 12)
    network = supervised["backbone"]
    assert (network["architecture"], network["encoder"]) == ("linknet", "mobilenet_v2")
    assert network["weights"] == {"use": "mobilenet-v2"}
    changes = settings_of("cohort.cohort", tiles)
    few = wsseg.load_recipe("surface-defects/few-masks", changes)
    assert registry().describe(few)["stages"]["defect"] == {**supervised, "epochs": 240}
    scratch = described("em-from-scratch", tiles, "start")
    assert (scratch["backbone"]["use"], scratch["backbone"]["width"]) == ("additive-unet", 8)
