"""Summary of each method's rows.

A case's seeds are averaged first, so that they do not count as independent cases. Intervals are
over patients: the bootstrap draws all cases of a patient together.
"""

from typing import Any

import numpy as np
import pandas as pd

from wsseg.config.columns import KEY
from wsseg.evaluation.class_columns import (
    class_prefixes,
    column_or_nan,
    correctly_empty,
    dice_where_present,
    predicted_voxels,
    true_voxels,
)
from wsseg.evaluation.health import is_result, method_health
from wsseg.evaluation.statistics import Bootstrap, correlation, mann_whitney, ratio

PAIR_KEY = tuple(name for name in KEY if name != "method")  # identifies a row within a method
ROW_MEASURES = (
    *("dice", "tp_voxels", "fp_voxels", "fn_voxels", "tpr", "fpr", "positive_voxels"),
    *("negative_voxels", "volume_error_ml", "area_error_px"),
)


def summarise(rows: pd.DataFrame, bootstrap: Bootstrap | None = None) -> pd.DataFrame:
    """Return a row of summary statistics per method, in the order of `rows`.

    The target class has these columns; those of another class start with its name and a dot:

    - `dice`: mean over the `dice_n` cases where the class is present; `dice_sd_cases` and
      `dice_sd_seeds` are its standard deviations over cases and over seeds.
    - `correctly_empty`: number of the `absent_n` cases without the class whose prediction is empty,
      averaged over seeds.
    - `dice_pooled`, `tpr`, `fpr`: pooled over the voxels of all cases; rates are in the region.
    - `hd95_mm`, or `hd95_px` for pictures: median over the `hd95_n` cases where it is defined.
    - `volume_error_ml`, or `area_error_px` for pictures: mean of the absolute error over the
      `volume_error_n` cases where it is defined.
    - `empty_both`, `empty_truth`, `empty_prediction`: numbers of rows by which masks are empty.
    - `dice_shared`: `dice` over the rows whose case, seed and fold every method has, with
      `dice_shared_n` cases. Only these means can be ranked if the methods' rows differ.

    `_low` and `_high` are the bounds of the 95 % interval. `rows` and `rows_shared` are the numbers
    of all rows and of those that every method has.

    `health` describes why a method is not a result (see `method_health`); "" if it is one.

    For a score with an annotated counterpart: `<score>_r` (Pearson), `<score>_r_p`, `<score>_r_n`.
    For a score `<class>_...` and the tags of that class: `<score>_u_p` (p-value of the Mann-Whitney
    U test), `<score>_auc` (its effect size), and the medians `<score>_present` and
    `<score>_absent` over `_n` cases.
    """
    rows = dice_where_present(rows)
    settings, shared = bootstrap or Bootstrap(), _in_all_methods(rows)
    return pd.DataFrame(
        {"method": method, **_summarise(group, shared[shared["method"] == method], settings)}
        for method, group in rows.groupby("method", sort=False)
    )


