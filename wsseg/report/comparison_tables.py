"""Tables that compare methods with each other and with published results, and their footnotes."""

from collections.abc import Mapping, Sequence

import pandas as pd

from wsseg.evaluation.summary import rows_differ
from wsseg.report.columns import (
    METHOD,
    SHARED_SEEDS,
    Column,
    Format,
    Row,
    Table,
    as_holm_p,
    as_percent,
    as_percent_interval,
    as_signed_rank_p,
    as_text,
    decimal_interval,
    decimals,
    make_table,
    merge_equal_rows_by,
    over_count,
    percent_over_count,
)
from wsseg.report.formatting import UNDEFINED, number, shared_of_all, significant
from wsseg.report.result_tables import RESULTS


def _equal_patients(row: Row, _: str) -> str:
    return f"{row['equal_patients']} equal" if row["equal_patients"] else ""


DIFFERENCES = (
    METHOD,
    Column(
        "difference",
        "Difference (n)",
        "method − baseline, mean over n cases, with the 95 % interval over patients",
        over_count(3, "n"),
        decimal_interval(3),
    ),
    Column("effect", "Effect", "matched-pairs rank-biserial correlation, −1 to 1", decimals(2)),
    Column(
        "p",
        "p",
        "two-sided Wilcoxon signed-rank test over patients; with few pairs, no p can be small",
        as_signed_rank_p,
    ),
    Column("p_holm", "p, Holm", "corrected for all tests of this table", as_holm_p),
    Column(
        "patients",
        "Patients",
        "of the cases that both methods have; patients without a difference are not tested",
        decimals(0),
        _equal_patients,
    ),
    SHARED_SEEDS,
)
GAP = (
    METHOD,
    Column(
        "mean",
        "Dice where present (n)",
        "share of the gap in the mean over the n cases where the class is present, with the 95 % "
        "interval over patients",
        percent_over_count("n"),
        as_percent_interval,
    ),
    Column(
        "pooled",
        "Dice, pooled",
        "share of the gap, with the 95 % interval over patients",
        as_percent,
        as_percent_interval,
    ),
    SHARED_SEEDS,
)


def differences_table(differences: pd.DataFrame) -> Table:
    """Return the paired differences to the baseline, with their tests."""
    return make_table(differences, DIFFERENCES)


def gap_table(gap: pd.DataFrame) -> Table:
    """Return the share of the gap between baseline and ceiling that each method closes."""
    return make_table(gap, GAP)


def published_table(summary: pd.DataFrame, published: Mapping[str, Mapping[str, float]]) -> Table:
    """Return columns of the summary, with the published numbers in small print.

    `published` maps each method to columns of the summary. What was not published is left empty.
    """
    keys = list(dict.fromkeys(key for numbers in published.values() for key in numbers))
    counts = {key: _count_key(key, summary) for key in keys}
    shown = dict.fromkeys([*keys, *counts.values()])
    values = summary.set_index("method").reindex(index=[*published], columns=[*shown])
    columns = [
        Column(
            key,
            f"{_heading(key)} (n)",
            "over n cases; small print: as published",
            *_own_and_published(key, counts[key], published),
        )
        for key in keys
    ]
    return make_table(values.rename_axis("method").reset_index(), [METHOD, *columns])


def labels_table(stages: Sequence[Mapping[str, str]]) -> Table:
    """Return the labels that each stage used, as texts by heading: method, stage, and others."""
    return merge_equal_rows_by(texts_table(stages), 1)


def texts_table(rows: Sequence[Mapping[str, str]]) -> Table:
    """Return a table of texts, which each row has by heading."""
    headings = list(rows[0]) if rows else []
    columns = [Column(heading, heading, text=as_text, is_text=True) for heading in headings]
    return make_table(pd.DataFrame(rows, columns=headings), columns)


def left_out_notes(comparisons: pd.DataFrame) -> list[str]:
    """Return a sentence for each comparison in which rows are left out, or none are shared."""
    return [_left_out_note(row) for row in comparisons.to_dict("records") if row["unpaired_rows"]]


def unequal_rows_note(summary: pd.DataFrame) -> str:
    """Return a warning that the methods' rows differ, or "" if they do not."""
    if not rows_differ(summary):
        return ""
    shared = int(summary["rows_shared"].iloc[0])
    counts = zip(summary["method"], summary["rows"], strict=True)
    rows = ", ".join(f"{method} {count}" for method, count in counts)
    problem = f"The methods do not have the same cases, seeds and folds (rows: {rows})."
    if not shared:
        return f"{problem} No case, seed and fold has a row of every method: do not rank them."
    return (
        f"{problem} Rank them only by the mean Dice over the {shared} rows that all of them have."
    )


def _result_column(key: str) -> Column | None:
    """Return the column of the table of results with a key, whose class is left out."""
    name = key.rpartition(".")[2]
    return next((column for column in RESULTS if column.key == name), None)


def _heading(key: str) -> str:
    """Return the heading of a column of the summary as in the table of results."""
    group, dot, name = key.rpartition(".")
    known = _result_column(key)
    words = known.heading.removesuffix(" (n)") if known else name.replace("_", " ")
    return f"{group}: {words}" if dot else words


def _count_key(key: str, summary: pd.DataFrame) -> str:
    """Return the column of the summary with the number of cases of another column."""
    known = _result_column(key)
    if known and known.count_key:
        return key.removesuffix(known.key) + known.count_key
    return f"{key}_n" if f"{key}_n" in summary else "cases"


def _own_and_published(
    key: str, count_key: str, published: Mapping[str, Mapping[str, float]]
) -> tuple[Format, Format]:
    """Return the formats of the suite's own and of the published numbers of a column."""

    def own(row: Row, _: str) -> str:
        if key not in published[row["method"]]:
            return ""
        value = significant(row[key])
        return value if value == UNDEFINED else f"{value} ({number(row[count_key], 0)})"

    def other(row: Row, _: str) -> str:
        numbers = published[row["method"]]
        return f"published {significant(numbers[key])}" if key in numbers else ""

    return own, other


def _left_out_note(row: Row) -> str:
    methods = [str(row[name]) for name in ("method", "baseline", "ceiling") if name in row]
    names = f"{', '.join(methods[:-1])} and {methods[-1]}"
    if not row["shared_seeds"]:
        return f"{names} have no case, seed and fold in common, so they are not compared."
    return (
        f"{names} are compared over the seeds that they share: "
        f"{shared_of_all(row['shared_seeds'], row['all_seeds'])}. "
        f"Rows whose case, seed and fold are missing for one of them are left out: "
        f"{row['unpaired_rows']}."
    )
