"""Reading and writing of scores: CSV files with a row per method, seed, fold and case."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wsseg.config.columns import IDENTITY, KEY, RUN_COLUMNS, TEXTS, WARNINGS
from wsseg.data.csv_table import Row, read_csv_table
from wsseg.errors import InputError
from wsseg.runtime.files import atomic_write


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV: `IDENTITY`, tags, numbers in their given order, and `RUN_COLUMNS`.

    NaN and None become empty cells, bools become 1 and 0. The file is replaced atomically.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.sort(key=_column_order)  # stable
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in rows)


def read_rows(path: Path) -> pd.DataFrame:
    """Read a file of scores: `TEXTS` as text, all other columns as floats, NaN if empty.

    Only the column `case` is required. Without a column `patient`, each case is a patient; without
    a column `seed`, the seed is 0.

    Raises:
        InputError: The file is not a table of rows, a cell is not a number, or two rows have the
            same method, seed, fold and case.
    """
    table = read_csv_table(path, ("*",), required=("case",))
    rows, numeric = table.rows, [name for name in table.columns if name not in TEXTS]
    texts = [*IDENTITY, *(name for name in (WARNINGS, *RUN_COLUMNS) if name in table.columns)]
    text = {name: [row.get(name) for row in rows] for name in texts}
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
            f"{path}: several rows have the same method, seed, fold and case: {key} (repeated "
            f"rows: {len(repeated)})\n"
            "Keep one row of each."
        )
    return frame


def warnings_by_case(rows: pd.DataFrame) -> dict[str, str]:
    """Return the warnings about the scan of each case that has any."""
    if WARNINGS not in rows:
        return {}
    warned = rows[rows[WARNINGS] != ""].drop_duplicates("case")
    return dict(zip(warned["case"], warned[WARNINGS], strict=True))


def _column_order(name: str) -> int:
    if name in IDENTITY:
        return IDENTITY.index(name)
    if name in RUN_COLUMNS:
        return len(IDENTITY) + 2 + RUN_COLUMNS.index(name)
    return len(IDENTITY) + (not name.startswith("tag."))


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return int(value)
    return value.item() if isinstance(value, np.generic) else value  # str(float32) has fewer digits


def _number(row: Row, column: str) -> float:
    text = row.number(column)
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise InputError(
            f"{row.place}, column {column!r}: {text[:40]!r} is not a finite number\n"
            f"Only {', '.join(TEXTS)} may contain text."
        )
    return value


def _seed(row: Row) -> int:
    text = row.get("seed")
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{row.place}, column 'seed': {text[:40]!r} is not an integer") from None
