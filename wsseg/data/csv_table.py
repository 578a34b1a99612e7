"""CSV files that people made, read with every cell accounted for."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsseg.errors import InputError, known_words


@dataclass(frozen=True)
class Row:
    """The cells of a line by their column, without spaces around them; "" where there are none."""

    path: Path
    line: int  # in the file, from 1
    cells: Mapping[str, str]

    @property
    def place(self) -> str:
        """Where this row stands, for messages."""
        return f"{self.path}, line {self.line}"

    def get(self, column: str) -> str:
        """Return a cell, or "" where there is no such column."""
        return self.cells.get(column, "")

    def family(self, prefix: str) -> dict[str, str]:
        """Return the cells of the columns `prefix`.<name>, by name."""
        start = f"{prefix}."
        return {
            c.removeprefix(start): cell for c, cell in self.cells.items() if c.startswith(start)
        }


def read_sheet(path: Path, columns: Collection[str], needed: Collection[str]) -> list[Row]:
    """Read the rows below the header.

    "tag.*" among `columns` allows every tag.<name>, "*" any column.
    """
    header, *lines = _lines(path) or [(1, [])]
    names = _header(path, header[1], columns, needed)
    lines = [(line, _without_margin(cells, len(names))) for line, cells in lines]
    for line, cells in lines:
        if len(cells) != len(names):
            raise InputError(
                f"{path}, line {line}: has {len(cells)} cells, its header {len(names)}. "
                "Put a cell that has a comma in it in double quotes."
            )
    return [Row(path, line, dict(zip(names, cells, strict=True))) for line, cells in lines]


def _without_margin(cells: list[str], columns: int) -> list[str]:
    """Drop empty cells beyond the last column, as spreadsheets write where one was erased."""
    return cells if any(cells[columns:]) else cells[:columns]


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            stripped = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{path}: is not CSV in UTF-8 ({error})") from error
    return [(line, cells) for line, cells in stripped if any(cells)]


def _header(
    path: Path, names: list[str], columns: Collection[str], needed: Collection[str]
) -> list[str]:
    while names and not names[-1]:
        names = names[:-1]
    if not names:
        raise InputError(
            f"{path}: is empty. Its first line names its columns: {', '.join(columns)}"
        )
    if len(names) == 1 and (other := {";", "\t", "|"} & set(names[0])):
        raise InputError(
            f"{path}: its columns are separated by {other.pop()!r}. Put commas between them."
        )
    for name in () if "*" in columns else names:
        prefix, dot, rest = name.partition(".")
        if name not in columns and not (f"{prefix}.*" in columns and dot and rest):
            raise InputError(f"{path}: unknown column {name!r}; {known_words(name, columns)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: has the column {twice[0]!r} twice")
    if missing := [name for name in needed if name not in names]:
        raise InputError(f"{path}: has no column {missing[0]!r}; its columns: {', '.join(names)}")
    return names
