"""A benchmark suite: recipes × settings × seeds × folds, checked whole before it runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from wsseg.component import Component, KeyProblemError
from wsseg.errors import InputError, known_words, nearest
from wsseg.plugins import registry
from wsseg.recipe import Recipe, check_recipe, explain, recipe_settings
from wsseg.settings import Settings, assignment, read_settings

NAME = re.compile(r"\w[\w.-]*")  # of a method: a folder, and a word in tables


class Compare(Component):
    """Which methods are compared: each with the baseline, by a column of the rows."""

    baseline: str
    metric: str = "dice"


class Suite(Component):
    """What a suite's file says.

    `set` holds for all recipes, `matrix` is gone through in every combination; both count where a
    recipe has the key.
    """

    recipes: Annotated[dict[str, str], Field(min_length=1)]  # method: recipe
    set: dict[str, Any] = Field(default_factory=dict)
    matrix: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (0,)
    folds: Annotated[int, Field(ge=2)] | None = None  # by patient; null: the cohort's own split
    compare: Compare | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        """Name the recipes of a list by their last part."""
        if not (isinstance(values, Mapping) and isinstance(values.get("recipes"), list)):
            return values
        named: dict[str, Any] = {}
        for each in values["recipes"]:
            name = Path(str(each)).name.removesuffix(".yaml").removesuffix(".yml")
            if name in named:
                raise KeyProblemError(
                    ("recipes",),
                    f"{named[name]!r} and {each!r} would both be {name!r}; write {{name: recipe}}",
                )
            named[name] = each
        return {**values, "recipes": named}

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for name in self.recipes:
            if not NAME.fullmatch(name):
                raise KeyProblemError(
                    ("recipes", name), "cannot name a folder; use letters, digits, '-', '_', '.'"
                )
        for key, values in (("set", self.set), ("matrix", self.matrix)):
            if "seed" in values:
                raise KeyProblemError((key, "seed"), "a suite's seeds are written as seeds: [0, 1]")
        return self


@dataclass(frozen=True)
class Job:
    """One run of a suite."""

    method: str  # with its settings from the matrix
    recipe: Recipe  # with its seed
    fold: int | None = None
    folds: int | None = None

    @property
    def folder(self) -> Path:
        """Where it is kept, below the suite's folder."""
        return run_folder(self.method, self.recipe.seed, self.fold)


def run_folder(method: str, seed: int, fold: int | None) -> Path:
    """Return where a run of a suite is kept, below the suite's folder."""
    path = Path(method.replace(" ", ","), f"seed-{seed}")
    return path if fold is None else path / f"fold-{fold}"


def load_suite(path: Path) -> Suite:
    """Read a suite's file.

    Raises:
        InputError: By file, line and key, what is wrong.
    """
    settings = read_settings(path)
    try:
        return Suite.model_validate(settings.values, context=registry())
    except ValidationError as error:
        raise InputError(explain(error, settings)) from None


def plan(suite: Suite, beside: Path = Path()) -> list[Job]:
    """Return every run of a suite, whose recipes' files are `beside` it; every recipe is checked.

    Raises:
        InputError: A recipe is wrong with its settings, a key fits none of the recipes, or two
            runs, or the baseline, cannot be told by their names.
    """
    keys: set[str] = set()
    jobs: list[Job] = []
    for name, source in suite.recipes.items():
        settings = recipe_settings(source, beside=beside)
        own = set(_keys(registry().describe(check_recipe(settings))))
        keys |= own
        fixed = {k: v for k, v in suite.set.items() if k in own}
        varied = {k: v for k, v in suite.matrix.items() if k in own}
        for chosen in product(*varied.values()):
            cell = dict(zip(varied, chosen, strict=True))
            method = name + "".join(f" {_short(k, varied)}={_word(v)}" for k, v in cell.items())
            jobs += _jobs(method, settings, fixed | cell, suite)
    for key in (*suite.set, *suite.matrix):
        if key not in keys:
            raise InputError(f"suite: no recipe has the key {key!r}{nearest(key, keys)}")
    _check_names(jobs, suite.compare)
    return jobs


def _check_names(jobs: Sequence[Job], compare: Compare | None) -> None:
    folders = [job.folder for job in jobs]
    if twice := next((each for each in folders if folders.count(each) > 1), None):
        raise InputError(f"suite: two runs would lie in {twice}; each needs its own name and seed")
    methods = {job.method for job in jobs}
    if compare is not None and compare.baseline not in methods:
        words = known_words(compare.baseline, methods)
        raise InputError(f"suite: compare.baseline: no method is {compare.baseline!r}; {words}")


def _jobs(
    method: str, settings: Settings, values: Mapping[str, Any], suite: Suite
) -> Iterator[Job]:
    for seed in suite.seeds:
        changed = settings
        for key, value in {**values, "seed": seed}.items():
            changed = changed.merged(assignment(key.split("."), value, f"suite: {key}"))
        recipe = check_recipe(changed)
        for fold in range(suite.folds) if suite.folds else [None]:
            yield Job(method, recipe, fold, suite.folds)


def _keys(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """List every key of a recipe, "a.b.c", written or by default."""
    for word, value in values.items():
        yield above + word
        if isinstance(value, Mapping):
            yield from _keys(value, f"{above}{word}.")


def _short(key: str, keys: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the last word of a key, where that is enough to tell it from the others."""
    last = key.rpartition(".")[2]
    return last if sum(k.rpartition(".")[2] == last for k in keys) == 1 else key


def _word(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True).partition("\n")[0]
    return re.sub(r"[^\w.,+-]+", "_", text).strip("_")
