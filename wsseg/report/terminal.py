"""Tables of results for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import fill

import pandas as pd
import rich.table
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from wsseg.errors import escape_unprintable
from wsseg.evaluation.comparison import Compare, gap_closed, gap_problem, paired_differences
from wsseg.evaluation.health import health_notes
from wsseg.evaluation.method_labels import MARK, MARK_NOTE, ChosenFrom, method_label
from wsseg.evaluation.rows import warnings_by_case
from wsseg.evaluation.statistics import smallest_mann_whitney_p
from wsseg.evaluation.summary import ranked, summarise
from wsseg.report.columns import (
    METHOD,
    Cell,
    Column,
    Format,
    Row,
    Table,
    decimal_interval,
    decimals,
    no_text,
)
from wsseg.report.comparison_tables import gap_table, left_out_notes, unequal_rows_note
from wsseg.report.formatting import SIGNIFICANCE, UNDEFINED, p_value
from wsseg.report.result_tables import (
    CORRECTLY_EMPTY,
    FPR,
    HD95,
    HD95_PX,
    MEAN_DICE,
    POOLED_DICE,
    SHARED_DICE,
    TPR,
    results_table,
)
from wsseg.runtime.console import UNLIMITED_WIDTH
from wsseg.training.log import Records, warnings

MAX_WARNINGS = 10  # repeated below the tables of a suite
MIN_HEADING_LETTERS = 8  # in a line of a heading; more if a word or the column is wider

BRIEF_RESULTS = (
    METHOD,
    replace(MEAN_DICE, note=decimal_interval(2)),
    CORRECTLY_EMPTY,
    *(
        replace(column, note=no_text)
        for column in (POOLED_DICE, TPR, FPR, HD95, HD95_PX, SHARED_DICE)
    ),
)


def terminal_results(summary: pd.DataFrame) -> Group:
    """Return each method's results for the target class, and the statistics of the first scores.

    Columns that do not fit in the terminal follow in a second table. Below is a line for each
    method that is not a result.
    """
    names = [str(name) for name in summary]
    correlations = [name for name in names if name.endswith("_r")]
    tests = [name for name in names if name.endswith("_u_p")]
    scores = [
        Column(name, f"{name.removesuffix('_r').replace('_', ' ')} r", text=decimals(2))
        for name in correlations[:1]
    ]
    scores += [
        Column(name, "U test p", text=_u_test_p(name.removesuffix("u_p"))) for name in tests[:1]
    ]
    table = _TerminalTable(results_table(summary, [*BRIEF_RESULTS, *scores]), spaces=1)
    notes = [Text(f"{escape_unprintable(note)}\n") for note in health_notes(summary)]
    return Group(table, *notes)


def _u_test_p(score: str) -> Format:
    """Return a format of the p-value of a U test; a dash if it cannot be significant."""

    def text(row: Row, key: str) -> str:
        sizes = [int(row[f"{score}{group}_n"]) for group in ("present", "absent")]
        return p_value(row[key]) if smallest_mann_whitney_p(*sizes) < SIGNIFICANCE else UNDEFINED

    return text


def terminal_comparison(
    rows: pd.DataFrame, compare: Compare | None, settings_from: Mapping[str, ChosenFrom]
) -> Group:
    """Return the results of a suite, the share of the gap that each method closes, and notes.

    Args:
        rows: Rows whose methods have their labels (`label_methods`).
        compare: The methods and the metric to compare; None: no comparison.
        settings_from: How the settings of each recipe were chosen, by the recipe's name.
    """
    summary = ranked(summarise(rows))
    shown: list[RenderableType] = [terminal_results(summary)]
    notes = [unequal_rows_note(summary)]
    if compare is not None:
        baseline = method_label(compare.baseline, settings_from)
        notes += left_out_notes(paired_differences(rows, compare.metric, baseline))
        if compare.ceiling is not None:
            ceiling = method_label(compare.ceiling, settings_from)
            closed = gap_closed(rows, baseline, ceiling)
            if problem := gap_problem(summary, baseline, ceiling):
                notes.append(problem)
            elif len(closed):
                shown.append(terminal_gap(closed))
                notes += left_out_notes(closed)
    if rows["method"].str.endswith(MARK).any():
        notes.append(MARK_NOTE)
    return Group(*shown, *(Text(escape_unprintable(note)) for note in notes if note))


def terminal_gap(gap: pd.DataFrame) -> Group:
    """Return the share of the gap between baseline and ceiling that each method closes."""
    baseline, ceiling = gap["baseline"].iloc[0], gap["ceiling"].iloc[0]
    title = f"Share of the gap between {baseline} and {ceiling} closed"
    return Group(Text(escape_unprintable(title)), _TerminalTable(gap_table(gap), spaces=2))


def repeated_warnings(runs: Mapping[str, Records], rows: pd.DataFrame) -> list[str]:
    """Return the warnings about training and scans, one per line and at most ten.

    Args:
        runs: The log of each run, by its name.
        rows: The rows of all runs, which have the warnings about scans.
    """
    found = [*warnings(runs)]
    found += [f"case {case}: {text}" for case, text in warnings_by_case(rows).items()]
    found = list(dict.fromkeys(found))  # a resumed run can have logged a warning again
    if len(found) <= MAX_WARNINGS:
        return found
    more = len(found) - MAX_WARNINGS
    return [*found[:MAX_WARNINGS], f"{more} more, in the log.jsonl of the runs and in the rows"]


@dataclass(frozen=True)
class _TerminalTable:
    """A table whose columns that do not fit in a terminal follow below, after the first column."""

    table: Table
    spaces: int  # between columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        first, *others = range(len(self.table.columns))
        shown = [first]
        for number in others:
            wider = self._part([*shown, number])
            needed = console.measure(wider, options=options.update_width(UNLIMITED_WIDTH)).maximum
            if needed > options.max_width and shown != [first]:
                yield self._part(shown)
                shown = [first]
            shown.append(number)
        yield self._part(shown)

    def _part(self, numbers: Sequence[int]) -> rich.table.Table:
        """Return some columns as a table of rich."""
        padding = (0, self.spaces - 1, 0, 0)  # the box adds one
        written = rich.table.Table(box=box.SIMPLE_HEAD, padding=padding, pad_edge=False)
        texts = [[_with_note(row[number]) for number in numbers] for row in self.table.rows]
        for place, number in enumerate(numbers):
            column = self.table.columns[number]
            has_interval = any(row[number].note for row in self.table.rows)
            heading = f"{column.heading} [95 %]" if has_interval else column.heading
            widest = max(len(row[place]) for row in texts)
            written.add_column(
                Text(fill(heading, max(widest, MIN_HEADING_LETTERS), break_long_words=False)),
                justify="left" if column.is_text else "right",
                vertical="bottom",
                overflow="fold",
                no_wrap=not column.is_text,
            )
        for row in texts:
            written.add_row(*(Text(escape_unprintable(text)) for text in row))
        return written


def _with_note(cell: Cell) -> str:
    return f"{cell.text} [{cell.note}]" if cell.note else cell.text
