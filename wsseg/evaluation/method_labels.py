"""The names of methods in tables and figures, and the mark for settings chosen on test masks."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import pandas as pd

# How a recipe's settings were chosen: taken from the paper, from tags alone, on true masks of
# training or validation cases, or on those of test cases, which makes its results too optimistic.
ChosenFrom: TypeAlias = Literal["paper", "tags", "training masks", "validation masks", "test masks"]

MARK = " †"  # appended to the name of a method whose settings were chosen on test masks
MARK_NOTE = "† Settings chosen on the masks of the test cases: these results are too optimistic"


def recipe_name(method: str) -> str:
    """Return the recipe in a method's name, without settings and mark."""
    return method.partition(" ")[0]


def recipe_label(labelled_method: str) -> str:
    """Return the recipe in a method's label: without settings, with the mark."""
    return recipe_name(labelled_method) + (MARK if labelled_method.endswith(MARK) else "")


def method_label(method: str, settings_from: Mapping[str, ChosenFrom]) -> str:
    """Return the name of a method for tables and figures.

    Args:
        method: A recipe's name, followed by its settings where the suite varies any.
        settings_from: How the settings of each recipe were chosen, by the recipe's name.
    """
    chosen = settings_from.get(recipe_name(method))
    return method + MARK if chosen == "test masks" else method


def label_methods(rows: pd.DataFrame, settings_from: Mapping[str, ChosenFrom]) -> pd.DataFrame:
    """Return a copy of `rows` with the methods replaced by their labels."""
    return rows.assign(method=[method_label(method, settings_from) for method in rows["method"]])
