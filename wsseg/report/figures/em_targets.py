"""The targets of EM in a few slices, from before its first epoch to its last."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsseg.report.figures.overlay import (
    BLACK,
    CONTOURS,
    HALO,
    PALE,
    percentile_window,
    show_image,
)
from wsseg.report.figures.style import drawing

PANEL_IN, TITLE_IN = 2.2, 0.3
MARGIN = 6  # pixels that are shown around the region


@dataclass(frozen=True)
class TargetPlanes:
    """N slices of a stage's training cases: image in the scanner's unit, region, targets."""

    caption: str
    target: str
    image: NDArray[Any]  # (N, H, W)
    region: NDArray[np.bool_]  # (N, H, W)
    by_epoch: Mapping[int, NDArray[np.bool_]]  # (N, H, W) each
    window: tuple[float, float] | None = None  # black and white; None: 1st and 99th percentile


def draw_targets(shown: TargetPlanes) -> Figure:
    """Draw the slices one below the other, and the epochs side by side."""
    count, epochs = len(shown.image), len(shown.by_epoch)
    box = _around(shown.region)
    image, region = shown.image[:, *box], shown.region[:, *box]
    panel_in = PANEL_IN * image.shape[1] / image.shape[2]
    height_in = count * panel_in + TITLE_IN
    colour, _ = CONTOURS[1]
    with drawing():
        figure = Figure(figsize=(epochs * PANEL_IN, height_in), facecolor=BLACK)
        figure.set_layout_engine("none")
        for column, (epoch, planes) in enumerate(shown.by_epoch.items()):
            for line in range(count):
                bottom = (count - 1 - line) * panel_in / height_in
                place = (column / epochs, bottom, 0.995 / epochs, 0.985 * panel_in / height_in)
                axes = figure.add_axes(place)
                window = shown.window or percentile_window(shown.image[line])
                show_image(axes, image[line].astype(np.float32), window)
                for mask, shade in ((region[line], PALE), (planes[:, *box][line], colour)):
                    if mask.any() and not mask.all():
                        lines = axes.contour(mask.astype(float), [0.5], colors=shade)
                        lines.set(linewidth=0.7 if shade == PALE else 1.2, path_effects=HALO)
                share = planes[line].sum() / max(1, shown.region[line].sum())
                axes.text(0.03, 0.03, f"{100 * share:.0f} % of the region", color=PALE,
                          transform=axes.transAxes, fontsize=7, path_effects=HALO)  # fmt: skip
                axes.set_axis_off()
                if line == 0:
                    when = "before the first epoch" if epoch == 0 else f"after epoch {epoch}"
                    axes.set_title(when, color=PALE, x=0.015, pad=5)
    return figure


def _around(region: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return rows and columns that have any region, with a margin; all where there is none."""
    sides = []
    for axis in (1, 2):
        used = np.flatnonzero(region.any(axis=(0, 3 - axis)))
        low, high = (used[0], used[-1]) if used.size else (0, region.shape[axis])
        sides.append(slice(max(0, int(low) - MARGIN), int(high) + MARGIN + 1))
    return sides[0], sides[1]
