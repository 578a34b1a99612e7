"""The cases of a method, and the slices of a case, that pictures show."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from wsseg.core.volume import VoxelMask
from wsseg.evaluation.class_columns import dice_where_present
from wsseg.evaluation.summary import average_by_case


def key_slice(predicted: VoxelMask, true: VoxelMask | None = None) -> int:
    """Return the slice with the most true voxels, or the most predicted ones if none is true.

    If both masks are empty, it is the middle slice.
    """
    mask = predicted if true is None or not true.any() else true
    return int(_areas(mask).argmax()) if mask.any() else len(mask) // 2


def finding_slices(mask: VoxelMask, most: int) -> list[int]:
    """Return up to `most` slices through the largest findings, in their order.

    A finding is a connected component of the mask. Each finding has its largest slice, unless an
    earlier slice cuts it. The remaining slices are those for which the area of the mask times the
    distance to the nearest chosen slice is largest. If the mask is empty, it is the middle slice.
    """
    if not mask.any():
        return [len(mask) // 2]
    chosen: list[int] = []
    for areas in _areas_of_findings(mask):
        if len(chosen) < most and not areas[chosen].any():
            chosen.append(int(areas.argmax()))
    slices, areas = np.arange(len(mask)), _areas(mask)
    while len(chosen) < min(most, int(np.count_nonzero(areas))):
        distances = np.abs(slices[:, None] - chosen).min(axis=1)
        chosen.append(int((areas * distances).argmax()))
    return sorted(chosen)


def key_cases(rows: pd.DataFrame, method: str) -> dict[str, str]:
    """Return the best, the median and the three worst cases of a method by the target's Dice.

    Cases without the target are left out, and no case occurs twice.
    """
    cases = average_by_case(dice_where_present(rows[rows["method"] == method]))
    dice = cases["dice"].dropna() if "dice" in cases else pd.Series(dtype=float)
    ranked = [str(case) for case in dice.sort_values(ascending=False, kind="stable").index]
    last = len(ranked) - 1
    places = {"best": 0, "worst": last, "median": last // 2}
    places |= {"second worst": last - 1, "third worst": last - 2}
    chosen: dict[str, str] = {}
    for name, place in places.items():
        if 0 <= place < len(ranked) and ranked[place] not in chosen.values():
            chosen[name] = ranked[place]
    order = ("best", "median", "third worst", "second worst", "worst")
    return {name: chosen[name] for name in order if name in chosen}


def _areas(mask: VoxelMask) -> NDArray[np.intp]:
    """Return the number of voxels in each slice."""
    areas: NDArray[np.intp] = np.count_nonzero(mask, axis=(1, 2))
    return areas


def _areas_of_findings(mask: VoxelMask) -> Iterator[NDArray[np.intp]]:
    """Yield the number of voxels in each slice of each connected component, the largest first."""
    labels: NDArray[Any]
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    boxes = ndimage.find_objects(labels)
    for number in np.argsort(-sizes, kind="stable"):
        box = boxes[number]
        areas = np.zeros(len(mask), np.intp)
        areas[box[0]] = _areas(labels[box] == number + 1)
        yield areas
