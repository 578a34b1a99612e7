"""Joining of a table of tags to the table of a cohort."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsseg.core.weak_labels import Tag
from wsseg.data.csv_table import CsvTable, Row, column_names, read_csv_table
from wsseg.data.tag_cells import parse_tag, tag_cell
from wsseg.errors import InputError, known_words
from wsseg.runtime.files import write_text

KEYS = ("case", "patient")  # columns that identify a row, the more exact one first
ANY = ("*",)


@dataclass(frozen=True)
class JoinedTable:
    """The columns and rows of a cohort with its tags, and the number of matches."""

    columns: list[str]
    rows: Sequence[Mapping[str, str]]
    key: str
    """The column by which rows were matched: case or patient."""
    tagged_cases: int
    """The number of cases that have a row of tags."""
    unused_rows: int
    """The number of rows of tags without a case."""

    def write(self, path: Path) -> None:
        """Write the table as CSV, atomically."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(path, text.getvalue())


def join_tags(cohort_path: Path, tags_path: Path, renamed: Mapping[str, str]) -> JoinedTable:
    """Add the columns tag.<class> of a table of tags to a cohort's table.

    Rows are matched by `case` if the tags have this column, otherwise by `patient`, which is the
    case's name if empty. A tag in the cohort is kept if the table of tags has none.

    Args:
        cohort_path: The cohort's table.
        tags_path: The table of tags.
        renamed: New names of columns of either table, by their names in the file.

    Raises:
        InputError: A table cannot be read, a row of tags has no name or a repeated one,
            or the two tables contradict each other.
    """
    present = {path: set(column_names(path)) for path in (cohort_path, tags_path)}
    if missing := [name for name in renamed if not any(name in each for each in present.values())]:
        known = set().union(*present.values())
        raise InputError(
            f"--columns: neither table has a column called {missing[0]!r}; "
            + known_words(missing[0], known)
        )
    cohort, tags = (
        read_csv_table(path, ANY, (), {k: v for k, v in renamed.items() if k in names})
        for path, names in present.items()
    )
    if "case" not in cohort.columns:
        raise InputError(
            f"{cohort_path}: no column is called 'case'; the columns are: "
            f"{', '.join(cohort.columns)}"
        )
    key, classes = _key(tags_path, tags), [c for c in tags.columns if c.startswith("tag.")]
    if not classes:
        raise InputError(
            f"{tags_path}: no column is called tag.CLASS; the columns are: "
            f"{', '.join(tags.columns)}"
        )
    by_name = _rows_by_name(tags, key)
    names = [row.name(key) or row.name("case") for row in cohort.rows]
    rows = [
        _joined(row, by_name.get(name), classes)
        for row, name in zip(cohort.rows, names, strict=True)
    ]
    return JoinedTable(
        columns=list(dict.fromkeys([*cohort.columns, *classes])),
        rows=rows,
        key=key,
        tagged_cases=sum(name in by_name for name in names),
        unused_rows=len(by_name.keys() - set(names)),
    )


def _key(path: Path, tags: CsvTable) -> str:
    for key in KEYS:
        if key in tags.columns:
            return key
    raise InputError(
        f"{path}: no column is called patient or case; the columns are: {', '.join(tags.columns)}. "
        "To use a column with another name, add --columns NAME=patient"
    )


def _rows_by_name(tags: CsvTable, key: str) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in tags.rows:
        name = row.name(key)
        if not name or name in rows:
            # The message omits the name, which may be a person's.
            problem = f"is already in line {rows[name].line}" if name else "is empty"
            raise InputError(f"{row.place}: its {key} {problem}. Give each {key} one row.")
        rows[name] = row
    return rows


def _joined(row: Row, tags: Row | None, classes: list[str]) -> dict[str, str]:
    cells = dict(row.cells)
    for column in classes:
        own = _tag(row, column)
        new = None if tags is None else _tag(tags, column)
        if tags is not None and None not in (own, new) and own != new:
            raise InputError(
                f"{row.place}: {column} is {tag_cell(own)}, but {tag_cell(new)} in {tags.place}. "
                "Correct one of them, or empty the cell in the cohort."
            )
        cells[column] = tag_cell(own if new is None else new)
    return cells


def _tag(row: Row, column: str) -> Tag:
    try:
        return parse_tag(row.get(column))
    except ValueError as error:
        raise InputError(f"{row.place}: {column} {error}") from None
