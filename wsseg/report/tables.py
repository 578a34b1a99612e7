"""The tables of a report, ready to be laid out."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from wsseg.evaluation.rows import IDENTITY
from wsseg.evaluation.summary import rows_differ
from wsseg.report.formatting import UNDEFINED, interval, number, p_value

Row: TypeAlias = dict[Hashable, Any]

SHOWN_ROWS = 2000  # of the table of all cases: a page is for reading


@dataclass(frozen=True)
class Cell:
    """What stands in a cell, what stands small below it, and what it is sorted by."""

    text: str
    below: str = ""
    value: float | str = ""
    best: bool = False


@dataclass(frozen=True)
class TableData:
    """Heads (text and explanation) and cells; the first `names` columns are text."""

    heads: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell]]
    names: int = 1


@dataclass(frozen=True)
class Measure:
    """A column of the results: where it is in the summary, and how it is read."""

    key: str
    head: str
    meaning: str
    digits: int = 3
    better: int = 0  # 1: more is better, -1: less is better, 0: neither
    below: str = ""  # the column of a number that is shown small below it
    label: str = ""  # before that number
    write: Callable[[float, int], str] = number


SHARED = "dice_shared"  # of the same rows for all methods, also where their rows differ
MEASURES = (
    Measure("dice", "Dice, mean", "mean over cases", better=1),
    Measure(SHARED, "Dice, shared", "mean over the rows of all methods", better=1),
    Measure("dice_sd_cases", "SD, cases", "of the mean Dice: between cases, seeds averaged"),
    Measure("dice_sd_seeds", "SD, seeds", "of the mean Dice: between seeds, cases averaged"),
    Measure("dice_pooled", "Dice, pooled", "over the voxels of all cases together", better=1),
    Measure("tpr", "TPR", "sensitivity inside the region of the stage, pooled", better=1),
    Measure("fpr", "FPR", "false positive rate inside the region of the stage, pooled", better=-1),
    Measure(
        "hd95_mm",
        "HD95, mm",
        "median over cases",
        digits=1,
        better=-1,
        below="hd95_n",
        label="n = ",
    ),
    Measure("volume_error_ml", "|ΔV|, ml", "mean size of the volume error", digits=1, better=-1),
)
SCORE_MEASURES = (
    Measure("r", "Pearson's r", "of predicted and labelled", better=1, below="r_n", label="n = "),
    Measure("present", "Present", "median of cases whose tag is 1", 4, 0, "present_n", "n = "),
    Measure("absent", "Absent", "median of cases whose tag is 0", 4, 0, "absent_n", "n = "),
    Measure("auc", "AUC", "chance that a present case has the higher score", better=1),
    Measure("u_p", "p", "Mann-Whitney U of present and absent, two-sided", write=p_value),
)


def text_cell(text: str) -> Cell:
    """Return a cell of words."""
    return Cell(text, value=text)


def number_cell(value: float, digits: int = 3, below: str = "") -> Cell:
    """Return a cell of a number, with what stands small below it."""
    return Cell(number(value, digits), below, value)


def results(summary: pd.DataFrame, prefix: str = "") -> TableData:
    """Return how each method compares with the truth; `prefix` is a class's name and a dot."""
    seeds = (summary["seeds"] > 1).any()
    head = "Cases × seeds" if seeds else "Cases"
    heads = [("Method", ""), (head, "of how many patients; seeds are averaged first")]
    lines = [[_cases(row)] for row in summary.to_dict("records")]
    shown = [m for m in MEASURES if summary[f"{prefix}{m.key}"].notna().any()]
    shown = [m for m in shown if m.key != SHARED or rows_differ(summary)]
    for measure in shown:
        for line, cell in zip(lines, _column(summary, measure, prefix), strict=True):
            line.append(cell)
    return TableData([*heads, *((m.head, m.meaning) for m in shown)], _named(summary, lines))


def scores(summary: pd.DataFrame) -> TableData:
    """Return how each score agrees with the labelled one, and how it tells tagged groups apart."""
    keys = [str(name) for name in summary if str(name).endswith(("_r", "_u_p"))]
    names = dict.fromkeys(key.removesuffix("_r").removesuffix("_u_p") for key in keys)
    rows: list[list[Cell]] = []
    for name in names:
        columns = [_column(summary, measure, f"{name}_") for measure in SCORE_MEASURES]
        lines = [
            [text_cell(name.replace("_", " ")), *cells] for cells in zip(*columns, strict=True)
        ]
        rows += _named(summary, lines)
    heads = [("Method", ""), ("Score", ""), *((m.head, m.meaning) for m in SCORE_MEASURES)]
    return TableData(heads, rows, names=2)


