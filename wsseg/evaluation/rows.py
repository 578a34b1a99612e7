"""Rows: one per method, seed, fold and case, and the CSV file that holds them."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wsseg.data.csv_table import Row, read_csv_table
from wsseg.errors import InputError
from wsseg.runtime.files import atomic_write

KEY = ("method", "seed", "fold", "case")  # no two rows of a file agree in all four
IDENTITY = (*KEY, "patient", "site")  # text, but for the seed; every other column is a number


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV: who and which first, then tags, then numbers as they first appear.

    NaN and None are written as nothing, bools as 1 and 0.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.sort(key=_place)  # stable
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in rows)


def read_rows(path: Path) -> pd.DataFrame:
    """Read rows as `write_rows` wrote them: names as text, numbers as floats, NaN if empty.

    The column `case` is required. The default of `patient` is the case, that of `seed` is 0.

    Raises:
        InputError: The file is not such a table, a number is invalid, or two rows have one key.
    """
    table = read_csv_table(path, ("*",), required=("case",))
    rows, numeric = table.rows, [name for name in table.columns if name not in IDENTITY]
    text = {name: [row.get(name) for row in rows] for name in IDENTITY}
    if "patient" not in table.columns:
        text["patient"] = text["case"]
    frame = pd.DataFrame(text, dtype=object)
    frame["seed"] = [_seed(row) if "seed" in table.columns else 0 for row in rows]
    numbers = {name: [_number(row, name) for row in rows] for name in numeric}
    frame = pd.concat([frame, pd.DataFrame(numbers, index=frame.index, dtype=float)], axis=1)
    repeated = frame[frame.duplicated(list(KEY))]
    if len(repeated):
        key = ", ".join(f"{name} {repeated.iloc[0][name]!r}" for name in KEY)
        raise InputError(
            f"{path}: {len(repeated)} rows repeat an earlier row, first {key}\nKeep one of each."
        )
    return frame


def _place(name: str) -> int:
    if name in IDENTITY:
        return IDENTITY.index(name)
    return len(IDENTITY) + (not name.startswith("tag."))


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return int(value)
    return value.item() if isinstance(value, np.generic) else value  # float32's text is its own


def _number(row: Row, column: str) -> float:
    text = row.get(column)
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise InputError(
            f"{row.place}, column {column!r}: {text[:40]!r} is not a finite number\n"
            f"Only {', '.join(IDENTITY)} may hold text."
        )
    return value


def _seed(row: Row) -> int:
    text = row.get("seed")
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{row.place}, column 'seed': {text[:40]!r} is not an integer") from None