def average_by_case(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the seeds and folds of each case of one method; the index is the case."""
    cases = rows.groupby("case", sort=False)
    return cases.mean(numeric_only=True).assign(patient=cases["patient"].first())


def rows_differ(summary: pd.DataFrame) -> bool:
    """Return whether a method lacks a case, seed and fold that another method has."""
    return bool((summary["rows"] > summary["rows_shared"]).any())


def ranked(summary: pd.DataFrame) -> pd.DataFrame:
    """Return a summary sorted by the mean Dice over the rows that all methods have, best first.

    Methods that are not a result come last.
    """
    by_health = summary.assign(is_result=is_result(summary))
    best_first = by_health.sort_values(["is_result", "dice_shared"], ascending=False, kind="stable")
    return best_first.drop(columns="is_result")


def rankable_dice(summary: pd.DataFrame) -> pd.Series:
    """Return the mean Dice by which methods are ranked; NaN for a method that is not a result."""
    return summary["dice_shared"].where(is_result(summary))


def annotated_scores(rows: pd.DataFrame) -> list[str]:
    """Return the scores with an annotated counterpart, `<score>_true`."""
    return [name for name in map(str, rows) if f"{name}_true" in rows]


def tagged_scores(rows: pd.DataFrame) -> dict[str, str]:
    """Return the scores that are compared between the groups of a tag: `<class>_...` → class."""
    names = [str(name) for name in rows]
    classes = [name.removeprefix("tag.") for name in names if name.startswith("tag.")]
    return {
        name: tag
        for tag in classes
        for name in names
        if name.startswith(f"{tag}_") and not name.endswith("_true")
    }


def _in_all_methods(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose case, seed and fold every method has."""
    methods = rows.groupby([*PAIR_KEY])["method"].transform("nunique")
    return rows[methods == rows["method"].nunique()]


def _summarise(rows: pd.DataFrame, shared: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, Any]:
    cases = average_by_case(rows)
    counts = {
        "rows": len(rows),
        "rows_shared": len(shared),
        "cases": len(cases),
        "patients": rows["patient"].nunique(),
        "seeds": rows["seed"].nunique(),
    }
    row: dict[str, Any] = {"health": method_health(rows), **counts}
    for prefix in class_prefixes(rows):
        row |= _overlap(rows, shared, cases, prefix, bootstrap)
    for score in annotated_scores(rows):
        names = (f"{score}_r", f"{score}_r_p", f"{score}_r_n")
        row |= zip(names, correlation(cases[score], cases[f"{score}_true"]), strict=True)
    for score, tag in tagged_scores(rows).items():
        row |= _tag_groups(cases[score], cases[f"tag.{tag}"], score)
    return row


def _overlap(
    rows: pd.DataFrame,
    shared: pd.DataFrame,
    cases: pd.DataFrame,
    prefix: str,
    bootstrap: Bootstrap,
) -> dict[str, float]:
    """Summarise the agreement of one class with its annotation."""
    values = {name: column_or_nan(rows, prefix + name) for name in ROW_MEASURES}
    dice, hd95_mm, hd95_px, error_ml, error_px = (
        column_or_nan(cases, prefix + name)
        for name in ("dice", "hd95_mm", "hd95_px", "volume_error_ml", "area_error_px")
    )
    dice_shared = column_or_nan(average_by_case(shared), f"{prefix}dice")
    true, predicted = true_voxels(rows, prefix), predicted_voxels(rows, prefix)
    is_empty = correctly_empty(rows, prefix).groupby(rows["case"]).mean()
    seed_means = values["dice"].groupby(rows["seed"]).mean()
    statistics: dict[str, float] = {
        **ratio(dice, np.ones(len(dice)), cases["patient"], bootstrap).columns("dice"),
        "dice_n": dice.count(),
        "dice_shared": dice_shared.mean(),
        "dice_shared_n": dice_shared.count(),
        "dice_sd_cases": dice.std(),
        "dice_sd_seeds": seed_means.std(),
        "correctly_empty": is_empty.sum(),
        "absent_n": is_empty.count(),
        **_pooled(values, true + predicted, rows["patient"], bootstrap),
        "hd95_mm": hd95_mm.median(),
        "hd95_px": hd95_px.median(),
        "hd95_n": hd95_mm.count() + hd95_px.count(),
        "volume_error_n": error_ml.count() + error_px.count(),
        "empty_both": int(((true == 0) & (predicted == 0)).sum()),
        "empty_truth": int(((true == 0) & (predicted > 0)).sum()),
        "empty_prediction": int(((true > 0) & (predicted == 0)).sum()),
    }
    return {f"{prefix}{name}": value for name, value in statistics.items()}


def _pooled(
    values: dict[str, pd.Series], sizes: pd.Series, patients: pd.Series, bootstrap: Bootstrap
) -> dict[str, float]:
    """Estimate the values pooled over rows; `sizes` are the true plus the predicted voxels."""
    tp, positive, negative = (
        values[name] for name in ("tp_voxels", "positive_voxels", "negative_voxels")
    )
    tp_inside = (values["tpr"] * positive).where(positive > 0, 0)
    fp_inside = (values["fpr"] * negative).where(negative > 0, 0)
    errors = {name: values[name].abs() for name in ("volume_error_ml", "area_error_px")}
    estimates = {
        "dice_pooled": ratio(2 * tp, sizes, patients, bootstrap),
        "tpr": ratio(tp_inside, positive, patients, bootstrap),
        "fpr": ratio(fp_inside, negative, patients, bootstrap),
        **{
            name: ratio(error, np.ones(len(error)), patients, bootstrap)
            for name, error in errors.items()
        },
    }
    return {key: value for name, e in estimates.items() for key, value in e.columns(name).items()}


def _tag_groups(score: pd.Series, tag: pd.Series, name: str) -> dict[str, float]:
    """Compare a score between the cases with and without a tag."""
    present, absent = score[tag == 1], score[tag == 0]
    p, auc = mann_whitney(present, absent)
    statistics: dict[str, float] = {"u_p": p, "auc": auc}
    for group, values in {"present": present, "absent": absent}.items():
        statistics |= {group: values.median(), f"{group}_n": values.count()}
    return {f"{name}_{key}": value for key, value in statistics.items()}
