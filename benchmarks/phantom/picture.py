"""Draws docs/phantom.png: six phantom slices with their true outlines, in the lung window.

Example: python benchmarks/phantom/picture.py docs/phantom.png
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from wsseg.runtime.files import atomic_write
from wsseg_covid.phantom.cohort import LungPhantom, draw
from wsseg_covid.phantom.patient import Phantom

CASES = (0, 4, 8, 3, 7, 11)  # the upper three with consolidation; all sites, thick and thin
WINDOW_HU = (-1350, 150)
COLOURS = {"infection": "#3ddc5a", "consolidation": "#ff4b3a"}
CROP = (150, 212)  # rows and columns around the lungs


def picture(path: Path, cohort: LungPhantom) -> None:
    """Write the picture, with the most affected slice of each case."""
    mpl.use("Agg")
    figure, places = plt.subplots(2, 3, figsize=(11, 5.19), facecolor="black")
    for place, index in zip(places.flat, CASES, strict=True):
        show(place, draw(cohort, index))
    figure.subplots_adjust(0, 0, 1, 1, wspace=0.008, hspace=0.008)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=92, facecolor="black", pil_kwargs={"optimize": True})
    plt.close(figure)


def show(place: Axes, case: Phantom) -> None:
    """Draw the slice with most consolidation, or else most ground-glass."""
    disease = case.consolidation if case.consolidation.any() else case.infection
    z = int(disease.sum(axis=(1, 2)).argmax())
    _, rows, columns = np.where(case.lung)
    top, left = (
        int((at.min() + at.max() - side) / 2)
        for at, side in zip((rows, columns), CROP, strict=True)
    )
    seen = np.s_[z, top : top + CROP[0], left : left + CROP[1]]
    low, high = WINDOW_HU
    place.imshow(case.image[seen], cmap="gray", vmin=low, vmax=high, interpolation="bicubic")
    for name, colour in COLOURS.items():
        mask = getattr(case, name)[seen]
        if mask.any():
            place.contour(mask, [0.5], colors=colour, linewidths=0.9)
    place.axis("off")


if __name__ == "__main__":
    picture(Path(sys.argv[1]), LungPhantom())
