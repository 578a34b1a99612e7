"""Benchmark suites and their jobs: recipes × settings × seeds × folds."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

from pydantic import Field, ValidationError, model_validator

from wsseg.components.registry import registry
from wsseg.config.messages import explain
from wsseg.config.recipe import FOLDER_NAME, FOLDER_NAME_RULE, Recipe, Seed
from wsseg.config.recipe_files import check_recipe, inline_settings, recipe_settings
from wsseg.config.settings import (
    SUITE_MAPS,
    Place,
    Settings,
    nested,
    read_settings,
    without_quotes,
)
from wsseg.core.component import Component, KeyProblemError
from wsseg.core.interfaces import Metric
from wsseg.errors import InputError, did_you_mean, known_words, shorten_lines
from wsseg.evaluation.comparison import Compare
from wsseg.evaluation.method_labels import ChosenFrom
from wsseg.evaluation.published import PublishedResults
from wsseg.runtime import yaml12
from wsseg.suite.folder import RESERVED_NAMES, run_path
from wsseg.suite.tuning import ChosenSettings, Tuning

LONGEST_METHOD = 200  # bytes, with its settings; file systems allow names of 255
SEEDS = "a suite's seeds are written as seeds: [0, 1]"
FoldNumber: TypeAlias = Annotated[int, Field(ge=2)]


class Folds(Component):
    """A split by patient into folds, each of which is the test set of a run.

    `folds: 5` is short for `folds: {n: 5}`.
    """

    n: FoldNumber
    """The number of folds."""
    inner: FoldNumber | None = None
    """The number of parts of the other cases, one of which is for validation; null: none."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"n": value} if isinstance(value, int) else value


class Suite(Component):
    """The contents of a suite's file.

    A recipe is given by its name, or by settings on top of the recipe that it `extends`. `set`
    changes all recipes, and `matrix` lists values of which every combination is run. A recipe that
    lacks a key of either is left unchanged by it. `tune` chooses settings of some recipes for each
    seed and fold.
    """

    recipes: Annotated[dict[str, str | Settings], Field(min_length=1)]  # by method
    set: Settings = Settings()
    matrix: Settings = Settings()  # a list of values for each key
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    folds: Folds | None = None  # null: the cohort's own split
    metrics: Annotated[dict[str, Metric], Field(min_length=1)] | None = (
        None  # null: those of each recipe
    )
    compare: Compare | None = None
    settings_from: dict[str, ChosenFrom] = Field(
        default_factory=dict
    )  # by recipe: what its settings were chosen on
    tune: dict[str, Tuning] = Field(default_factory=dict)  # by recipe
    published: PublishedResults | None = None

    @property
    def chosen_from(self) -> dict[str, ChosenFrom]:
        """What the settings of each recipe were chosen on, if stated."""
        return self.settings_from | {name: each.chosen_from for name, each in self.tune.items()}

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        """Name the recipes of a list by the last part of their name."""
        if not (isinstance(values, Mapping) and isinstance(values.get("recipes"), list)):
            return values
        if inline := [each for each in values["recipes"] if not isinstance(each, str)]:
            raise KeyProblemError(
                ("recipes",),
                f"{inline[0]!r} has no name; write recipes as {{name: {{extends: recipe, ...}}}}",
            )
        named: dict[str, Any] = {}
        for each in values["recipes"]:
            name = Path(each).name.removesuffix(".yaml").removesuffix(".yml")
            if name in named:
                raise KeyProblemError(
                    ("recipes",),
                    f"{named[name]!r} and {each!r} are both named {name!r}; give them different "
                    "names: {name: recipe}",
                )
            named[name] = each
        return {**values, "recipes": named}

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for name, source in self.recipes.items():
            if not FOLDER_NAME.fullmatch(name):
                raise KeyProblemError(("recipes", name), FOLDER_NAME_RULE)
            if name in RESERVED_NAMES:
                raise KeyProblemError(
                    ("recipes", name),
                    "is the name of a file or folder of the suite; choose another name",
                )
            if isinstance(source, Settings) and "seed" in source.values:
                raise KeyProblemError(("recipes", name, "seed"), SEEDS)
        for key, settings in (("set", self.set), ("matrix", self.matrix)):
            if "seed" in settings.values:
                raise KeyProblemError((key, "seed"), SEEDS)
        for key, values in self.matrix.values.items():
            if not (isinstance(values, list) and values):
                raise KeyProblemError(("matrix", key), f"must be a list of values, not {values!r}")
        return self

    @model_validator(mode="after")
    def _choices_agree(self) -> Self:
        for name, stated in self.settings_from.items():
            if stated != self.chosen_from[name]:
                problem = f"tune chooses the settings on {self.chosen_from[name]}, not {stated}"
                raise KeyProblemError(("settings_from", name), problem)
        return self


