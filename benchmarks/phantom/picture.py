"""Draw docs/phantom.png: test cases of a run, annotated and as the run predicts them.

Example: python -m benchmarks.phantom.picture runs/phantom/em/seed-0 docs/phantom.png
"""

import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

from wsseg.core.contracts import cases_of
from wsseg.core.volume import VoxelMask
from wsseg.evaluation.rows import read_rows
from wsseg.inference.folders import RunFolder
from wsseg.inference.run import load_run
from wsseg.report.figures.key_cases import key_slice
from wsseg.report.figures.panels import Panel, Picture, draw_panel, tints
from wsseg.report.predicted_case import PredictedCase, predicted_case
from wsseg.runtime.files import atomic_write

QUARTILES = (0.25, 0.5, 0.75)  # of Dice over the cases with the target, so the cases are typical
WINDOW_HU = (-1350, 150)
SIDE_PX = 330
MARGIN_PX = 12  # around the lungs


def write_picture(folder: Path, path: Path) -> None:
    """Write a row of annotated slices, and a row of the same slices as predicted."""
    run = load_run(folder)
    cases = {case.name: case for case in cases_of(run.recipe.test or run.recipe.cohort)}
    dice = typical_cases(folder)
    shown = [predicted_case(run, cases[name]) for name in dice]
    rows = {
        "annotated": [draw(case, case.true) for case in shown],
        "predicted": [draw(case, case.predicted) for case in shown],
    }
    write_grid(path, rows, [f"Dice {value:.2f}" for value in dice.values()])


def typical_cases(folder: Path) -> dict[str, float]:
    """Return the cases at the quartiles of Dice, of the cases in which the target is present."""
    rows = read_rows(RunFolder(folder).scores)
    dice = rows[rows["positive_voxels"] > 0].set_index("case")["dice"].sort_values()
    ranks = [round(quartile * (len(dice) - 1)) for quartile in QUARTILES]
    return {str(dice.index[rank]): float(dice.iloc[rank]) for rank in ranks}


def draw(case: PredictedCase, masks: Mapping[str, VoxelMask]) -> Picture:
    """Return the lungs in the slice with the most of the target, with tinted masks."""
    z = key_slice(case.predicted[case.target], case.true[case.target])
    lungs = case.prediction.masks["lung"]
    box = tuple(
        slice(max(0, at.min() - MARGIN_PX), at.max() + MARGIN_PX) for at in np.where(lungs)[1:]
    )
    panel = Panel("", case.image[z], {name: mask[z] for name, mask in masks.items()})
    return draw_panel(panel, (box[0], box[1]), WINDOW_HU, tints(case.classes), SIDE_PX)


def write_grid(path: Path, rows: Mapping[str, Sequence[Picture]], captions: Sequence[str]) -> None:
    """Write rows of pictures, with the name of each row and a caption below each column."""
    mpl.use("Agg")
    figure, axes = plt.subplots(len(rows), len(captions), figsize=(11, 5.6), facecolor="white")
    for (name, pictures), line in zip(rows.items(), axes, strict=True):
        line[0].set_ylabel(name, fontsize=15)
        for picture, panel in zip(pictures, line, strict=True):
            panel.imshow(picture)
            panel.set(xticks=[], yticks=[], frame_on=False, anchor="S")
    for panel, caption in zip(axes[-1], captions, strict=True):
        panel.set_xlabel(caption, fontsize=15)
    figure.subplots_adjust(0.03, 0.06, 0.999, 0.999, wspace=0.01, hspace=0.01)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=92)
    plt.close(figure)
    with atomic_write(path) as temporary:
        Image.open(drawn).convert("RGB").quantize().save(temporary, optimize=True)


if __name__ == "__main__":
    write_picture(Path(sys.argv[1]), Path(sys.argv[2]))
