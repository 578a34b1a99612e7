"""Comparison of methods on the rows that they share.

Rows are paired by case, seed and fold, because methods with failed jobs have fewer rows. As in
`summary`, a case's seeds are averaged first, intervals are over patients, and Dice is compared on
the cases where the class is present.
"""

from collections.abc import Iterable
from typing import Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from wsseg.config.columns import IDENTITY
from wsseg.core.component import Component, KeyProblemError
from wsseg.errors import InputError, known_words
from wsseg.evaluation.class_columns import column_or_nan, dice_where_present
from wsseg.evaluation.health import is_result, method_health
from wsseg.evaluation.statistics import (
    Bootstrap,
    RatioParts,
    holm,
    ratio,
    share_of_gap,
    signed_rank,
)
from wsseg.evaluation.summary import PAIR_KEY, average_by_case

DECIMALS = 12  # differences are rounded, so that equal values stay equal after averaging
DIFFERENCE_COLUMNS = (
    *("method", "baseline", "metric", "n", "difference", "difference_low", "difference_high"),
    *("patients", "equal_patients", "p", "p_holm", "effect"),
    *("shared_seeds", "all_seeds", "unpaired_rows"),
)
GAP_COLUMNS = (
    *("method", "baseline", "ceiling", "n", "mean", "mean_low", "mean_high"),
    *("pooled", "pooled_low", "pooled_high", "shared_seeds", "all_seeds", "unpaired_rows"),
)


class Compare(Component):
    """The methods of a suite that are compared, and the column that is used."""

    baseline: str
    """The method that all others are compared with."""
    metric: str = "dice"
    """The column of the rows by which methods are compared."""
    ceiling: str | None = None
    """The upper reference: the report gives the share of the gap between baseline and ceiling that
    each other method closes. null: no such table."""

    @model_validator(mode="after")
    def _methods_differ(self) -> Self:
        if self.baseline == self.ceiling:
            problem = f"{self.ceiling!r} is also the baseline; name another method, or null"
            raise KeyProblemError(("ceiling",), problem)
        return self


def paired_differences(
    rows: pd.DataFrame, metric: str, baseline: str, bootstrap: Bootstrap | None = None
) -> pd.DataFrame:
    """Return a row per method other than `baseline`: its paired difference from the baseline.

    - `difference`: mean over the `n` cases of method - baseline, with an interval over patients.
      Rows are paired by case, seed and fold; the differences of a case are averaged.
    - `p`: two-sided Wilcoxon signed-rank test over the `patients`. The cases of a patient are not
      independent, so they are averaged first. The number of patients without a difference, who are
      left out, is `equal_patients`.
    - `p_holm`: `p` corrected for all tests of the table (Holm 1979).
    - `effect`: matched-pairs rank-biserial correlation (Kerby 2014).
    - `shared_seeds`, `all_seeds`: the seeds that both methods have, and those that either has.
    - `unpaired_rows`: number of rows that only one of the two methods has.

    If no rows can be paired, `shared_seeds` is empty and the numbers are NaN. In a suite, even a
    method that does not depend on the seed has rows for every seed.

    Raises:
        InputError: There is no such metric, or no such method.
    """
    measures = [str(name) for name in rows.select_dtypes("number") if name not in IDENTITY]
    if metric not in measures:
        raise InputError(f"no numeric column is called {metric!r}; {known_words(metric, measures)}")
    by_method = _rows_by_method(rows, baseline)
    table = pd.DataFrame(
        [
            {
                "method": name,
                "baseline": baseline,
                "metric": metric,
                **_difference(own, by_method[baseline], metric, bootstrap or Bootstrap()),
            }
            for name, own in by_method.items()
            if name != baseline
        ],
        columns=[*DIFFERENCE_COLUMNS],
    )
    return table.assign(p_holm=holm(table["p"].tolist()))


def gap_closed(
    rows: pd.DataFrame, baseline: str, ceiling: str, bootstrap: Bootstrap | None = None
) -> pd.DataFrame:
    """Return a row per other method: the share of the gap from baseline to ceiling it closes.

    The share is (m - b) / (c - b) for the mean Dice (`mean`) and the pooled Dice (`pooled`), with
    intervals over patients. It is computed from the cases, seeds and folds that all three methods
    have; the mean covers the `n` of these cases where the class is present. A method that is not a
    result (see `method_health`) is left out. `shared_seeds`, `all_seeds` and `unpaired_rows` are as
    in `paired_differences`.

    Raises:
        InputError: There is no such method.
    """
    by_method = _rows_by_method(rows, baseline, ceiling)
    return pd.DataFrame(
        [
            {
                "method": name,
                "baseline": baseline,
                "ceiling": ceiling,
                **_share(own, by_method[baseline], by_method[ceiling], bootstrap or Bootstrap()),
            }
            for name, own in by_method.items()
            if name not in (baseline, ceiling) and not method_health(own)
        ],
        columns=[*GAP_COLUMNS],
    )


