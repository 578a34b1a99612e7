"""Markdown tables of the results of a suite."""

from dataclasses import replace

import pandas as pd

from benchmarks.pages import markdown_table
from wsseg.report import comparison_tables, result_tables
from wsseg.report.columns import METHOD, SHARED_SEEDS, Table, decimal_interval, make_table, no_text

MEAN_DICE, POOLED_DICE = (
    replace(column, note=decimal_interval(2))
    for column in (result_tables.MEAN_DICE, result_tables.POOLED_DICE)
)
TPR, FPR, HD95 = (
    replace(column, note=no_text)
    for column in (result_tables.TPR, result_tables.FPR, result_tables.HD95)
)
RESULTS = (
    *(METHOD, MEAN_DICE, result_tables.CORRECTLY_EMPTY),
    *(result_tables.SD_CASES, result_tables.SD_SEEDS),
    *(POOLED_DICE, TPR, FPR, HD95, result_tables.SHARED_DICE, result_tables.HEALTH),
)


def results_table(summary: pd.DataFrame, class_name: str = "") -> str:
    """Return the results of each method for a class, "" for the target.

    n is the number of cases that a mean or median is over; 95 % intervals are in brackets.
    """
    return _to_markdown(result_tables.results_table(summary, RESULTS, class_name))


def gap_table(gap: pd.DataFrame) -> str:
    """Return the share of the gap between baseline and ceiling that each method closes.

    The seeds that all three methods have are shown if rows are left out.
    """
    baseline, ceiling = gap["baseline"].iloc[0], gap["ceiling"].iloc[0]
    method, *columns = comparison_tables.GAP
    if not gap["unpaired_rows"].any():
        columns.remove(SHARED_SEEDS)
    heading = f"Share of the gap between {baseline} and {ceiling}"
    return _to_markdown(make_table(gap, [replace(method, heading=heading), *columns]))


def _to_markdown(table: Table) -> str:
    alignment = "".join("l" if column.is_text else "r" for column in table.columns)
    headings = [column.heading for column in table.columns]
    rows = (
        [f"{cell.text} [{cell.note}]" if cell.note else cell.text for cell in row]
        for row in table.rows
    )
    return markdown_table(alignment, headings, *rows)
