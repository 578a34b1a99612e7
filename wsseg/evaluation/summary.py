"""What the rows of a run or a suite say: a summary of each method, and tests between methods.

A case's seeds are averaged first, so that seeds do not count as cases. Intervals are over patients:
all cases of a patient are drawn together. Methods are compared over the cases, seeds and folds that
they share, since a failed job leaves a method with fewer rows than another.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from wsseg.errors import InputError, known_words
from wsseg.evaluation.rows import IDENTITY, KEY
from wsseg.evaluation.statistics import (
    Bootstrap,
    Part,
    correlation,
    holm,
    mann_whitney,
    ratio,
    share_of_way,
    signed_rank,
)

PAIR = tuple(name for name in KEY if name != "method")  # rows of two methods are paired by these
DECIMALS = 12  # of differences: equal values must stay equal after averaging
COUNTED = (
    *("dice", "tp_voxels", "fp_voxels", "fn_voxels", "tpr", "fpr", "positive_voxels"),
    *("negative_voxels", "volume_error_ml"),
)
COMPARISON = (
    *("method", "baseline", "metric", "n", "difference", "difference_low", "difference_high"),
    *("patients", "equal", "p", "p_holm", "effect", "seeds", "seeds_of", "unpaired"),
)
COVERED = (
    *("method", "baseline", "ceiling", "n", "mean", "mean_low", "mean_high"),
    *("pooled", "pooled_low", "pooled_high", "seeds", "seeds_of", "unpaired"),
)


def summary(rows: pd.DataFrame, bootstrap: Bootstrap | None = None) -> pd.DataFrame:
    """Return a row per method, in the rows' order.

    For the target class (another class has its name and a dot before each): `dice` the mean over
    the `dice_n` cases where it is defined, its spread `dice_sd_cases` and `dice_sd_seeds`;
    `dice_pooled`, `tpr`, `fpr` over all voxels of all cases (the rates inside the region);
    `hd95_mm` the median over the `hd95_n` cases where it is defined; `volume_error_ml` the mean of
    its size; `empty_both`, `empty_truth`, `empty_prediction` count rows by which masks were empty.
    `_low` and `_high` are the interval's ends.

    These are over the method's own `rows`. `dice_shared` is the mean Dice over the `rows_shared`
    that every method has: only these means can be ranked where the methods' rows differ.

    For a score with an annotated twin: `<score>_r` (Pearson), `<score>_r_p`, `<score>_r_n`. For a
    score called `<class>_...` and the cases' tags of that class: `<score>_u_p` (Mann-Whitney),
    `<score>_auc` (U / n1 n2, the effect size), `<score>_present` and `_absent` (medians), `_n`.
    """
    chosen, shared = bootstrap or Bootstrap(), _in_all_methods(rows)
    return pd.DataFrame(
        {"method": method, **_method(group, shared[shared["method"] == method], chosen)}
        for method, group in rows.groupby("method", sort=False)
    )


def compare(
    rows: pd.DataFrame, metric: str, baseline: str, bootstrap: Bootstrap | None = None
) -> pd.DataFrame:
    """Return a row per other method: paired differences to the baseline over the rows of both.

    Rows are paired by case, seed and fold, and a case's differences are averaged. `difference` is
    the mean of method - baseline over `n` cases, with its interval over patients; `p` is of the
    two-sided Wilcoxon signed-rank test over `patients`, whose cases are averaged first, as they are
    not independent (the `equal` ones, without a difference, are left out), and `p_holm` corrected
    for all tests of the table (Holm 1979); `effect` is the matched-pairs rank-biserial correlation,
    the share of ranks in favour less that against (Kerby 2014).

    `seeds` lists the seeds that both methods have, `seeds_of` those of either, and `unpaired`
    counts the rows that only one has. Without a pair, `seeds` is empty and the numbers are NaN. In
    a suite, a method that draws nothing has rows for every seed, too.

    Raises:
        InputError: there is no such metric, or no such method.
    """
    methods = list(dict.fromkeys(rows["method"]))
    measured = [str(name) for name in rows if name not in IDENTITY]
    if metric not in measured:
        raise InputError(
            f"no column of numbers is called {metric!r}; {known_words(metric, measured)}"
        )
    if baseline not in methods:
        raise InputError(f"no method is called {baseline!r}; {known_words(baseline, methods)}")
    by_method = {name: rows[rows["method"] == name] for name in methods}
    table = [
        {"method": name, "baseline": baseline, "metric": metric}
        | _paired(by_method[name], by_method[baseline], metric, bootstrap or Bootstrap())
        for name in methods
        if name != baseline
    ]
    for row, corrected in zip(table, holm([row["p"] for row in table]), strict=True):
        row["p_holm"] = corrected
    return pd.DataFrame(table, columns=[*COMPARISON])


def covered(
    rows: pd.DataFrame, baseline: str, ceiling: str, bootstrap: Bootstrap | None = None
) -> pd.DataFrame:
    """Return a row per other method: the share of the way from baseline to ceiling it covers.

    (m - b) / (c - b) of the mean Dice (`mean`) and of the pooled Dice (`pooled`), with intervals
    over patients, from the rows that all three have of a case, seed and fold; for the mean, the
    rows of the `n` cases where each has a Dice. `seeds`, `seeds_of` and `unpaired` are as in
    `compare`.

    Raises:
        InputError: there is no such method.
    """
    methods = list(dict.fromkeys(rows["method"]))
    for name in (baseline, ceiling):
        if name not in methods:
            raise InputError(f"no method is called {name!r}; {known_words(name, methods)}")
    low, high = (rows[rows["method"] == name] for name in (baseline, ceiling))
    others = [name for name in methods if name not in (baseline, ceiling)]
    return pd.DataFrame(
        [
            {"method": name, "baseline": baseline, "ceiling": ceiling}
            | _covered(rows[rows["method"] == name], low, high, bootstrap or Bootstrap())
            for name in others
        ],
        columns=[*COVERED],
    )


def per_case(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per case of one method, its seeds (and folds) averaged; index: the case."""
    cases = rows.groupby("case", sort=False)
    return cases.mean(numeric_only=True).assign(patient=cases["patient"].first())


