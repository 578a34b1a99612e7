"""The probabilities that a run predicts for a scan."""

import re

from wsseg.core.case import Case
from wsseg.data.mask_files import mask_suffix, write_shares
from wsseg.data.scan_grid import shares_on_scan_grid
from wsseg.inference.folders import PredictionFolder
from wsseg.inference.run import Run
from wsseg.inference.stage_prediction import stage_probabilities
from wsseg.runtime.cache_leases import release

NOT_IN_NAMES = re.compile(r"[^\w-]")  # characters that file names should not have
COLUMN = "_probability"  # end of the column of a class


def write_probabilities(run: Run, case: Case, folder: PredictionFolder) -> dict[str, float]:
    """Write a file for each class, and return the probability of each class in the case.

    The files have the grid of the scan. The probability of a class in the case is the largest over
    the pixels of the network's grid, because a case has a class if one of its pixels has it. It is
    0 if the region of the stage is empty. This function calibrates nothing.

    Source: Maron & Lozano-Perez 1998, "A framework for multiple-instance learning".
    """
    prepared, columns = run.prepare(case), dict[str, float]()
    values = {name: value for value, name in enumerate(run.recipe.classes, 1)}
    for name in run.recipe.stages:
        trained = run.pipeline.stages[name]
        scan = run.pipeline.scan(trained.stage, prepared)
        planes = stage_probabilities(trained, scan, run.pipeline.fabric)
        for of_class, plane in zip(trained.stage.classes, planes, strict=True):
            label = f"{values[of_class]}-{NOT_IN_NAMES.sub('-', of_class)}"
            path = folder.probability(case.name, label, mask_suffix(prepared.grid))
            write_shares(path, shares_on_scan_grid(prepared, plane), prepared.grid)
            columns[of_class + COLUMN] = float(plane.max())
    release(prepared.folder)
    return columns
