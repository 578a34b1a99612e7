"""Rows: one per method, seed, fold and case, and the CSV file that holds them."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

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
    """Read rows as `write_rows` wrote them: names as text, numbers as floats, NaN where empty.

    A file needs a column `case`; a missing patient is the case itself, a missing seed is 0.

    Raises:
        InputError: it is no such table, a number is none, or a case stands in it twice.
    """
    header, lines = _read_csv(path)
    table = {name: [line[column] for line in lines] for column, name in enumerate(header)}
    defaults = {"patient": table["case"], "seed": ["0"] * len(lines)}
    blank = [""] * len(lines)
    frame = pd.DataFrame(
        {name: table.pop(name, defaults.get(name, blank)) for name in IDENTITY}, dtype=object
    )
    frame["seed"] = [_seed(path, number, text) for number, text in enumerate(frame["seed"], 2)]
    numbers = {name: _numbers(path, name, column) for name, column in table.items()}
    frame = pd.concat([frame, pd.DataFrame(numbers, index=frame.index, dtype=float)], axis=1)
    twice = frame[frame.duplicated(list(KEY))]
    if len(twice):
        key = ", ".join(f"{name} {twice.iloc[0][name]!r}" for name in KEY)
        raise InputError(
            f"{path}: {len(twice)} rows stand in it twice, first {key}\nKeep one of each."
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


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *lines = [line for line in csv.reader(file, strict=True) if line] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV table of rows: {error}") from error
    repeated = {name for name in header if header.count(name) > 1}
    if "case" not in header or repeated:
        fault = f"has two columns {min(repeated)!r}" if repeated else "has no column 'case'"
        raise InputError(
            f"{path} {fault}; a table of rows has a row per method, seed, fold and case"
        )
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise InputError(f"{path}, row {number}: {len(line)} cells, but {len(header)} columns")
    return header, lines


def _numbers(path: Path, name: str, column: Sequence[str]) -> list[float]:
    return [_number(path, name, number, text) for number, text in enumerate(column, 2)]


def _number(path: Path, name: str, number: int, text: str) -> float:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise InputError(
            f"{path}, row {number}, column {name!r}: {text[:40]!r} is not a finite number\n"
            f"Only {', '.join(IDENTITY)} may hold text."
        )
    return value


def _seed(path: Path, number: int, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(
            f"{path}, row {number}, column 'seed': {text[:40]!r} is not a whole number"
        ) from None