def rows_differ(summary: pd.DataFrame) -> bool:
    """Return whether a method has a case, seed and fold that another lacks."""
    return bool((summary["rows"] > summary["rows_shared"]).any())


def scores(rows: pd.DataFrame) -> list[str]:
    """Return the scores that have an annotated twin, `<score>_true`."""
    return [name for name in map(str, rows) if f"{name}_true" in rows]


def tagged_scores(rows: pd.DataFrame) -> dict[str, str]:
    """Return the scores that a class's tag should tell apart: `<class>_...` → class."""
    names = [str(name) for name in rows]
    classes = [name.removeprefix("tag.") for name in names if name.startswith("tag.")]
    return {
        name: of
        for of in classes
        for name in names
        if name.startswith(f"{of}_") and not name.endswith("_true")
    }


def _in_all_methods(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose case, seed and fold every method has."""
    methods = rows.groupby([*PAIR])["method"].transform("nunique")
    return rows[methods == rows["method"].nunique()]


def _method(rows: pd.DataFrame, shared: pd.DataFrame, bootstrap: Bootstrap) -> dict[str, float]:
    cases = per_case(rows)
    counts = {
        "rows": len(rows),
        "rows_shared": len(shared),
        "cases": len(cases),
        "patients": rows["patient"].nunique(),
        "seeds": rows["seed"].nunique(),
    }
    others = [name.removesuffix(".dice") for name in map(str, rows) if name.endswith(".dice")]
    row: dict[str, float] = {**counts, **_overlap(rows, shared, cases, "", bootstrap)}
    for name in others:
        row |= _overlap(rows, shared, cases, f"{name}.", bootstrap)
    for score in scores(rows):
        names = (f"{score}_r", f"{score}_r_p", f"{score}_r_n")
        row |= zip(names, correlation(cases[score], cases[f"{score}_true"]), strict=True)
    for score, of in tagged_scores(rows).items():
        row |= _groups(cases[score], cases[f"tag.{of}"], score)
    return row


def _overlap(
    rows: pd.DataFrame,
    shared: pd.DataFrame,
    cases: pd.DataFrame,
    prefix: str,
    bootstrap: Bootstrap,
) -> dict[str, float]:
    """Summarise how one class compares with the truth."""
    row = {name: _column(rows, prefix + name) for name in COUNTED}
    dice, hd95_mm = (_column(cases, prefix + name) for name in ("dice", "hd95_mm"))
    true, predicted = row["tp_voxels"] + row["fn_voxels"], row["tp_voxels"] + row["fp_voxels"]
    of_seeds = row["dice"].groupby(rows["seed"]).mean()
    found: dict[str, float] = {
        **ratio(dice, np.ones(len(dice)), cases["patient"], bootstrap).columns("dice"),
        "dice_n": dice.count(),
        "dice_shared": _column(per_case(shared), f"{prefix}dice").mean(),
        "dice_sd_cases": dice.std(),
        "dice_sd_seeds": of_seeds.std(),
        **_pooled(row, true + predicted, rows["patient"], bootstrap),
        "hd95_mm": hd95_mm.median(),
        "hd95_n": hd95_mm.count(),
        "empty_both": int(((true == 0) & (predicted == 0)).sum()),
        "empty_truth": int(((true == 0) & (predicted > 0)).sum()),
        "empty_prediction": int(((true > 0) & (predicted == 0)).sum()),
    }
    return {f"{prefix}{name}": value for name, value in found.items()}


def _pooled(
    row: dict[str, pd.Series], sizes: pd.Series, patients: pd.Series, bootstrap: Bootstrap
) -> dict[str, float]:
    positive, negative = row["positive_voxels"], row["negative_voxels"]
    error_ml = row["volume_error_ml"].abs()
    estimates = {
        "dice_pooled": ratio(2 * row["tp_voxels"], sizes, patients, bootstrap),
        "tpr": ratio((row["tpr"] * positive).where(positive > 0, 0), positive, patients, bootstrap),
        "fpr": ratio((row["fpr"] * negative).where(negative > 0, 0), negative, patients, bootstrap),
        "volume_error_ml": ratio(error_ml, np.ones(len(error_ml)), patients, bootstrap),
    }
    return {key: value for name, e in estimates.items() for key, value in e.columns(name).items()}


def _groups(score: pd.Series, tag: pd.Series, name: str) -> dict[str, float]:
    present, absent = score[tag == 1], score[tag == 0]
    p, auc = mann_whitney(present, absent)
    found: dict[str, float] = {"u_p": p, "auc": auc}
    for group, values in {"present": present, "absent": absent}.items():
        found |= {group: values.median(), f"{group}_n": values.count()}
    return {f"{name}_{key}": value for key, value in found.items()}


def _paired(
    method: pd.DataFrame, baseline: pd.DataFrame, metric: str, bootstrap: Bootstrap
) -> dict[str, float | str]:
    ours, theirs = _common(method, baseline)
    differences = (ours[metric] - theirs[metric]).dropna()
    difference = differences.groupby("case", sort=False).mean().round(DECIMALS)
    patients = ours.groupby("case")["patient"].first().reindex(difference.index)
    estimate = ratio(difference, np.ones(len(difference)), patients, bootstrap)
    of_patients = difference.groupby(patients).mean().round(DECIMALS)
    p, effect = signed_rank(of_patients)
    counts = {"patients": len(of_patients), "equal": int((of_patients == 0).sum())}
    found = {"n": len(difference), **estimate.columns("difference")}
    return found | counts | {"p": p, "effect": effect} | _pairing(method, baseline)


def _covered(
    method: pd.DataFrame, baseline: pd.DataFrame, ceiling: pd.DataFrame, bootstrap: Bootstrap
) -> dict[str, float | str]:
    common = _common(method, baseline, ceiling)
    with_dice = _defined_in_all(common, ["dice"])
    with_voxels = _defined_in_all(common, ["tp_voxels", "fp_voxels", "fn_voxels"])
    m, b, c = with_dice
    mean = share_of_way(_mean(m), _mean(b), _mean(c), m["patient"], bootstrap)
    m, b, c = with_voxels
    pooled = share_of_way(_voxels(m), _voxels(b), _voxels(c), m["patient"], bootstrap)
    found = {"n": len(with_dice[0]), **mean.columns("mean"), **pooled.columns("pooled")}
    return found | _pairing(method, baseline, ceiling)


def _common(*methods: pd.DataFrame) -> list[pd.DataFrame]:
    """Return of each method the rows that all have, in one order; index: case, seed and fold."""
    indexed = [rows.set_index([*PAIR]) for rows in methods]
    common = indexed[0].index
    for rows in indexed[1:]:
        common = common[common.isin(rows.index)]
    return [rows.reindex(common) for rows in indexed]


def _defined_in_all(common: list[pd.DataFrame], names: list[str]) -> list[pd.DataFrame]:
    """Return the cases of each method, averaged over the rows where all have these columns."""
    defined = np.all([_column(rows, name).notna() for rows in common for name in names], axis=0)
    return [per_case(rows[defined].reset_index()) for rows in common]


def _pairing(*methods: pd.DataFrame) -> dict[str, float | str]:
    """Return which seeds all methods share, which there are, and how many rows have no partner."""
    paired = _common(*methods)[0]
    return {
        "seeds": _listed(paired.index.get_level_values("seed")),
        "seeds_of": _listed(seed for rows in methods for seed in rows["seed"]),
        "unpaired": sum(len(rows) - len(paired) for rows in methods),
    }


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(seeds))))


def _mean(cases: pd.DataFrame) -> Part:
    """Return the parts of the mean Dice."""
    return _column(cases, "dice"), np.ones(len(cases))


def _voxels(cases: pd.DataFrame) -> Part:
    """Return the parts of the pooled Dice."""
    twice = 2 * _column(cases, "tp_voxels")
    return twice, twice + _column(cases, "fp_voxels") + _column(cases, "fn_voxels")


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else pd.Series(np.nan, index=frame.index)
