"""What the results of a suite are held against, and what chose the settings of its methods."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import pandas as pd
from pydantic import Field, FiniteFloat

from wsseg.core.component import Component

# Of a recipe's settings: the paper that gives them; tags alone; true masks of training cases; or
# true masks of the cases it is tested on, which flatters its results.
ChosenFrom: TypeAlias = Literal["paper", "tags", "training masks", "test masks"]
FigureName: TypeAlias = Literal["agreement", "groups", "settings", "rates", "dilation", "overlays"]

MARK = " †"  # after the name of a method whose settings were chosen on test masks
MARKED = "† settings chosen on the masks of test cases: its figures flatter it"


class Compare(Component):
    """Which methods are compared: each with the baseline, by a column of the rows.

    With a `ceiling`, also by the share that each covers of the way from the baseline to it.
    """

    baseline: str
    metric: str = "dice"
    ceiling: str | None = None


class PublishedResults(Component):
    """What was published of the same experiment: shown beside the suite's own figures.

    `methods` gives columns of `stats.summary` by method, `notes` what a figure showed.
    """

    source: str
    methods: dict[str, dict[str, FiniteFloat]] = Field(default_factory=dict)
    notes: dict[FigureName, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)


def recipe_name(method: str) -> str:
    """Return the part of a method's name that names its recipe, without settings or mark."""
    return method.partition(" ")[0]


def recipe_label(shown: str) -> str:
    """Return the recipe of a method as tables show it: without its settings, with its mark."""
    return recipe_name(shown) + (MARK if shown.endswith(MARK) else "")


def label(method: str, settings_from: Mapping[str, ChosenFrom]) -> str:
    """Return a method's name as tables and figures show it."""
    chosen = settings_from.get(recipe_name(method))
    return method + MARK if chosen == "test masks" else method


def labelled(rows: pd.DataFrame, settings_from: Mapping[str, ChosenFrom]) -> pd.DataFrame:
    """Return rows whose methods have the names that tables and figures show."""
    return rows.assign(method=[label(method, settings_from) for method in rows["method"]])
