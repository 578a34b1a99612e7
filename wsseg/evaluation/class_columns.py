"""The columns of each class in rows: `<class>.NAME`, or NAME for the target class."""

import numpy as np
import pandas as pd


def other_classes(frame: pd.DataFrame) -> list[str]:
    """Return the classes with a Dice column, except the target."""
    names = [name for name in map(str, frame) if not name.startswith("tag.")]
    return [name.removesuffix(".dice") for name in names if name.endswith(".dice")]


def class_prefixes(frame: pd.DataFrame) -> list[str]:
    """Return the prefix of the columns of each class: "" for the target, which is the first."""
    return ["", *(f"{name}." for name in other_classes(frame))]


def column_or_nan(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of `frame`, or NaN for each row if there is no such column."""
    return frame[name] if name in frame else pd.Series(np.nan, index=frame.index)


def true_voxels(rows: pd.DataFrame, prefix: str) -> pd.Series:
    """Return the number of annotated voxels of a class in each row; NaN if it is unknown."""
    return column_or_nan(rows, f"{prefix}tp_voxels") + column_or_nan(rows, f"{prefix}fn_voxels")


def predicted_voxels(rows: pd.DataFrame, prefix: str) -> pd.Series:
    """Return the number of predicted voxels of a class in each row; NaN if it is unknown."""
    return column_or_nan(rows, f"{prefix}tp_voxels") + column_or_nan(rows, f"{prefix}fp_voxels")


def dice_where_present(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` with NaN for the Dice of classes that are absent from the annotation.

    Such a Dice is 0, or undefined if the prediction is also empty, so a mean that included it would
    cover a different number of cases for each method. Rows without voxel counts are not changed.
    """
    present = {
        f"{prefix}dice": rows[f"{prefix}dice"].where(true_voxels(rows, prefix) != 0)
        for prefix in class_prefixes(rows)
        if f"{prefix}dice" in rows
    }
    return rows.assign(**present)


def correctly_empty(rows: pd.DataFrame, prefix: str) -> pd.Series:
    """Return, for each row without the class, 1 if its prediction is empty and 0 otherwise.

    Rows in which the class is present or not annotated are NaN.
    """
    is_empty = (predicted_voxels(rows, prefix) == 0).astype(float)
    return is_empty.where(true_voxels(rows, prefix) == 0)
