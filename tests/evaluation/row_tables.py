"""Small tables of rows for the tests of evaluation."""

import math
from typing import Any

import pandas as pd

from wsseg.evaluation.statistics import Bootstrap

FEW = Bootstrap(draws=200)
A_SEED_0 = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
B_SEED_0 = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]  # 0.1 better in each case
EASY_SEED = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]


def row(method: str, case: str, **numbers: float) -> dict[str, object]:
    """Return the row of a case in seed 0."""
    identity = {"method": method, "seed": 0, "fold": "", "case": case, "patient": case}
    return {**identity, "site": "", **numbers}


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows)


def overlap(tp: int, fp: int, fn: int) -> dict[str, float]:
    """Return the Dice and the counts of voxels of a row."""
    size = 2 * tp + fp + fn
    dice = 2 * tp / size if size else math.nan
    return {"dice": dice, "tp_voxels": tp, "fp_voxels": fp, "fn_voxels": fn}


def of(frame: pd.DataFrame, method: str = "a") -> dict[str, Any]:
    """Return a method's row of a table of statistics."""
    (found,) = frame[frame["method"] == method].to_dict("records")
    return {str(name): value for name, value in found.items()}


def methods(**dice: list[float]) -> pd.DataFrame:
    """Return the rows of methods from the Dice of their cases."""
    return table(
        *[
            row(method, f"case {number}", dice=value)
            for method, values in dice.items()
            for number, value in enumerate(values)
        ]
    )


def rows_of(method: str, seed: int, dice: list[float], fold: str = "") -> list[dict[str, object]]:
    """Return the rows of one job from the Dice of its cases."""
    return [
        row(method, f"c{case}", seed=seed, dice=value) | {"fold": fold}
        for case, value in enumerate(dice)
    ]
