"""A benchmark suite: recipes × settings × seeds × folds, checked whole before it runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from wsseg.component import Component, KeyProblemError
from wsseg.errors import InputError, known_words
from wsseg.plugins import registry
from wsseg.recipe import Recipe, check_recipe, explain, recipe_settings
from wsseg.settings import Settings, assignment, read_settings


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
        if isinstance(values, Mapping) and isinstance(values.get("recipes"), list):
            named = {str(each).rpartition("/")[2]: each for each in values["recipes"]}
            return {**values, "recipes": named}
        return values

    @model_validator(mode="after")
    def _known_baseline(self) -> Self:
        if self.compare is not None and self.compare.baseline not in self.recipes:
            raise KeyProblemError(
                ("compare", "baseline"),
                f"no method is called {self.compare.baseline!r}; "
                + known_words(self.compare.baseline, self.recipes),
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
        path = Path(self.method.replace(" ", ","), f"seed-{self.recipe.seed}")
        return path if self.fold is None else path / f"fold-{self.fold}"


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
        InputError: A recipe is wrong with its settings, or a key fits none of the recipes.
    """
    used: set[str] = set()
    jobs: list[Job] = []
    for name, source in suite.recipes.items():
        settings = recipe_settings(source, beside=beside)
        fixed = {k: v for k, v in suite.set.items() if _has(settings, k)}
        varied = {k: v for k, v in suite.matrix.items() if _has(settings, k)}
        used |= fixed.keys() | varied.keys()
        for chosen in product(*varied.values()):
            cell = dict(zip(varied, chosen, strict=True))
            method = name + "".join(f" {_short(k, varied)}={_word(v)}" for k, v in cell.items())
            jobs += _jobs(method, settings, fixed | cell, suite)
    if unused := sorted({*suite.set, *suite.matrix} - used):
        raise InputError(f"no recipe of the suite has the key {unused[0]!r}")
    return jobs


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


def _has(settings: Settings, key: str) -> bool:
    """Whether a recipe has a key, written or by default."""
    values: Any = registry().describe(check_recipe(settings))
    for word in key.split("."):
        if not isinstance(values, Mapping) or word not in values:
            return False
        values = values[word]
    return True


def _short(key: str, keys: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the last word of a key, where that is enough to tell it from the others."""
    last = key.rpartition(".")[2]
    return last if sum(k.rpartition(".")[2] == last for k in keys) == 1 else key


def _word(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True).partition("\n")[0]
    return "".join(c if c.isalnum() or c in "-+.,_" else "_" for c in text)
