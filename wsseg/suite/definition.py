"""A benchmark suite: recipes × settings × seeds × folds, checked whole before it runs."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from wsseg.components.registry import registry
from wsseg.config.messages import explain
from wsseg.config.recipe import (
    NAME,
    NO_FOLDER,
    Recipe,
    Seed,
    check_recipe,
    inline_settings,
    recipe_settings,
)
from wsseg.config.settings import Settings, assignment, read_settings
from wsseg.core.component import Component, KeyProblemError
from wsseg.core.interfaces import Metric
from wsseg.errors import InputError, did_you_mean, known_words, shorten_lines
from wsseg.evaluation.comparison import Compare
from wsseg.evaluation.method_labels import ChosenFrom
from wsseg.evaluation.published import PublishedResults

LONGEST_METHOD = 200  # bytes with its settings: a file system's names have up to 255
TAKEN = (
    "stages",
    "rows.csv",
    "report.html",
    "suite.yaml",
)  # beside the methods in a suite's folder
SEEDS = "a suite's seeds are written as seeds: [0, 1]"


class Suite(Component):
    """What a suite's file says.

    A recipe is named, or written in place, on top of what it `extends`. `set` holds for all
    recipes, `matrix` is gone through in every combination; both count where a recipe has the key.
    """

    recipes: Annotated[dict[str, str | Settings], Field(min_length=1)]  # method: recipe
    set: Settings = Settings()
    matrix: Settings = Settings()  # of lists
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    folds: Annotated[int, Field(ge=2)] | None = None  # by patient; null: the cohort's own split
    metrics: Annotated[dict[str, Metric], Field(min_length=1)] | None = None  # null: the recipes'
    compare: Compare | None = None
    settings_from: dict[str, ChosenFrom] = Field(default_factory=dict)  # recipe: what chose them
    published: PublishedResults | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        """Name the recipes of a list by their last part."""
        if not (isinstance(values, Mapping) and isinstance(values.get("recipes"), list)):
            return values
        if inline := [each for each in values["recipes"] if not isinstance(each, str)]:
            raise KeyProblemError(
                ("recipes",), f"{inline[0]!r} has no name; write {{name: {{extends: recipe, ...}}}}"
            )
        named: dict[str, Any] = {}
        for each in values["recipes"]:
            name = Path(each).name.removesuffix(".yaml").removesuffix(".yml")
            if name in named:
                raise KeyProblemError(
                    ("recipes",),
                    f"{named[name]!r} and {each!r} would both be {name!r}; write {{name: recipe}}",
                )
            named[name] = each
        return {**values, "recipes": named}

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for name, source in self.recipes.items():
            if not NAME.fullmatch(name):
                raise KeyProblemError(("recipes", name), NO_FOLDER)
            if name in TAKEN:
                raise KeyProblemError(
                    ("recipes", name), "the suite's folder has a file or folder of that name"
                )
            if isinstance(source, Settings) and "seed" in source.values:
                raise KeyProblemError(("recipes", name, "seed"), SEEDS)
        for key, settings in (("set", self.set), ("matrix", self.matrix)):
            if "seed" in settings.values:
                raise KeyProblemError((key, "seed"), SEEDS)
        for key, values in self.matrix.values.items():
            if not (isinstance(values, list) and values):
                raise KeyProblemError(
                    ("matrix", key), f"{values!r} is no list of the values to go through"
                )
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
    """Read a suite's file, and below it the one that it extends.

    Raises:
        InputError: By file, line and key, what is wrong.
    """
    settings = inline_settings(read_settings(path), path)
    values = dict(settings.values)
    if isinstance(recipes := values.get("recipes"), dict):
        values["recipes"] = {
            name: settings.part(("recipes", name)) if isinstance(each, dict) else each
            for name, each in recipes.items()
        }
    for word in ("set", "matrix"):
        if isinstance(values.get(word), dict):
            values[word] = settings.part((word,))
    try:
        return Suite.model_validate(values, context=registry())
    except ValidationError as error:
        raise InputError(explain(error, settings)) from None


def suite_text(suite: Suite) -> str:
    """Return a suite as YAML, with all that its file extends."""
    recipes = {k: v.values if isinstance(v, Settings) else v for k, v in suite.recipes.items()}
    written = {"recipes": recipes, "set": suite.set.values, "matrix": suite.matrix.values}
    return yaml.safe_dump(registry().describe(suite) | written, sort_keys=False)


def plan(suite: Suite, beside: Path = Path()) -> list[Job]:
    """Return every run of a suite, whose recipes' files are `beside` it; every recipe is checked.

    Raises:
        InputError: A recipe is wrong with its settings, a key fits none of the recipes, or two
            runs, or the baseline, cannot be told by their names.
    """
    jobs: list[Job] = []
    set_in, varied_in = set[str](), set[str]()  # every key that a recipe has, at that time
    for name, source in suite.recipes.items():
        settings, keys = _set(_settings(source, name, beside), suite.set)
        set_in |= keys
        settings = _with_metrics(settings, suite)
        varied_in |= (keys := _keys_of(settings))
        matrix = {key: values for key, values in suite.matrix.values.items() if key in keys}
        for chosen in product(*matrix.values()):
            cell = dict(zip(matrix, chosen, strict=True))
            method = name + "".join(f" {_short(k, matrix)}={_word(v)}" for k, v in cell.items())
            jobs += _jobs(method, _with(settings, cell, suite.matrix), suite)
    for part, known in ((suite.set, set_in), (suite.matrix, varied_in)):
        for key in part.values:
            if key not in known:
                place = part.place((key,))
                raise InputError(
                    f"{place}: no recipe has the key {key!r}{did_you_mean(key, known)}"
                )
    _check_names(jobs, suite)
    return jobs


def _settings(source: str | Settings, name: str, beside: Path) -> Settings:
    if isinstance(source, Settings):
        return inline_settings(source, beside / name)
    return recipe_settings(source, beside=beside)


def _set(settings: Settings, wanted: Settings) -> tuple[Settings, set[str]]:
    """Give a recipe the values that it has the keys for, and return every key it has had.

    A key may be one that only another of the values brings.
    """
    keys, left = _keys_of(settings), dict(wanted.values)
    while fitting := [key for key in left if key in keys]:
        settings = _with(settings, {key: left.pop(key) for key in fitting}, wanted)
        keys |= _keys_of(settings)
    return settings, keys


def _with_metrics(settings: Settings, suite: Suite) -> Settings:
    """Let a suite's metrics, if it names any, replace a recipe's."""
    if suite.metrics is None:
        return settings
    metrics = {word: registry().describe(each) for word, each in suite.metrics.items()}
    return Settings({**settings.values, "metrics": metrics}, settings.places)


def _check_names(jobs: Sequence[Job], suite: Suite) -> None:
    folders = Counter(str(job.folder).casefold() for job in jobs)  # some disks fold them, too
    if twice := next((job.folder for job in jobs if folders[str(job.folder).casefold()] > 1), None):
        raise InputError(f"suite: two runs would lie in {twice}; each needs its own name and seed")
    methods = {job.method: job for job in jobs}
    if long := next((each for each in methods if len(each.encode()) > LONGEST_METHOD), None):
        raise InputError(
            f"suite: {shorten_lines(long)!r} is too long a name for a folder; write such settings as "
            "recipes with names of their own"
        )
    compare = suite.compare
    named = [("compare.baseline", compare.baseline, set(methods))] if compare else []
    if compare and compare.ceiling is not None:
        named.append(("compare.ceiling", compare.ceiling, set(methods)))
    named += [("settings_from", name, set(suite.recipes)) for name in suite.settings_from]
    if suite.published is not None:
        named += [("published.methods", name, set(methods)) for name in suite.published.methods]
    for key, name, known in named:
        if name not in known:
            words = known_words(name, known)
            raise InputError(f"suite: {key}: no method is {name!r}; {words}")


def _jobs(method: str, settings: Settings, suite: Suite) -> Iterator[Job]:
    for seed in suite.seeds:
        recipe = check_recipe(settings.merged(assignment(["seed"], seed, "suite: seeds")))
        if suite.folds and recipe.test is not None:
            raise InputError(
                f"suite: folds: {method} is tested on a cohort of its own, which has none; leave "
                "folds out, or set: {test: null}"
            )
        for fold in range(suite.folds) if suite.folds else [None]:
            yield Job(method, recipe, fold, suite.folds)


def _with(settings: Settings, values: Mapping[str, Any], written: Settings) -> Settings:
    """Return settings with values laid over them, which are `written` at their keys."""
    for key, value in values.items():
        settings = settings.merged(assignment(key.split("."), value, written.place((key,))))
    return settings


def _keys_of(settings: Settings) -> set[str]:
    return set(_keys(registry().describe(check_recipe(settings))))


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
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf).partition("\n")[0]
    return re.sub(r"[^\w.,+-]+", "_", text).strip("_")