@dataclass(frozen=True)
class Job:
    """One run of a suite: a method, a seed and a fold."""

    method: str  # with its settings from the matrix
    recipe: Recipe  # with its seed
    fold: int | None = None
    folds: Folds | None = None
    tuning: Tuning | None = None  # how its settings are chosen
    chosen: ChosenSettings | None = None  # which `recipe` has, once they are chosen
    fingerprint: str = ""  # of what decides its results: see `job_fingerprint`

    @property
    def folder(self) -> Path:
        """The path of its run, relative to the suite's folder."""
        return run_path(self.method, self.recipe.seed, self.fold)

    @property
    def split(self) -> tuple[int, ...] | None:
        """Its fold, and the numbers of folds and of inner parts; None: the cohort's own split."""
        if self.fold is None or self.folds is None:
            return None
        inner = () if self.folds.inner is None else (self.folds.inner,)
        return (self.fold, self.folds.n, *inner)


def load_suite(path: Path) -> Suite:
    """Read a suite's file, merged with the file that it extends.

    Raises:
        InputError: The suite is invalid; the message names file, line and key.
    """
    settings = inline_settings(read_settings(path), path)
    settings.check_removals(SUITE_MAPS)
    values = dict(settings.values)
    if isinstance(recipes := values.get("recipes"), dict):
        values["recipes"] = {
            name: settings.subtree(("recipes", name)) if isinstance(each, dict) else each
            for name, each in recipes.items()
        }
    for word in ("set", "matrix"):
        if isinstance(values.get(word), dict):
            values[word] = settings.subtree((word,))
    try:
        return Suite.model_validate(values, context=registry())
    except ValidationError as error:
        raise InputError(explain(error, settings)) from None


def suite_text(suite: Suite) -> str:
    """Return a suite as YAML, including the values of the file that it extends."""
    recipes = {k: v.values if isinstance(v, Settings) else v for k, v in suite.recipes.items()}
    written = {"recipes": recipes, "set": suite.set.values, "matrix": suite.matrix.values}
    return yaml12.dump(registry().describe(suite) | written, sort_keys=False)


def plan(suite: Suite, folder: Path = Path()) -> list[Job]:
    """Return the jobs of a suite, and check all of their recipes.

    The files of recipes are relative to the folder `folder`.

    Raises:
        InputError: A recipe is invalid with its settings, no recipe has a key of `set` or `matrix`,
            two runs have the same name, or a method that the suite names does not exist.
    """
    jobs: list[Job] = []
    set_in, varied_in = set[str](), set[str]()  # keys that `set` and `matrix` can change
    for name, source in suite.recipes.items():
        settings, keys = _set(_settings(source, name, folder), suite.set)
        set_in |= keys
        settings = _with_metrics(settings, suite)
        varied_in |= (keys := _keys_of(settings))
        varied = suite.matrix.values.items()
        matrix = {key: values for key, values in varied if without_quotes(key) in keys}
        for chosen in product(*matrix.values()):
            cell = dict(zip(matrix, chosen, strict=True))
            method = name + "".join(f" {_short(k, matrix)}={_word(v)}" for k, v in cell.items())
            own = list(_jobs(method, _with(settings, cell, suite.matrix), suite))
            jobs += _with_tuning(own, name, suite)
    for part, known in ((suite.set, set_in), (suite.matrix, varied_in)):
        for key in part.values:
            if without_quotes(key) not in known:
                place = part.place((key,))
                raise InputError(
                    f"{place}: no recipe has the key {key!r}{did_you_mean(key, known)}"
                )
    _check_names(jobs, suite)
    return jobs


def _settings(source: str | Settings, name: str, folder: Path) -> Settings:
    if isinstance(source, Settings):
        return inline_settings(source, folder / name)
    return recipe_settings(source, folder=folder)


