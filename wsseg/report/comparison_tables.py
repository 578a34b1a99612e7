"""Tables that hold methods against each other, what was published, and their labels."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from wsseg.evaluation.summary import rows_differ
from wsseg.report.formatting import UNDEFINED, interval, p_value, percent, percent_interval, seeds
from wsseg.report.tables import Cell, Row, TableData, number_cell, text_cell

SEEDS = ("Seeds", "which the methods share; rows are paired by case, seed and fold")


def comparisons(compared: pd.DataFrame) -> TableData:
    """Return the paired tests against the baseline."""
    heads = [
        ("Method", ""),
        ("Difference", "mean over cases of method − baseline, 95 % interval over patients"),
        ("Effect", "matched-pairs rank-biserial correlation, from −1 to 1"),
        ("p", "Wilcoxon signed-rank, two-sided"),
        ("p, Holm", "corrected for all tests of this table"),
        ("Patients", "of the cases of both methods; equal ones count in neither test nor effect"),
        SEEDS,
    ]
    rows: list[Row] = compared.to_dict("records")
    return TableData(
        heads,
        [
            [
                text_cell(row["method"]),
                number_cell(
                    row["difference"], below=interval(row["difference_low"], row["difference_high"])
                ),
                number_cell(row["effect"], 2),
                Cell(p_value(row["p"]), value=row["p"]),
                Cell(p_value(row["p_holm"]), value=row["p_holm"]),
                number_cell(row["patients"], 0, below=_equal(row["equal_patients"])),
                text_cell(seeds(row["shared_seeds"], row["all_seeds"])),
            ]
            for row in rows
        ],
    )


def covered(found: pd.DataFrame) -> TableData:
    """Return the share of the way from baseline to ceiling that each method covers."""
    heads = [
        ("Method", ""),
        (
            "Mean Dice",
            "share of the way, 95 % interval over patients; a dash: the way has no length",
        ),
        ("Pooled Dice", "share of the way, 95 % interval over patients"),
        ("Cases", "where all three have a Dice"),
        SEEDS,
    ]
    rows: list[Row] = found.to_dict("records")
    lines = [
        [
            text_cell(row["method"]),
            *(
                Cell(
                    percent(row[name]),
                    percent_interval(row[f"{name}_low"], row[f"{name}_high"]),
                    row[name],
                )
                for name in ("mean", "pooled")
            ),
            number_cell(row["n"], 0),
            text_cell(seeds(row["shared_seeds"], row["all_seeds"])),
        ]
        for row in rows
    ]
    return TableData(heads, lines)


def left_out(found: pd.DataFrame) -> list[str]:
    """Return a sentence for each comparison, or share of the way, that leaves rows out."""
    return [_left_out(row) for row in found.to_dict("records") if row["unpaired_rows"]]


def unequal_rows(summary: pd.DataFrame) -> str:
    """Say that the methods' means are not over the same rows, or nothing where they are."""
    if not rows_differ(summary):
        return ""
    shared = int(summary["rows_shared"].iloc[0])
    counts = zip(summary["method"], summary["rows"], strict=True)
    have = ", ".join(f"{method} {rows}" for method, rows in counts)
    if not shared:
        return f"No case, seed and fold has a row of every method ({have} rows): do not rank them."
    return (
        f"The methods do not have the same cases, seeds and folds ({have} rows): rank them only by "
        f"the mean Dice over the {shared} rows that each of them has."
    )


def published(summary: pd.DataFrame, methods: Mapping[str, Mapping[str, float]]) -> TableData:
    """Return columns of this summary with what was published of them, small, below."""
    columns = list(dict.fromkeys(column for values in methods.values() for column in values))
    ours = summary.set_index("method").reindex(columns=columns)
    rows = []
    for method, values in methods.items():
        cells = [text_cell(method)]
        for column in columns:
            here = float(ours[column].get(method, math.nan))
            told = f"published {_significant(values[column])}" if column in values else ""
            cells.append(Cell(_significant(here) if told else "", told, here))
        rows.append(cells)
    return TableData([("Method", ""), *((name.replace("_", " "), "") for name in columns)], rows)


def labels_seen(stages: Sequence[Mapping[str, str]]) -> TableData:
    """Return which labels each method saw, and what chose its settings: texts by head."""
    heads = [(head, "") for head in (stages[0] if stages else ())]
    return TableData(
        heads, [[text_cell(text) for text in row.values()] for row in stages], len(heads)
    )


def _left_out(row: Row) -> str:
    methods = [str(row[name]) for name in ("method", "baseline", "ceiling") if name in row]
    names = f"{', '.join(methods[:-1])} and {methods[-1]}"
    if not row["shared_seeds"]:
        return f"{names} have no case, seed and fold in common, so they are not compared."
    return (
        f"{names} are compared over seeds {seeds(row['seeds'], row['seeds_of'])}; left out "
        f"are {row['unpaired']} rows whose case, seed and fold one of them lacks."
    )


def _equal(patients: int) -> str:
    return f"{patients} equal" if patients else ""


def _significant(value: float) -> str:
    """Write a number of unknown size with three significant digits."""
    return UNDEFINED if math.isnan(value) else f"{value:.3g}".replace("-", "−")
