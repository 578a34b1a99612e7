"""Draw docs/phantom.png: six phantom slices with the outlines of their masks, in the lung window.

Example: python -m benchmarks.phantom.picture docs/phantom.png
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from wsseg.report.figures.panels import tints
from wsseg.runtime.files import atomic_write
from wsseg_covid.phantom.cohort import LungPhantom
from wsseg_covid.phantom.cohort import draw as draw_phantom
from wsseg_covid.phantom.patient import Phantom

# The first three have consolidation; cases of all sites, with thick and thin slices.
CASES = (0, 4, 8, 3, 7, 11)
WINDOW_HU = (-1350, 150)
COLOURS = tints(["infection", "consolidation"])  # blue and orange, as in reports
CROP = (150, 212)  # rows and columns around the lungs


def write_picture(path: Path, cohort: LungPhantom) -> None:
    """Write the picture with the most affected slice of each case."""
    mpl.use("Agg")
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.19), facecolor="black")
    for panel, index in zip(axes.flat, CASES, strict=True):
        draw_slice(panel, draw_phantom(cohort, index))
    figure.subplots_adjust(0, 0, 1, 1, wspace=0.008, hspace=0.008)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=92, facecolor="black", pil_kwargs={"optimize": True})
    plt.close(figure)


def draw_slice(panel: Axes, case: Phantom) -> None:
    """Draw the slice with the most consolidation, or the most infection if there is none."""
    disease = case.consolidation if case.consolidation.any() else case.infection
    z = int(disease.sum(axis=(1, 2)).argmax())
    _, rows, columns = np.where(case.lung)
    top, left = (
        int((at.min() + at.max() - side) / 2)
        for at, side in zip((rows, columns), CROP, strict=True)
    )
    crop = np.s_[z, top : top + CROP[0], left : left + CROP[1]]
    low, high = WINDOW_HU
    panel.imshow(case.image[crop], cmap="gray", vmin=low, vmax=high, interpolation="bicubic")
    for name, colour in COLOURS.items():
        mask = getattr(case, name)[crop]
        if mask.any():
            panel.contour(mask, [0.5], colors=colour, linewidths=0.9)
    panel.axis("off")


if __name__ == "__main__":
    write_picture(Path(sys.argv[1]), LungPhantom())
