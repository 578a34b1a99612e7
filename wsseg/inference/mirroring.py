"""Logits averaged over mirrored images."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal, TypeAlias

from wsseg.core.batch import Batch, Logits

Direction: TypeAlias = Literal["left-right", "front-back"]  # as in `mirror` of a stage

DIRECTIONS: tuple[Direction, ...] = ("left-right", "front-back")
AXES: dict[Direction, int] = {"left-right": -1, "front-back": -2}  # of images, (..., H, W)


def mean_over_mirrored(
    logits: Callable[[Batch], Logits], batch: Batch, mirror: Sequence[Direction]
) -> Logits:
    """Return the mean of the logits of a batch and of its mirrored images, mirrored back.

    The images are mirrored in all combinations of the directions of `mirror`.
    """
    axes = sorted({AXES[each] for each in mirror})
    mirrored = [each for n in range(len(axes)) for each in combinations(axes, n + 1)]
    total = logits(batch)
    for flipped in mirrored:
        total += logits(_mirrored(batch, flipped)).flip(flipped)
    return total / (1 + len(mirrored))


def _mirrored(batch: Batch, axes: tuple[int, ...]) -> Batch:
    return replace(batch, image=batch.image.flip(axes), region=batch.region.flip(axes))
