"""The sizes, scores and Dice coefficients of one case in words."""

import math
from collections.abc import Mapping, Sequence

from wsseg.components.metrics import Dice, mask_size
from wsseg.core.volume import VoxelMask
from wsseg.data.reading import read_case_mask
from wsseg.inference.run import Prediction
from wsseg.report.formatting import number, significant


def annotations(prediction: Prediction, classes: Sequence[str]) -> dict[str, VoxelMask]:
    """Return the true masks of a case by class; only annotated classes are included.

    Raises:
        InputError: A mask cannot be read, or does not match the image.
    """
    case, grid = prediction.case, prediction.mask.grid
    return {name: read_case_mask(case, name, grid) for name in classes if name in case.masks}


def case_numbers(prediction: Prediction, true: Mapping[str, VoxelMask]) -> dict[str, str]:
    """Return the sizes, Dice coefficients and scores of a case as text, by class, region or score.

    A class or region has its size, and if it is annotated also the true size and the Dice
    coefficient: "8.1 ml, annotated 9.0 ml, Dice 0.84".
    """
    grid = prediction.mask.grid
    digits, unit = (0, "px") if grid.unit == "px" else (1, "ml")
    numbers: dict[str, str] = {}
    for name, mask in prediction.masks.items():
        parts = [f"{number(mask_size(mask, grid), digits)} {unit}"]
        if name in true:
            parts.append(f"annotated {number(mask_size(true[name], grid), digits)} {unit}")
            dice = Dice()(mask, true[name], grid, mask)["dice"]
            parts += [] if math.isnan(dice) else [f"Dice {number(dice, 2)}"]
        numbers[name] = ", ".join(parts)
    sizes = {f"{name}_{unit}" for name in prediction.masks}
    scores = {name: value for name, value in prediction.scores.items() if name not in sizes}
    return numbers | {name.replace("_", " "): significant(each) for name, each in scores.items()}