def _set(settings: Settings, wanted: Settings) -> tuple[Settings, set[str]]:
    """Set the values whose keys the recipe has; return the settings and all keys found.

    Setting one value may add the key of another.
    """
    keys, left = _keys_of(settings), dict(wanted.values)
    while fitting := [key for key in left if without_quotes(key) in keys]:
        settings = _with(settings, {key: left.pop(key) for key in fitting}, wanted)
        keys |= _keys_of(settings)
    return settings, keys


def _with_metrics(settings: Settings, suite: Suite) -> Settings:
    """Replace a recipe's metrics with those of the suite, if it has any."""
    if suite.metrics is None:
        return settings
    metrics = {word: registry().describe(each) for word, each in suite.metrics.items()}
    return Settings({**settings.values, "metrics": metrics}, settings.places)


def _check_names(jobs: Sequence[Job], suite: Suite) -> None:
    folders = Counter(
        str(job.folder).casefold() for job in jobs
    )  # as on case-insensitive file systems
    if twice := next((job.folder for job in jobs if folders[str(job.folder).casefold()] > 1), None):
        raise InputError(
            f"suite: two runs would be written to {twice}; give each its own name and seed"
        )
    methods = {job.method: job for job in jobs}
    if long := next((each for each in methods if len(each.encode()) > LONGEST_METHOD), None):
        raise InputError(
            f"suite: {shorten_lines(long)!r} is too long for the name of a folder; write these "
            "settings as recipes with short names"
        )
    compare = suite.compare
    named = [("compare.baseline", compare.baseline, set(methods))] if compare else []
    if compare and compare.ceiling is not None:
        named.append(("compare.ceiling", compare.ceiling, set(methods)))
    for key in ("settings_from", "tune"):
        named += [(key, name, set(suite.recipes)) for name in getattr(suite, key)]
    if suite.published is not None:
        named += [("published.methods", name, set(methods)) for name in suite.published.methods]
    for key, name, known in named:
        if name not in known:
            words = known_words(name, known)
            raise InputError(f"suite: {key}: no method is called {name!r}; {words}")


def _jobs(method: str, settings: Settings, suite: Suite) -> Iterator[Job]:
    for seed in suite.seeds:
        seeded = Settings({"seed": seed}, {("seed",): Place("suite: seeds")})
        recipe = check_recipe(settings.merged(seeded))
        if suite.folds and recipe.test is not None:
            raise InputError(
                f"suite: folds: {method} has a separate test cohort, so there is nothing to split; "
                "remove `folds`, or set: {test: null}"
            )
        for fold in range(suite.folds.n) if suite.folds else [None]:
            yield Job(method, recipe, fold, suite.folds)


def _with_tuning(jobs: Sequence[Job], name: str, suite: Suite) -> list[Job]:
    """Return the jobs of a method with their tuning, which is checked."""
    tuning = suite.tune.get(name)
    if tuning is None:
        return list(jobs)
    try:
        tuning.check(jobs[0].recipe)
    except InputError as error:
        raise InputError(f"suite: tune.{name}: {error}") from None
    return [replace(job, tuning=tuning) for job in jobs]


def _with(settings: Settings, values: Mapping[str, Any], written: Settings) -> Settings:
    """Return settings updated with `values`, whose places in the file are in `written`."""
    for key, value in values.items():
        keys = settings.split(key)
        places = {(*keys, *k[1:]): place for k, place in written.places.items() if k[:1] == (key,)}
        settings = settings.merged(Settings(nested(keys, value), places))
    return settings


def _keys_of(settings: Settings) -> set[str]:
    return set(_keys(registry().describe(check_recipe(settings))))


def _keys(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield every key of a recipe as "a.b.c", including those with default values."""
    for word, value in values.items():
        yield above + word
        if isinstance(value, Mapping):
            yield from _keys(value, f"{above}{word}.")


def _short(key: str, keys: Iterable[str]) -> str:
    """Return the last word of a key if no other key has it, else the full key."""
    key, last_words = without_quotes(key), [without_quotes(k).rpartition(".")[2] for k in keys]
    last = key.rpartition(".")[2]
    return last if last_words.count(last) == 1 else key


def _word(value: Any) -> str:
    text = yaml12.dump(value, default_flow_style=True, width=math.inf).partition("\n")[0]
    return re.sub(r"[^\w.,+-]+", "_", text).strip("_")
