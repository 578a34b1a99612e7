"""The columns of a run's table of results, and the check that no two parts share a column."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from wsseg.core.component import KeyProblemError
from wsseg.core.volume import Grid

if TYPE_CHECKING:  # these import torch, and reports need only the names of columns
    from wsseg.core.interfaces import Metric, Score

KEY = ("method", "seed", "fold", "case")  # no two rows of a file agree in all four
IDENTITY = (*KEY, "patient", "site")  # text, except the seed
WARNINGS = "warnings"  # text about the scan
HEALTH, FINGERPRINT = "run.health", "run.fingerprint"
RUN_COLUMNS = (  # text
    HEALTH,  # why the run is not a result
    "run.commit",  # of wsseg's source tree, or the version of wsseg
    "run.versions",  # of Python, wsseg, torch and plugins
    "run.device",  # GPU or CPU
    "run.precision",
    "run.threads",
    "run.date",  # in UTC
    "run.seconds",  # of training all of its stages, including shared ones, and of scoring
    FINGERPRINT,  # of the settings and the code that decide the results
)
TEXTS = (*IDENTITY, WARNINGS, *RUN_COLUMNS)  # every other column is a number
SCAN, PICTURE = Grid((1, 1, 1), np.eye(4)), Grid((1, 1, 1), np.eye(4), unit="px")
OF_MASKS = ("ml", "px")  # ends of columns of `wsseg predict`: sizes of classes, regions and stages
OF_CLASSES = ("probability", "agreement", *OF_MASKS)  # the same of classes, with its options
ABLATIONS = ("prior", "both")  # prefixes of the Dice of the prior, alone and with the network


def check_columns(
    classes: Sequence[str],
    metrics: Mapping[str, "Metric"],
    scores: Mapping[str, "Score"],
    others: Iterable[str] = (),
) -> None:
    """Check that every column of the results belongs to a single metric or score.

    No score has the name of a column that `wsseg predict` writes for a class, or for one of
    `others`, the regions and stages.

    The last class is the target: its columns have no prefix.

    Raises:
        KeyProblemError: A name is invalid, or two parts have the same column.
    """
    from wsseg.components.metrics import Dice

    if "tag" in classes[:-1]:
        raise KeyProblemError(
            ("stages",),
            "columns of a class called 'tag' would look like columns of tags; rename the class",
        )
    owners = dict.fromkeys(IDENTITY, "the identity of a case")
    owners[WARNINGS] = "the warnings about a scan"
    owners |= dict.fromkeys(RUN_COLUMNS, "a run")
    owners |= {f"tag.{name}": "a tag" for name in classes}
    dice = metric_column_names(Dice())
    owners |= {f"{each}_{name}": "the prior's Dice" for each in ABLATIONS for name in dice}
    for key, metric in metrics.items():
        columns = metric_column_names(metric)
        if dotted := [name for name in columns if "." in name]:
            raise KeyProblemError(
                ("metrics", key), f"its column {dotted[0]!r} contains a dot; rename the column"
            )
        _check_scores_prefix(key, columns, classes)
        prefixes = ["", *(f"{name}." for name in classes[:-1])]
        _add(owners, ("metrics", key), [f"{p}{name}" for p in prefixes for name in columns])
    owners = dict.fromkeys(_columns_of_own_metrics(), "wsseg's metrics") | owners
    ends = [*product(classes, OF_CLASSES), *product(others, OF_MASKS)]
    owners |= {f"{name}_{end}": f"predictions of {name!r}" for name, end in ends}
    for key in scores:
        if "." in key or key.endswith("_true") or not key.strip():
            raise KeyProblemError(
                ("scores", key),
                "is not a valid name for a score; use a name without '.' that does not end in "
                "'_true'",
            )
        _add(owners, ("scores", key), [key, f"{key}_true"])


def _add(owners: dict[str, str], key: tuple[str, str], columns: Iterable[str]) -> None:
    for column in columns:
        if column in owners:
            kind = key[0].removesuffix("s")
            raise KeyProblemError(
                key,
                f"the column {column!r} of the results would belong to both {owners[column]} and "
                f"this {kind}; "
                + ("choose another name" if kind == "score" else "remove or change one of them"),
            )
        owners[column] = ".".join(key)


def _check_scores_prefix(key: str, columns: Iterable[str], classes: Sequence[str]) -> None:
    """Check that no column of a metric looks like a score of a class, `<class>_...`."""
    for column in columns:
        if name := next((each for each in classes if column.startswith(f"{each}_")), None):
            raise KeyProblemError(
                ("metrics", key),
                f"the column {column!r} of the results starts with the class {name!r}, as the "
                "columns of its scores do; rename the class",
            )


def metric_column_names(metric: "Metric") -> list[str]:
    """Return the columns of a metric for scans and for pictures.

    They are found by applying the metric to masks of a single voxel.
    """
    return list(dict.fromkeys([*_columns(metric, SCAN), *_columns(metric, PICTURE)]))


def _columns(metric: "Metric", grid: Grid) -> list[str]:
    mask = np.ones(grid.canonical_shape, bool)
    try:
        values = metric(mask, mask, grid, mask)
    except Exception:  # noqa: BLE001 - a plugin may raise anything; scoring reports it
        return []
    return list(values) if isinstance(values, Mapping) else []


@cache
def _columns_of_own_metrics() -> tuple[str, ...]:
    """Return the columns from which tables and figures are made, even if no metric has them."""
    from wsseg.components.error_metrics import DilatedFallOut, ErrorPlaces
    from wsseg.components.metrics import Dice, Rates, SurfaceDistance, VolumeError

    places = ErrorPlaces(border_mm=1, thin_mm=1)
    metrics = (Dice(), Rates(), SurfaceDistance(), VolumeError(), DilatedFallOut(), places)
    return tuple(name for metric in metrics for name in metric_column_names(metric))
