"""The result as a Markdown table, for the README of a suite."""

from collections.abc import Iterable, Iterator

import pandas as pd

from wsseg.evaluation.summary import rows_differ
from wsseg.report.formatting import interval, number, percent, percent_interval
from wsseg.report.formatting import seeds as shared_seeds


def markdown_table(summary: pd.DataFrame, prefix: str = "") -> str:
    """Return each method's results with their 95 % intervals.

    `prefix` is a class's name and a dot, or nothing for the target; n counts the cases whose Dice
    is defined. The spread of the mean Dice over cases is of the seeds' average, that over seeds of
    the cases' average; it is shown where a method has several seeds. The last column, the mean Dice
    over the rows that every method has, is shown where the methods' rows differ.
    """
    seeds = bool((summary["seeds"] > 1).any())
    heads = ["method", "n", "Dice, mean of cases", "SD, cases", *(["SD, seeds"] if seeds else [])]
    heads += ["Dice, pooled", "TPR", "FPR", "HD95, mm"]
    rows = [list(_cells(row, prefix, seeds=seeds)) for _, row in summary.iterrows()]
    if rows_differ(summary):
        heads.append("Dice, shared rows")
        for cells, dice in zip(rows, summary[f"{prefix}dice_shared"], strict=True):
            cells.append(number(dice))
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(_line(cells) for cells in (heads, rule, *rows))


def markdown_covered(covered: pd.DataFrame) -> str:
    """Return the share of the way from baseline to ceiling that each method covers.

    Where rows are left out, a last column says which seeds the three methods share.
    """
    ends = covered.iloc[0]
    unpaired = bool(covered["unpaired_rows"].any())
    heads = [
        f"of the way from {ends['baseline']} to {ends['ceiling']}",
        "n",
        "mean Dice",
        "pooled Dice",
        *(["seeds"] if unpaired else []),
    ]
    rows = [
        [
            str(row["method"]),
            str(int(row["n"])),
            *(_share(row, name) for name in ("mean", "pooled")),
            *([shared_seeds(str(row["shared_seeds"]), str(row["all_seeds"]))] if unpaired else []),
        ]
        for _, row in covered.iterrows()
    ]
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(_line(cells) for cells in (heads, rule, *rows))


def _share(row: "pd.Series[float]", name: str) -> str:
    within = percent_interval(row[f"{name}_low"], row[f"{name}_high"])
    return percent(row[name]) + (f" ({within})" if within else "")


def _cells(row: "pd.Series[float]", prefix: str, *, seeds: bool) -> Iterator[str]:
    yield str(row["method"])
    yield str(int(row[f"{prefix}dice_n"]))
    yield _estimate(row, f"{prefix}dice")
    yield number(row[f"{prefix}dice_sd_cases"])
    if seeds:
        yield number(row[f"{prefix}dice_sd_seeds"])
    yield _estimate(row, f"{prefix}dice_pooled")
    yield from (number(row[f"{prefix}{rate}"]) for rate in ("tpr", "fpr"))
    yield number(row[f"{prefix}hd95_mm"], 1)


def _estimate(row: "pd.Series[float]", name: str) -> str:
    within = interval(row[f"{name}_low"], row[f"{name}_high"], 2)
    return number(row[name]) + (f" ({within})" if within else "")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
