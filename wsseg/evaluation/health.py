"""Detection of collapsed methods, whose targets or predictions mark nothing or everything.

Problems of EM's targets are detected from the training records and stored in the column
`run.health` of the rows. Problems of the predictions are detected from the rows.
"""

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from wsseg.config.columns import HEALTH
from wsseg.evaluation.class_columns import (
    class_prefixes,
    column_or_nan,
    predicted_voxels,
    true_voxels,
)
from wsseg.training.target_health import FULL_SHARE, NOT_A_RESULT, SEPARATOR


def method_health(rows: pd.DataFrame) -> str:
    """Describe the problems of the runs of one method, or return "".

    An example is "targets fill the region in 1 of 3 runs". A run is a seed and a fold.
    """
    runs = [own for _, own in rows.groupby(["seed", "fold"], sort=False, dropna=False)]
    counts = Counter(problem for own in runs for problem in dict.fromkeys(_problems(own)))
    return SEPARATOR.join(
        problem if number == len(runs) else f"{problem} in {number} of {len(runs)} runs"
        for problem, number in counts.items()
    )


def is_result(summary: pd.DataFrame) -> pd.Series:
    """Return whether each row's method is a result, that is, has not collapsed."""
    if "health" not in summary:
        return pd.Series(data=True, index=summary.index)
    return summary["health"] == ""


def health_notes(summary: pd.DataFrame) -> list[str]:
    """Return a line for each method that is not a result: "em: targets are empty: not a result"."""
    collapsed = summary[~is_result(summary)]
    return [
        f"{method}: {health}: {NOT_A_RESULT}"
        for method, health in zip(collapsed["method"], collapsed["health"], strict=True)
    ]


def _problems(rows: pd.DataFrame) -> Iterator[str]:
    """Yield the problems of one run's targets and predictions."""
    for text in rows[HEALTH].unique() if HEALTH in rows else ():
        yield from filter(None, text.split(SEPARATOR))
    for prefix in class_prefixes(rows):
        of = f" of {prefix.removesuffix('.')}" if prefix else ""
        if _marks_nothing(rows, prefix):
            yield f"predictions{of} are empty"
        if _marks_everything(rows, prefix):
            yield f"predictions{of} fill the region"


def _marks_nothing(rows: pd.DataFrame, prefix: str) -> bool:
    """Return whether nothing is predicted in any case although some cases have the class."""
    true, predicted = true_voxels(rows, prefix), predicted_voxels(rows, prefix)
    return bool(true.sum() > 0 and predicted.sum() == 0)


def _marks_everything(rows: pd.DataFrame, prefix: str) -> bool:
    """Return whether the predictions fill the region although the class does not."""
    fpr, positive, negative = (
        column_or_nan(rows, prefix + name) for name in ("fpr", "positive_voxels", "negative_voxels")
    )
    false, free = (fpr * negative).sum(), negative.sum()
    is_filled_by_class = free <= (1 - FULL_SHARE) * (positive.sum() + free)
    return bool(not is_filled_by_class and false > FULL_SHARE * free)
