"""The plugins of this repository: metadata, READMEs, and recipes that combine them."""

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import wsseg
from tests.markdown import REPOSITORY, blocks
from wsseg.cli import app
from wsseg.components.registry import registry
from wsseg.runtime.console import Display

FOLDER = REPOSITORY / "plugins"
PLUGINS = sorted(path.parent for path in FOLDER.glob("*/pyproject.toml"))


def names(plugins: list[Path]) -> list[str]:
    return [plugin.name for plugin in plugins]


def entry_points(plugin: Path) -> dict[str, dict[str, str]]:
    """Return the entry points of a plugin by their group."""
    found = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(found["project"]["entry-points"])


WITH_PARTS = [plugin for plugin in PLUGINS if "wsseg" in entry_points(plugin)]


def offered(plugin: Path) -> set[str]:
    """Return the names of the parts and commands that a plugin offers."""
    version = metadata.version(plugin.name)
    of = f"{plugin.name} {version}"
    parts = {offer.name for offer in registry().offers.values() if offer.distribution == of}
    return parts | entry_points(plugin).get("wsseg.commands", {}).keys()


@pytest.mark.parametrize("plugin", PLUGINS, ids=names(PLUGINS))
def test_the_pyproject_of_a_plugin_has_name_licence_and_version_bounds_of_wsseg(
    plugin: Path,
) -> None:
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == plugin.name
    assert project["license"] == "Apache-2.0"
    assert "wsseg>=0.1,<0.2" in project["dependencies"]
    assert list(project["entry-points"]) in (["wsseg"], ["wsseg.commands"])


@pytest.mark.parametrize("plugin", PLUGINS, ids=names(PLUGINS))
def test_the_readme_of_a_plugin_names_all_it_offers_and_when_to_use_it(plugin: Path) -> None:
    text = (plugin / "README.md").read_text(encoding="utf-8")
    assert "**When to use.**" in text
    assert offered(plugin)
    assert {name for name in offered(plugin) if f"`{name}`" in text} == offered(plugin)


@pytest.mark.parametrize("plugin", WITH_PARTS, ids=names(WITH_PARTS))
def test_the_examples_in_the_readme_of_a_plugin_are_valid_recipes_with_all_its_parts(
    plugin: Path, tmp_path: Path
) -> None:
    shown = blocks(plugin / "README.md")
    examples = [block.text for block in shown if block.language == "yaml"]
    for example in examples:
        recipe = tmp_path / "example.yaml"
        recipe.write_text(example, encoding="utf-8")
        result = CliRunner().invoke(app, ["recipe", "check", str(recipe)])
        assert result.exit_code == 0, result.output
    assert set(re.findall(r"(?:use|unit): ([\w-]+)", "\n".join(examples))) >= offered(plugin)


def test_priors_and_esteps_of_several_plugins_are_trained_together(
    toy_recipe: Path, tmp_path: Path
) -> None:
    """The fitted inner prior is saved in stage.json."""
    spatial = "{use: spatial, border: -1, inside: 0, depth_px: 2}"
    prior = f"{{use: product, priors: [{{use: mixture}}, {spatial}]}}"
    estep = (
        "{use: smoothed, inner: {use: soft}, spatial_weight: 1, spatial_sd_px: 1, "
        "bilateral_weight: 1, bilateral_sd_px: 1, bilateral_sd_intensity: 100, radius_px: 1}"
    )
    stage = "stages.consolidation"
    recipe = wsseg.load_recipe(
        toy_recipe, [f"{stage}.prior={prior}", f"{stage}.estep={estep}", f"{stage}.region=null"]
    )
    run = tmp_path / "run"
    wsseg.train(recipe, run, display=Display(Console(quiet=True)))
    record = json.loads((run / "stages/consolidation/stage.json").read_text(encoding="utf-8"))
    mixture, place = record["stage"]["prior"]["priors"]
    assert len(mixture["log_odds"]) == 1
    assert len(mixture["log_odds"][0]) == len(mixture["levels"]) > 1
    assert place["use"] == "spatial"
    levels, log_odds = mixture["levels"], mixture["log_odds"][0]
    bright = max(range(len(levels)), key=log_odds.__getitem__)
    assert levels[bright] > -300  # the core has 0 HU, its surroundings -500 and -900 HU
