"""A path in a recipe is relative to the file that names it, and absolute once it is read."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from wsseg import Cohort, Recipe, Table
from wsseg.config.paths import paths_in, with_absolute_paths
from wsseg.config.recipe_files import (
    holds_recipe,
    load_recipe,
    recipe_of_run,
    recipe_settings,
    recipe_text,
)
from wsseg.core.component import Component
from wsseg.suite.definition import load_suite, plan

STAGE = "{learn: nothing, classes: [a], prior: {use: constant, probability: 0.9}}"


class Paths(Component):
    """A component with paths in every kind of container."""

    one: Path
    many: tuple[Path, ...] = ()
    named: Mapping[str, list[Path]] = {}
    default: Path = Path("d")
    word: str = "w"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recipes in two folders, of which neither is the current folder."""
    (tmp_path / "base").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "base" / "base.yaml").write_text(
        f"cohort: {{use: table, path: base.csv}}\ntest: {{use: table, path: sub/test.csv}}\n"
        f"stages: {{s: {STAGE}}}\n"
    )
    (tmp_path / "mine" / "mine.yaml").write_text(
        "extends: ../base/base.yaml\ntest: {path: mine.csv}\n"
    )
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def path_of(cohort: Cohort | None) -> Path:
    assert isinstance(cohort, Table)
    assert cohort.path.is_absolute()
    return cohort.path.resolve()


def test_a_path_is_relative_to_the_file_that_names_it(project: Path) -> None:
    for source in (project / "mine" / "mine.yaml", "../mine/mine.yaml"):
        recipe = load_recipe(source)
        assert path_of(recipe.cohort) == project / "base" / "base.csv"
        assert path_of(recipe.test) == project / "mine" / "mine.csv"


def test_an_absolute_path_does_not_pass_through_the_current_folder(project: Path) -> None:
    recipe = load_recipe("../mine/mine.yaml", ["cohort.path=../linked/../own.csv"])
    assert isinstance(recipe.test, Table)
    assert recipe.test.path == project / "mine" / "mine.csv"
    assert isinstance(recipe.cohort, Table)
    assert recipe.cohort.path == project / "own.csv"


def test_the_parent_of_a_linked_folder_is_that_of_its_target(project: Path) -> None:
    (project / "far" / "away").mkdir(parents=True)
    (project / "linked").symlink_to(project / "far" / "away")
    recipe = load_recipe("../mine/mine.yaml", ["cohort.path=../linked/../own.csv"])
    assert isinstance(recipe.cohort, Table)
    assert recipe.cohort.path == project / "far" / "own.csv"


def test_a_link_stays_a_link_in_an_absolute_path(project: Path) -> None:
    (project / "here" / "linked").symlink_to(project / "base")
    recipe = load_recipe("../mine/mine.yaml", ["cohort.path=linked/base.csv"])
    assert isinstance(recipe.cohort, Table)
    assert recipe.cohort.path == project / "here" / "linked" / "base.csv"


@pytest.mark.parametrize(
    "change",
    ["cohort.path=x/y.csv", "cohort={path: x/y.csv}", "cohort={use: table, path: x/y.csv}"],
)
def test_a_path_in_a_change_is_relative_to_the_current_folder(project: Path, change: str) -> None:
    recipe = load_recipe(project / "base" / "base.yaml", [change])
    assert path_of(recipe.cohort) == project / "here" / "x" / "y.csv"
    assert path_of(recipe.test) == project / "base" / "sub" / "test.csv"


def test_an_absolute_path_is_kept(project: Path) -> None:
    recipe = load_recipe(project / "base" / "base.yaml", ["cohort.path=/a/../b.csv"])
    assert isinstance(recipe.cohort, Table)
    assert recipe.cohort.path == Path("/a/../b.csv")


def test_a_path_in_a_suite_is_relative_to_the_file_of_the_suite(project: Path) -> None:
    (project / "base" / "suite.yaml").write_text(
        "recipes:\n  a: base.yaml\n"
        "  b: {extends: base.yaml, cohort: {path: own.csv}}\n"
        "set: {test: {use: table, path: set.csv}}\n"
    )
    (project / "mine" / "suite.yaml").write_text(
        "extends: ../base/suite.yaml\nrecipes: {a: mine.yaml, b: null}\n"
        "matrix: {cohort.path: [m.csv]}\n"
    )
    (a, b) = plan(load_suite(project / "base" / "suite.yaml"), project / "base")
    assert path_of(a.recipe.cohort) == project / "base" / "base.csv"
    assert path_of(b.recipe.cohort) == project / "base" / "own.csv"
    assert path_of(b.recipe.test) == project / "base" / "set.csv"
    (job,) = plan(load_suite(project / "mine" / "suite.yaml"), project / "mine")
    assert path_of(job.recipe.cohort) == project / "mine" / "m.csv"
    assert path_of(job.recipe.test) == project / "base" / "set.csv"


def test_only_paths_become_absolute_in_every_kind_of_container(project: Path) -> None:
    part = Paths(one="a", many=("b", "/c"), named={"k": ["d"]})
    folders = {("one",): Path("/1"), ("many", 0): Path("/2"), ("named", "k", 0): Path("/3")}
    made = with_absolute_paths(part, lambda key: folders.get(key, Path()))
    assert made == Paths(
        one=Path("/1/a"),
        many=(Path("/2/b"), Path("/c")),
        named={"k": [Path("/3/d")]},
        default=project / "here" / "d",
    )
    assert with_absolute_paths(made) is made
    assert dict(paths_in(made))["named", "k", 0] == Path("/3/d")


def test_the_recipe_of_a_run_has_absolute_paths_even_if_it_was_built_in_python(
    project: Path,
) -> None:
    recipe = load_recipe(project / "base" / "base.yaml")
    relative = Recipe(cohort=Table(path=Path("x.csv")), stages=recipe.stages)
    written = yaml.safe_load(recipe_text(relative))
    assert written["cohort"]["path"] == str(project / "here" / "x.csv")
    saved = project / "mine" / "recipe.yaml"
    saved.write_text(recipe_text(relative))
    assert holds_recipe(saved, relative)
    assert not holds_recipe(saved, recipe)


def test_a_relative_path_in_a_run_of_an_older_version_is_relative_to_the_current_folder(
    project: Path,
) -> None:
    saved = project / "mine" / "recipe.yaml"
    saved.write_text(f"cohort: {{use: table, path: old.csv}}\nstages: {{s: {STAGE}}}\n")
    recipe = recipe_of_run(saved)
    assert path_of(recipe.cohort) == project / "here" / "old.csv"
    assert holds_recipe(saved, recipe)


def test_the_folder_of_a_default_is_the_current_one(project: Path) -> None:
    settings = recipe_settings(project / "mine" / "mine.yaml")
    assert settings.folder(("cohort", "path")).resolve() == project / "base"
    assert settings.folder(("cohort", "other")) == Path()
    assert settings.folder(()).resolve() == project / "mine"
