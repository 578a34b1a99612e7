"""Scoring of one case: its predicted masks against its annotated masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from wsseg.config.recipe import Recipe
from wsseg.core.contracts import metric_columns, score_value
from wsseg.core.interfaces import Metric, Score
from wsseg.core.volume import Grid, VoxelMask
from wsseg.errors import InputError, known_words


@dataclass(frozen=True)
class ScoringPlan:
    """The classes, regions, metrics and scores with which a recipe's predictions are scored."""

    classes: Sequence[str]  # the last one is the target
    regions: Mapping[str, str | None]  # class → region it is predicted in; None: the entire image
    metrics: Mapping[str, Metric]
    scores: Mapping[str, Score]

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Self:
        """Return the plan of a recipe."""
        regions = {name: stage.region for stage in recipe.stages.values() for name in stage.classes}
        return cls(recipe.classes, regions, recipe.metrics, recipe.scores)


def score_case(
    predicted: Mapping[str, VoxelMask],
    true: Mapping[str, VoxelMask],
    grid: Grid,
    plan: ScoringPlan,
) -> dict[str, float]:
    """Return the numbers of a case's row: metrics of each annotated class, and scores.

    The columns of the target have the names that the metrics give them; those of another class are
    `<class>.<column>`. A class without annotation has no metrics. Metrics of the annotated region
    are left out if that region is a class without annotation.

    The columns of a score are `<name>` for the prediction and `<name>_true` for the annotation. The
    latter is left out unless all classes that the score needs are annotated; a region without
    annotation is taken from the prediction.

    Args:
        predicted: Masks of the classes and of the named regions.
        true: The annotated masks among them.
        grid: The grid of all masks.
        plan: What to compute.

    Raises:
        InputError: The masks differ in shape, a score needs a mask that was not predicted, or two
            metrics or scores return the same column.
    """
    _check_shapes(predicted, true)
    regions = {name: mask for name, mask in predicted.items() if name not in plan.classes}
    annotated = {**regions, **true}
    row: dict[str, float] = {}
    for name in plan.classes:
        if name not in true:
            continue
        prefix = "" if name == plan.classes[-1] else f"{name}."
        for metric in plan.metrics.values():
            masks = annotated if metric.in_annotated_region else predicted
            region = _region_mask(masks, plan.regions[name])
            if region is not None:
                returned = metric(predicted[name], true[name], grid, region)
                values = metric_columns(metric, returned)
                _add(row, {f"{prefix}{column}": value for column, value in values.items()})
    for name, score in plan.scores.items():
        _add(row, _score_columns(name, score, predicted, annotated))
    return row


def _add(row: dict[str, float], columns: Mapping[str, float]) -> None:
    if repeated := sorted(row.keys() & columns.keys()):
        raise InputError(
            f"two metrics or scores return the column {repeated[0]!r}; remove or rename one of them"
        )
    row |= columns


def _check_shapes(predicted: Mapping[str, VoxelMask], true: Mapping[str, VoxelMask]) -> None:
    shapes = {f"predicted {name}": mask.shape for name, mask in predicted.items()}
    shapes |= {f"annotated {name}": mask.shape for name, mask in true.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(
            f"the masks of a case must have the same shape, but their shapes are: {listed}"
        )


def _region_mask(masks: Mapping[str, VoxelMask], region: str | None) -> VoxelMask | None:
    """Return the mask of `region`, all voxels if it is None, or None if its mask is unknown."""
    return np.ones_like(next(iter(masks.values()))) if region is None else masks.get(region)


def _score_columns(
    name: str, score: Score, predicted: Mapping[str, VoxelMask], annotated: Mapping[str, VoxelMask]
) -> dict[str, float]:
    missing = sorted(score.needs - predicted.keys())
    if missing:
        raise InputError(
            f"score {name!r} needs a mask of {missing[0]!r}; {known_words(missing[0], predicted)}"
        )
    columns = {name: score_value(score, score(predicted))}
    if score.needs <= annotated.keys():
        columns[f"{name}_true"] = score_value(score, score(annotated))
    return columns
