"""The commands of `wsseg recipe`."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.components.registry import registry

if TYPE_CHECKING:
    from tests.conftest import Wsseg

INSTALLED = sorted(offer.name for offer in registry().offers.values() if offer.kind is Path)
TO_EXTEND = ("covid/base", "covid/demo")  # incomplete recipes with common settings


def test_recipe_list_has_a_summary_of_each_recipe(wsseg: "Wsseg") -> None:
    ended = wsseg("recipe", "list")
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()]
    assert [name for name, *_ in lines] == INSTALLED
    assert {"covid/phi1", "covid/phi2", "covid/threshold", "covid/supervised"} <= set(INSTALLED)
    assert all(len(words) > 3 for words in lines)


def test_recipe_list_fits_a_terminal_of_80_columns(
    wsseg: "Wsseg", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    ended = wsseg("recipe", "list")
    assert "covid/phi2" in ended.out
    assert max(len(line) for line in ended.out.splitlines()) <= 80


def test_recipe_show_prints_a_valid_recipe_with_the_origin_of_each_value(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {toy_recipe.name}\nseed: 5\n")
    ended = wsseg("recipe", "show", child, "--set", "input.size=48")
    assert ended.code == 0
    assert "seed: 5  # child.yaml:2\n" in ended.out
    assert "size: 48  # --set input.size=48\n" in ended.out
    assert "slices: 3  # toy.yaml:2\n" in ended.out
    assert "precision: auto  # default\n" in ended.out
    (tmp_path / "shown.yaml").write_text(ended.out)
    assert wsseg("recipe", "check", tmp_path / "shown.yaml").code == 0


def test_recipe_check_prints_the_stages_and_the_paths(
    wsseg: "Wsseg", toy_recipe: Path, toy_cohort: Path
) -> None:
    test = toy_recipe.parent / "missing.csv"
    with toy_recipe.open("a", encoding="utf-8") as file:
        file.write("test: {use: table, path: missing.csv}\n")
    ended = wsseg("recipe", "check", toy_recipe)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"{toy_recipe}: valid; stages: infection, consolidation",
        f"cohort.path: {toy_cohort}",
        f"test.path: {test} (does not exist)",
    ]


@pytest.mark.parametrize("name", [name for name in INSTALLED if name not in TO_EXTEND])
def test_every_installed_recipe_is_valid(wsseg: "Wsseg", name: str) -> None:
    assert wsseg("recipe", "check", name).code == 0


def test_recipe_diff_prints_both_values_of_each_key_that_differs_with_their_places(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    child = tmp_path / "child.yaml"
    child.write_text(
        "extends: toy.yaml\nseed: 5\nstages: {consolidation: {prior: {use: constant}}}\n"
    )
    ended = wsseg("recipe", "diff", toy_recipe, child, "--set", "input.size=48")
    assert (ended.code, ended.err) == (0, "")
    prior = "stages.consolidation.prior"
    assert ended.out.splitlines() == [
        "input.size",
        "  - 32  # toy.yaml:2",
        "  + 48  # --set input.size=48",
        f"{prior}.use",
        "  - hu-sigmoid  # toy.yaml:18",
        "  + constant  # child.yaml:3",
        f"{prior}.midpoint_hu",
        "  - -100.0  # toy.yaml:18",
        f"{prior}.width_hu",
        "  - 100.0  # toy.yaml:18",
        f"{prior}.bias",
        "  - 0.5  # default",
        f"{prior}.channel",
        "  - null  # default",
        "seed",
        "  - 0  # default",
        "  + 5  # child.yaml:2",
        f"{prior}.probability",
        "  + 1.0  # default",
    ]


def test_recipe_diff_says_that_equal_recipes_are_equal(wsseg: "Wsseg", toy_recipe: Path) -> None:
    ended = wsseg("recipe", "diff", toy_recipe, toy_recipe)
    assert (ended.code, ended.out) == (0, "the recipes have the same values\n")
