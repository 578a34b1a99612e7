"""The result as a table for the terminal."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from wsseg.errors import escape_unprintable
from wsseg.evaluation.summary import rows_differ
from wsseg.report.formatting import interval, number, p_value, percent, percent_interval, seeds


def terminal_table(summary: pd.DataFrame) -> Table:
    """Return each method's results for the target class, and of the first score of each kind.

    With names of up to 16 letters it is readable in 100 columns. `shared` is the mean Dice over the
    rows that every method has, shown where the methods' rows differ.
    """
    names = [str(name) for name in summary]
    r = next((name for name in names if name.endswith("_r")), None)
    p = next((name for name in names if name.endswith("_u_p")), None)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("method", overflow="fold")
    for head in ("n", "Dice, mean [95 %]", "pooled", "TPR", "FPR", "HD95 mm"):
        table.add_column(Text(head), justify="right")
    if r is not None:
        table.add_column(Text(f"{r.removesuffix('_r').replace('_', ' ')} r"), justify="right")
    if p is not None:
        table.add_column("U test p", justify="right")
    differ = rows_differ(summary)
    if differ:
        table.add_column("shared", justify="right")
    for row in summary.to_dict("records"):
        score = [number(row[r], 2)] if r is not None else []
        test = [p_value(row[p])] if p is not None else []
        shared = [number(row["dice_shared"])] if differ else []
        cells = [*_measured(row), *score, *test, *shared]
        table.add_row(*(Text(escape_unprintable(cell)) for cell in cells))
    return table


def covered_table(covered: pd.DataFrame) -> Table:
    """Return the share of the way from baseline to ceiling that each method covers."""
    baseline, ceiling = covered["baseline"].iloc[0], covered["ceiling"].iloc[0]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column(Text(f"of the way from {baseline} to {ceiling}"), overflow="fold")
    for head in ("mean Dice [95 %]", "pooled Dice [95 %]", "n", "seeds"):
        table.add_column(Text(head), justify="right")
    for row in covered.to_dict("records"):
        shares = [_share(row, name) for name in ("mean", "pooled")]
        counts = [str(row["n"]), seeds(row["shared_seeds"], row["all_seeds"])]
        table.add_row(
            *(Text(escape_unprintable(cell)) for cell in (str(row["method"]), *shares, *counts))
        )
    return table


def _share(row: Mapping[Hashable, Any], name: str) -> str:
    within = percent_interval(row[f"{name}_low"], row[f"{name}_high"])
    return percent(row[name]) + (f" [{within}]" if within else "")


def _measured(row: Mapping[Hashable, Any]) -> list[str]:
    within = interval(row["dice_low"], row["dice_high"], 2)
    return [
        str(row["method"]),
        str(row["cases"]),
        f"{number(row['dice'])} [{within}]" if within else number(row["dice"]),
        *(number(row[name]) for name in ("dice_pooled", "tpr", "fpr")),
        number(row["hd95_mm"], 1),
    ]
