"""Which cases of a method and which slice of a case are shown in pictures."""

import pandas as pd

from wsseg.core.volume import VoxelMask
from wsseg.evaluation.class_columns import dice_where_present
from wsseg.evaluation.summary import average_by_case


def key_slice(predicted: VoxelMask, true: VoxelMask | None = None) -> int:
    """Return the slice with most true voxels, or with most predicted ones if none is true."""
    mask = predicted if true is None or not true.any() else true
    return int(mask.sum(axis=(1, 2)).argmax())


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