def other_classes(summary: pd.DataFrame) -> list[str]:
    """Return the classes beside the target that were compared with the truth."""
    return [name.removesuffix(".dice") for name in map(str, summary) if name.endswith(".dice")]


def empty_masks(summary: pd.DataFrame, target: str) -> TableData:
    """Return how often masks were empty, by method and class."""
    columns = {
        "empty_both": ("Both empty", "Dice and HD95 not defined"),
        "empty_truth": ("Only truth empty", "Dice 0, HD95 not defined"),
        "empty_prediction": ("Only prediction empty", "Dice 0, HD95 not defined"),
    }
    classes = {"": target} | {f"{name}.": name for name in other_classes(summary)}
    rows = [
        [
            text_cell(row["method"]),
            text_cell(name),
            *(number_cell(row[f"{prefix}{key}"], 0) for key in columns),
            number_cell(row[f"{prefix}dice_n"], 0),
            number_cell(row[f"{prefix}hd95_n"], 0),
        ]
        for row in summary.to_dict("records")
        for prefix, name in classes.items()
    ]
    defined = [("Dice defined", "cases"), ("HD95 defined", "cases")]
    return TableData([("Method", ""), ("Class", ""), *columns.values(), *defined], rows, names=2)


def cases(rows: pd.DataFrame) -> TableData:
    """Return the rows themselves, worst Dice first where there are too many to show all."""
    if len(rows) > SHOWN_ROWS:
        rows = (rows.sort_values("dice") if "dice" in rows else rows).head(SHOWN_ROWS)
    names = [name for name in IDENTITY if name == "case" or rows[name].nunique() > 1]
    names = [name for name in names if name != "patient" or (rows[name] != rows["case"]).any()]
    numbers = [name for name in map(str, rows) if name not in IDENTITY and _worth_showing(name)]
    numbers = [name for name in numbers if rows[name].notna().any()]
    records: list[Row] = rows.to_dict("records")
    return TableData(
        [(name.replace("_", " ").replace(".", " "), "") for name in [*names, *numbers]],
        [
            [
                *(text_cell(str(row[name])) for name in names),
                *(_plain(name, row[name]) for name in numbers),
            ]
            for row in records
        ],
        names=len(names),
    )


def _named(summary: pd.DataFrame, lines: list[list[Cell]]) -> list[list[Cell]]:
    """Put the methods before their lines; where all lines are the same, there is one."""
    names = summary["method"].tolist()
    if len(lines) > 1 and all(line == lines[0] for line in lines):
        names, lines = ["all methods, the same"], lines[:1]
    return [[text_cell(name), *line] for name, line in zip(names, lines, strict=True)]


def _column(summary: pd.DataFrame, measure: Measure, prefix: str) -> list[Cell]:
    key = f"{prefix}{measure.key}"
    if key not in summary:
        return [text_cell(UNDEFINED)] * len(summary)
    comparable = measure.key == SHARED or not rows_differ(summary)
    best = _best(summary[key], measure.better if comparable else 0)
    return [_measured(row, measure, prefix, best) for row in summary.to_dict("records")]


def _measured(row: Row, measure: Measure, prefix: str, best: float) -> Cell:
    value = row[f"{prefix}{measure.key}"]
    below = ""
    if f"{prefix}{measure.key}_low" in row:
        low, high = (row[f"{prefix}{measure.key}_{end}"] for end in ("low", "high"))
        below = interval(low, high, measure.digits)
    elif measure.below:
        small = row[f"{prefix}{measure.below}"]
        below = measure.label + number(small, 0 if measure.below.endswith("_n") else 2)
    return Cell(measure.write(value, measure.digits), below, value, best=value == best)


def _best(values: pd.Series, better: int) -> float:
    """Return the value to stand out: the best, if methods differ and one can be better."""
    if not better or values.nunique() < 2:  # noqa: PLR2004 - two are needed to differ
        return math.nan
    return float(values.max() if better > 0 else values.min())


def _cases(row: Row) -> Cell:
    text = f"{row['cases']} × {row['seeds']}" if row["seeds"] > 1 else str(row["cases"])
    below = f"{row['patients']} patients" if row["patients"] != row["cases"] else ""
    return Cell(text, below, row["cases"])


def _worth_showing(name: str) -> bool:
    """Leave out what is only there to be summed, or follows from its neighbours."""
    if name.endswith(("_voxels", "volume_error_ml")):
        return False
    return "." not in name or name.startswith("tag.") or name.endswith(".dice")


def _plain(name: str, value: float) -> Cell:
    if name.startswith("tag."):
        return number_cell(value, 0)
    return number_cell(value, 1 if name.endswith(("_mm", "_ml")) else 3)
