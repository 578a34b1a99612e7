"""Reading of CSV files that are written by hand or by spreadsheets.

Columns are separated by commas, semicolons or tabs, as in the first line, or by the character that
a line `sep=;` states before it, as for Excel. The encoding is UTF-8, UTF-16 with a byte order mark,
or Windows-1252.
"""

import csv
import io
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from unicodedata import normalize

from wsseg.errors import InputError, known_words

SEPARATORS = (",", ";", "\t")
WORKBOOK = b"PK\x03\x04"  # the first bytes of a workbook, a zip file
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
SEPARATOR_LINE = re.compile(r'\A"?sep=([^"\r\n])"?(?=[\r\n]|\Z)')
QUOTED = re.compile(r'"[^"]*"')
UNCHANGED: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Row:
    """One row of a table. Its cells have no surrounding spaces; an empty cell is ""."""

    path: Path
    line: int  # in the file, from 1
    cells: Mapping[str, str]  # by column
    separator: str = ","

    @property
    def place(self) -> str:
        """Where this row is, for messages."""
        return f"{self.path}, line {self.line}"

    def get(self, column: str) -> str:
        """Return a cell, or "" if the table has no such column."""
        return self.cells.get(column, "")

    def name(self, column: str) -> str:
        """Return a cell as a name in Unicode NFC, so that accented letters compare equal."""
        return normalize("NFC", self.get(column))

    def number(self, column: str) -> str:
        """Return a cell, with a decimal comma replaced unless commas separate the columns."""
        cell = self.get(column)
        is_decimal = self.separator != "," and DECIMAL_COMMA.fullmatch(cell)
        return cell.replace(",", ".") if is_decimal else cell

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
    """The columns and rows of a CSV file.

    Example:
        >>> from pathlib import Path
        >>> from wsseg.tools import CsvTable, read_csv_table
        >>> table: CsvTable = read_csv_table(Path("cohort.csv"), ("*",), ("case",))
        >>> table.columns
        ('case', 'split', 'image', 'mask.tumour')
        >>> table.rows[0].get("image")
        '0.nii.gz'
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_csv_table(
    path: Path,
    columns: Collection[str],
    required: Collection[str],
    renamed: Mapping[str, str] = UNCHANGED,
) -> CsvTable:
    """Read a CSV file whose first line names its columns.

    Blank lines are skipped.

    Args:
        path: The file.
        columns: The columns that it may have; "tag.*" allows every column tag.<name> and "*" any.
        required: The columns that it must have.
        renamed: New names of columns, by their names in the file; "" drops a column.

    Raises:
        InputError: The file cannot be read, a column is unknown, repeated or missing, or a row has
            more or fewer cells than the header.

    Example:
        >>> from pathlib import Path
        >>> from wsseg.tools import read_csv_table
        >>> columns = ("case", "split", "image", "mask.*")
        >>> table = read_csv_table(Path("cohort.csv"), columns, required=("case",))
        >>> [row.get("case") for row in table.rows]
        ['case-0', 'case-1', 'case-2']
    """
    text = _read_text(path)
    separator = _separator(text)
    header, *lines = _split_lines(path, text, separator) or [(1, [])]
    in_file = _without_empty_end(header[1])
    names = _rename(path, in_file, renamed)
    _check_columns(path, [name for name in names if name is not None], columns, required)
    lines = [(line, _without_margin(cells, len(names))) for line, cells in lines]
    for line, cells in lines:
        if len(cells) != len(names):
            raise InputError(
                f"{path}, line {line}: there are {len(cells)} cells, but the header has "
                f"{len(names)}. Put cells that contain {separator!r} in double quotes."
            )
    rows = (Row(path, line, _cells(names, cells), separator) for line, cells in lines)
    return CsvTable(tuple(name for name in names if name is not None), tuple(rows))


def column_names(path: Path) -> list[str]:
    """Return the names of the columns of a CSV file."""
    text = _read_text(path)
    lines = _split_lines(path, text, _separator(text))
    return _without_empty_end(lines[0][1]) if lines else []


def parse_columns(words: Collection[str]) -> dict[str, str]:
    """Parse NAME=COLUMN,NAME=COLUMN: the new name of each renamed column of a file.

    Raises:
        InputError: A word has another form, or a name occurs twice.

    Example:
        >>> from wsseg.tools import parse_columns
        >>> parse_columns(["Pat-ID=patient,Befund=report"])
        {'Pat-ID': 'patient', 'Befund': 'report'}
    """
    renamed: dict[str, str] = {}
    for pair in (each for word in words for each in word.split(",")):
        name, equals, column = (part.strip() for part in pair.rpartition("="))
        if not equals or not name or name in renamed:
            problem = f"{name} occurs twice" if name in renamed else f"{pair!r} has another form"
            raise InputError(
                f"--columns: {problem}; write --columns NAME=COLUMN,NAME=COLUMN, such as "
                "--columns Pat-ID=patient,Befund=report"
            )
        renamed[name] = column
    return renamed


def _cells(names: Collection[str | None], cells: Collection[str]) -> dict[str, str]:
    pairs = zip(names, cells, strict=True)
    return {name: cell for name, cell in pairs if name is not None}


def _without_margin(cells: list[str], columns: int) -> list[str]:
    """Drop empty cells after the last column, which spreadsheets write for erased ones."""
    return cells if any(cells[columns:]) else cells[:columns]


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path}: file not found")
    try:
        data = path.read_bytes()
        if data.startswith(WORKBOOK):
            raise InputError(f"{path}: this is a workbook, not a CSV file. Save it as CSV (UTF-8).")
        if data.startswith(UTF_16):
            return data.decode("utf-16")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("cp1252")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read as text ({error}). Save it as CSV (UTF-8)."
        ) from error


def _separator(text: str) -> str:
    """Return the stated separator, or the most frequent one in the first line that is not blank."""
    if stated := SEPARATOR_LINE.match(text):
        return stated[1]
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(SEPARATORS, key=QUOTED.sub("", first).count)


def _split_lines(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return the number and the cells of every line that is not blank."""
    table = SEPARATOR_LINE.sub("", text)
    reader = csv.reader(io.StringIO(table, newline=""), delimiter=separator, strict=True)
    try:
        stripped = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise InputError(
            f"{path}: cannot be read as CSV ({error}). Save it as CSV (UTF-8)."
        ) from error
    return [(line, cells) for line, cells in stripped if any(cells)]