def gap_problem(summary: pd.DataFrame, baseline: str, ceiling: str) -> str:
    """Return the reason why the gap from baseline to ceiling cannot be shown, or "".

    Args:
        summary: The summary of all methods (`summarise`).
        baseline: The method at the lower end of the gap.
        ceiling: The method at its upper end.
    """
    is_end = summary["method"].isin([baseline, ceiling])
    ends, others = summary[is_end & ~is_result(summary)], summary[~is_end]
    reasons = [
        f"{method} is not a result ({health})"
        for method, health in zip(ends["method"], ends["health"], strict=True)
    ]
    if not reasons and len(others) and not is_result(others).any():
        reasons = ["no other method is a result"]
    if not reasons and _is_no_higher(summary, ceiling, baseline):
        reasons = [f"the Dice of {ceiling} is not higher"]
    if not reasons:
        return ""
    return f"No share of the gap between {baseline} and {ceiling}: {', '.join(reasons)}."


def _is_no_higher(summary: pd.DataFrame, ceiling: str, baseline: str) -> bool:
    """Return whether the ceiling has neither a higher mean nor a higher pooled Dice."""
    dice = summary.set_index("method").filter(["dice", "dice_pooled"])
    return dice.size > 0 and bool((dice.loc[ceiling] <= dice.loc[baseline]).all())


def _rows_by_method(rows: pd.DataFrame, *required: str) -> dict[str, pd.DataFrame]:
    """Return the rows of each method, without the Dice of classes that are absent.

    Raises:
        InputError: A required method is missing.
    """
    rows = dice_where_present(rows)
    methods = list(dict.fromkeys(rows["method"]))
    for name in required:
        if name not in methods:
            raise InputError(f"no method is called {name!r}; {known_words(name, methods)}")
    return {name: rows[rows["method"] == name] for name in methods}


def _difference(
    method: pd.DataFrame, baseline: pd.DataFrame, metric: str, bootstrap: Bootstrap
) -> dict[str, float | str]:
    ours, theirs = _shared_rows(method, baseline)
    differences = (ours[metric] - theirs[metric]).dropna()
    by_case = differences.groupby("case", sort=False).mean().round(DECIMALS)
    patients = ours.groupby("case")["patient"].first().reindex(by_case.index)
    estimate = ratio(by_case, np.ones(len(by_case)), patients, bootstrap)
    by_patient = by_case.groupby(patients).mean().round(DECIMALS)
    p, effect = signed_rank(by_patient)
    return {
        "n": len(by_case),
        **estimate.columns("difference"),
        "patients": len(by_patient),
        "equal_patients": int((by_patient == 0).sum()),
        "p": p,
        "effect": effect,
        **_pairing(method, baseline),
    }


def _share(
    method: pd.DataFrame, baseline: pd.DataFrame, ceiling: pd.DataFrame, bootstrap: Bootstrap
) -> dict[str, float | str]:
    shared = _shared_rows(method, baseline, ceiling)
    m, b, c = with_dice = _defined_cases(shared, ["dice"])
    mean = share_of_gap(_mean_dice(m), _mean_dice(b), _mean_dice(c), m["patient"], bootstrap)
    m, b, c = _defined_cases(shared, ["tp_voxels", "fp_voxels", "fn_voxels"])
    pooled = share_of_gap(
        _pooled_dice(m), _pooled_dice(b), _pooled_dice(c), m["patient"], bootstrap
    )
    columns = {"n": len(with_dice[0]), **mean.columns("mean"), **pooled.columns("pooled")}
    return columns | _pairing(method, baseline, ceiling)


def _shared_rows(*methods: pd.DataFrame) -> list[pd.DataFrame]:
    """Return each method's rows whose case, seed and fold all methods have, in the same order."""
    indexed = [rows.set_index([*PAIR_KEY]) for rows in methods]
    shared = indexed[0].index
    for rows in indexed[1:]:
        shared = shared[shared.isin(rows.index)]
    return [rows.reindex(shared) for rows in indexed]


def _defined_cases(shared: list[pd.DataFrame], names: list[str]) -> list[pd.DataFrame]:
    """Return the cases of each method, averaged over the rows where these columns are defined.

    A row is used only if the columns are defined for all methods.
    """
    defined = np.all(
        [column_or_nan(rows, name).notna() for rows in shared for name in names], axis=0
    )
    return [average_by_case(rows[defined].reset_index()) for rows in shared]


def _pairing(*methods: pd.DataFrame) -> dict[str, float | str]:
    """Return the shared seeds, all seeds, and the number of unpaired rows."""
    paired = _shared_rows(*methods)[0]
    return {
        "shared_seeds": _join(paired.index.get_level_values("seed")),
        "all_seeds": _join(seed for rows in methods for seed in rows["seed"]),
        "unpaired_rows": sum(len(rows) - len(paired) for rows in methods),
    }


def _join(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(seeds))))


def _mean_dice(cases: pd.DataFrame) -> RatioParts:
    """Return the mean Dice as the parts of a ratio."""
    return column_or_nan(cases, "dice"), np.ones(len(cases))


def _pooled_dice(cases: pd.DataFrame) -> RatioParts:
    """Return the pooled Dice as the parts of a ratio."""
    tp, fp, fn = (column_or_nan(cases, f"{name}_voxels") for name in ("tp", "fp", "fn"))
    return 2 * tp, 2 * tp + fp + fn
