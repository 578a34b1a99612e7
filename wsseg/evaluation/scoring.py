"""The numbers in one case's row."""

from collections.abc import Mapping, Sequence

import numpy as np

from wsseg.core.interfaces import Metric, Score
from wsseg.core.volume import Spacing, VoxelMask
from wsseg.errors import InputError, known_words


def score_case(
    predicted: Mapping[str, VoxelMask],
    true: Mapping[str, VoxelMask],
    spacing_mm: Spacing,
    *,
    classes: Sequence[str],
    within: Mapping[str, str | None],
    metrics: Mapping[str, Metric],
    scores: Mapping[str, Score],
) -> dict[str, float]:
    """Return the numbers of a case's row.

    `predicted` holds the masks of classes and of named regions, `true` of what is annotated;
    `within` names the region that a class was predicted in (None: the whole image); a metric of
    the annotated region has no columns where that is a class without annotation. The target, the
    last of `classes`, has the metrics' columns, another class has `<class>.<column>`, one that is
    not annotated has none. A score is `<name>` from the prediction, and `<name>_true` from the
    annotation where it has every class needed; a region without annotation counts as predicted.

    Raises:
        InputError: masks differ in shape, or a score needs one that was not predicted.
    """
    _check_shapes(predicted, true)
    regions = {name: mask for name, mask in predicted.items() if name not in classes}
    labelled = {**regions, **true}
    row: dict[str, float] = {}
    for name in classes:
        if name not in true:
            continue
        prefix = "" if name == classes[-1] else f"{name}."
        for metric in metrics.values():
            region = _region(labelled if metric.in_annotated_region else predicted, within[name])
            if region is not None:
                measured = metric(predicted[name], true[name], spacing_mm, region)
                row |= {f"{prefix}{column}": value for column, value in measured.items()}
    for name, score in scores.items():
        row |= _score(name, score, predicted, labelled)
    return row


def _check_shapes(predicted: Mapping[str, VoxelMask], true: Mapping[str, VoxelMask]) -> None:
    shapes = {f"predicted {name}": mask.shape for name, mask in predicted.items()}
    shapes |= {f"annotated {name}": mask.shape for name, mask in true.items()}
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"masks of one case have different shapes: {found}")


def _region(masks: Mapping[str, VoxelMask], place: str | None) -> VoxelMask | None:
    """Return the mask of a place, the whole image where none is named; None: it is not known."""
    return np.ones_like(next(iter(masks.values()))) if place is None else masks.get(place)


def _score(
    name: str, score: Score, predicted: Mapping[str, VoxelMask], labelled: Mapping[str, VoxelMask]
) -> dict[str, float]:
    missing = sorted(score.needs - predicted.keys())
    if missing:
        raise InputError(
            f"score {name!r} needs a mask of {missing[0]!r}; {known_words(missing[0], predicted)}"
        )
    row = {name: score(predicted)}
    return row | ({f"{name}_true": score(labelled)} if score.needs <= labelled.keys() else {})