def _without_empty_end(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names = names[:-1]
    return names


def _rename(path: Path, names: list[str], renamed: Mapping[str, str]) -> list[str | None]:
    """Return the new name of each column; None if it is left out."""
    known = {normalize("NFC", name) for name in names}
    new = {normalize("NFC", name): column for name, column in renamed.items()}
    if missing := [name for name in new if name not in known]:
        raise InputError(
            f"{path}: no column is called {missing[0]!r}, so it cannot be renamed; "
            f"{known_words(missing[0], known)}"
        )
    return [new.get(normalize("NFC", name), name) or (None if name else "") for name in names]


def _check_columns(
    path: Path, names: list[str], columns: Collection[str], required: Collection[str]
) -> None:
    if not names:
        expected = ", ".join(columns if "*" not in columns else required)
        raise InputError(
            f"{path}: the file is empty. Its first line must contain the names of the columns: "
            f"{expected}"
        )
    for name in () if "*" in columns else names:
        prefix, dot, rest = name.partition(".")
        if name not in columns and not (f"{prefix}.*" in columns and dot and rest):
            raise InputError(f"{path}: unknown column {name!r}; {known_words(name, columns)}")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"{path}: the column {repeated[0]!r} appears twice. Remove or rename one of them."
        )
    if missing := [name for name in required if name not in names]:
        raise InputError(
            f"{path}: no column is called {missing[0]!r}; the columns are: {', '.join(names)}"
        )
