"""Columns of tables: heading, explanation, value, interval and format.

A table is built once from its columns; the report, the terminal and the READMEs only write it.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pandas as pd

from wsseg.evaluation.health import is_result
from wsseg.evaluation.statistics import smallest_mann_whitney_p, smallest_signed_rank_p
from wsseg.report.formatting import (
    SIGNIFICANCE,
    UNDEFINED,
    interval,
    number,
    p_if_possible,
    p_value,
    percent,
    percent_interval,
    shared_of_all,
)

Row: TypeAlias = Mapping[Hashable, Any]
RowKey: TypeAlias = tuple[str, int, str, str]  # method, seed, fold and case
Format: TypeAlias = Callable[[Row, str], str]  # a row, and the key of the column → text


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    note: str = ""  # in small print: an interval or a count
    value: float | str = ""  # for sorting; "" is sorted last
    is_best: bool = False
    link: str = ""  # a relative address


def decimals(digits: int) -> Format:
    """Return a format of numbers with a fixed number of decimals."""
    return lambda row, key: number(row[key], digits)


def decimal_interval(digits: int) -> Format:
    """Return a format of the interval in the columns `<key>_low` and `<key>_high`."""
    return lambda row, key: interval(row[f"{key}_low"], row[f"{key}_high"], digits)


def over_count(digits: int, count_key: str) -> Format:
    """Return a format of a mean or median with its number of cases: "0.812 (8)"."""

    def text(row: Row, key: str) -> str:
        value = number(row[key], digits)
        return value if value == UNDEFINED else f"{value} ({number(row[count_key], 0)})"

    return text


def percent_over_count(count_key: str) -> Format:
    """Return a format of a share as a percentage with its number of cases: "86 % (8)"."""

    def text(row: Row, key: str) -> str:
        value = percent(row[key])
        return value if value == UNDEFINED else f"{value} ({number(row[count_key], 0)})"

    return text


def count_in(count_key: str) -> Format:
    """Return a format of the number of cases in another column: "n = 8"."""
    return lambda row, _: f"n = {number(row[count_key], 0)}"


def as_text(row: Row, key: str) -> str:
    """Format a value as text."""
    return str(row[key])


def as_signed_rank_p(row: Row, key: str) -> str:
    """Format the p-value of a signed-rank test over patients, if it can be significant."""
    pairs = int(row["patients"] - row["equal_patients"])
    counted = f"{pairs} pair{'s' * (pairs != 1)}"
    return p_if_possible(row[key], smallest_signed_rank_p(pairs), counted)


def as_holm_p(row: Row, key: str) -> str:
    """Format a corrected p-value; a dash where the test cannot be significant."""
    pairs = int(row["patients"] - row["equal_patients"])
    return p_value(row[key]) if smallest_signed_rank_p(pairs) < SIGNIFICANCE else UNDEFINED


def u_test_p(score: str) -> Format:
    """Return a format of the p-value of a U test, if it can be significant.

    The sizes of its groups are in the columns `<score>present_n` and `<score>absent_n`.
    """

    def text(row: Row, key: str) -> str:
        sizes = [int(row[f"{score}{group}_n"]) for group in ("present", "absent")]
        counted = f"{sizes[0]} and {sizes[1]} cases"
        return p_if_possible(row[key], smallest_mann_whitney_p(*sizes), counted)

    return text


def as_percent(row: Row, key: str) -> str:
    """Format a share as a percentage."""
    return percent(row[key])


def as_percent_interval(row: Row, key: str) -> str:
    """Format the interval in the columns `<key>_low` and `<key>_high` as percentages."""
    return percent_interval(row[f"{key}_low"], row[f"{key}_high"])


def as_shared_seeds(row: Row, _: str) -> str:
    """Format the seeds that the compared methods share."""
    return shared_of_all(row["shared_seeds"], row["all_seeds"])


def no_text(_row: Row, _key: str) -> str:
    """Return no text."""
    return ""


THREE_DECIMALS = decimals(3)


@dataclass(frozen=True)
class Column:
    """A column of a table; `key` is the column of the data frame with its values."""

    key: str
    heading: str
    explanation: str = ""
    text: Format = THREE_DECIMALS
    note: Format = no_text
    link: Format = no_text
    better: Literal["higher", "lower"] | None = None  # the best value is emphasised
    count_key: str | None = None  # column with the number of cases of each value
    is_text: bool = False  # left-aligned

    def cells(self, rows: pd.DataFrame, records: Sequence[Row]) -> list[Cell]:
        """Return the cells of this column; they are dashes if `rows` has no such column.

        `records` has the values of each row by column.
        """
        if self.key not in rows:
            return [Cell(UNDEFINED)] * len(rows)
        can_be_best = is_result(rows)
        best = self._best(rows[can_be_best])
        return [
            Cell(
                self.text(row, self.key),
                self.note(row, self.key),
                "" if pd.isna(row[self.key]) else row[self.key],
                is_best=candidate and row[self.key] == best,
                link=self.link(row, self.key),
            )
            for row, candidate in zip(records, can_be_best, strict=True)
        ]

    def _best(self, rows: pd.DataFrame) -> float:
        """Return the best value, or NaN if none is better, or they are over different cases."""
        values = rows[self.key]
        if self.better is None or values.nunique() < 2:  # noqa: PLR2004 - two can differ
            return math.nan
        if self.count_key is not None and rows[self.count_key].nunique() > 1:
            return math.nan
        return float(values.max() if self.better == "higher" else values.min())


METHOD = Column("method", "Method", text=as_text, is_text=True)
SHARED_SEEDS = Column(
    "shared_seeds",
    "Seeds",
    "that the methods share; rows are paired by case, seed and fold",
    as_shared_seeds,
)


@dataclass(frozen=True)
class Table:
    """Columns, and the cells of each row."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def make_table(rows: pd.DataFrame, columns: Sequence[Column]) -> Table:
    """Return a table of these columns of a data frame."""
    records = rows.to_dict("records")
    cells = (column.cells(rows, records) for column in columns)
    return Table(columns, list(zip(*cells, strict=True)))


def merge_equal_rows_by(table: Table, number: int) -> Table:
    """Return a table whose rows with the same text in a column are merged if they are equal.

    Only rows of all methods are merged. The first column is the method's name. The groups of rows
    are in the order of their first rows.
    """
    groups: dict[str, list[Sequence[Cell]]] = {}
    for row in table.rows:
        groups.setdefault(row[number].text, []).append(row)
    methods = {row[0].text for row in table.rows}
    merged: list[Sequence[Cell]] = []
    for rows in groups.values():
        group = Table(table.columns, rows)
        merged += (merge_equal_rows(group) if len(rows) == len(methods) else group).rows
    return Table(table.columns, merged)


def merge_equal_rows(table: Table) -> Table:
    """Return one row "all methods, the same" if the rows of all methods are equal.

    The first column is the method's name.
    """
    first, *others = (row[1:] for row in table.rows)
    if not others or any(row != first for row in others):
        return table
    return Table(table.columns, [[Cell("all methods, the same"), *first]])
