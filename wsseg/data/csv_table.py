"""Reading of CSV files that people write: every cell belongs to a known column."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsseg.errors import InputError, known_words


@dataclass(frozen=True)
class Row:
    """One row of a table. Its cells have no surrounding spaces; an empty cell is ""."""

    path: Path
    line: int  # in the file, from 1
    cells: Mapping[str, str]  # by column

    @property
    def place(self) -> str:
        """Where this row is, for messages."""
        return f"{self.path}, line {self.line}"

    def get(self, column: str) -> str:
        """Return a cell, or "" if the table has no such column."""
        return self.cells.get(column, "")

    def with_prefix(self, prefix: str) -> dict[str, str]:
        """Return the cells of the columns `prefix`.<name> by name."""
        start = f"{prefix}."
        return {
            column.removeprefix(start): cell
            for column, cell in self.cells.items()
            if column.startswith(start)
        }


@dataclass(frozen=True)
class CsvTable:
    """The columns and rows of a CSV file."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_csv_table(path: Path, columns: Collection[str], required: Collection[str]) -> CsvTable:
    """Read a CSV file whose first line names its columns.

    In `columns`, "tag.*" allows every column tag.<name> and "*" any column. Blank lines are
    skipped.

    Raises:
        InputError: The file cannot be read, a column is unknown, repeated or missing, or a row has
            more or fewer cells than the header.
    """
    header, *lines = _read_lines(path) or [(1, [])]
    names = _column_names(path, header[1], columns, required)
    lines = [(line, _without_margin(cells, len(names))) for line, cells in lines]
    for line, cells in lines:
        if len(cells) != len(names):
            raise InputError(
                f"{path}, line {line}: has {len(cells)} cells, but the header has {len(names)}. "
                "Put cells that contain a comma in double quotes."
            )
    rows = (Row(path, line, dict(zip(names, cells, strict=True))) for line, cells in lines)
    return CsvTable(tuple(names), tuple(rows))


def _without_margin(cells: list[str], columns: int) -> list[str]:
    """Drop empty cells after the last column; spreadsheets write them where one was erased."""
    return cells if any(cells[columns:]) else cells[:columns]


def _read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the number and the cells of every line that is not blank."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            stripped = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    return [(line, cells) for line, cells in stripped if any(cells)]


def _column_names(
    path: Path, names: list[str], columns: Collection[str], required: Collection[str]
) -> list[str]:
    while names and not names[-1]:
        names = names[:-1]
    if not names:
        expected = ", ".join(columns if "*" not in columns else required)
        raise InputError(f"{path}: is empty. Its first line must name its columns: {expected}")
    if len(names) == 1 and (other := {";", "\t", "|"} & set(names[0])):
        raise InputError(
            f"{path}: its columns are separated by {other.pop()!r}. Separate them by commas."
        )
    for name in () if "*" in columns else names:
        prefix, dot, rest = name.partition(".")
        if name not in columns and not (f"{prefix}.*" in columns and dot and rest):
            raise InputError(f"{path}: unknown column {name!r}; {known_words(name, columns)}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: has the column {repeated[0]!r} twice")
    if missing := [name for name in required if name not in names]:
        raise InputError(f"{path}: has no column {missing[0]!r}; its columns: {', '.join(names)}")
    return names
