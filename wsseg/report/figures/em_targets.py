"""Figure of the targets of the E-step in a few training slices, by epoch."""

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
MARGIN_PIXELS = 6  # shown around the region


@dataclass(frozen=True)
class TargetPlanes:
    """Image, region and targets of N slices from the training cases of a stage."""

    caption: str
    target: str
    image: NDArray[Any]  # (N, H, W), in the unit of the scan, or (N, H, W, 3) in colours
    region: NDArray[np.bool_]  # (N, H, W)
    by_epoch: Mapping[int, NDArray[np.bool_]]  # (N, H, W) each
    window: tuple[float, float] | None = None  # black and white; None: percentiles 1 and 99


def draw_targets(shown: TargetPlanes) -> Figure:
    """Draw a row per slice and a column per epoch."""
    count, epochs = len(shown.image), len(shown.by_epoch)
    box = _bounding_box(shown.region)
    image, region = shown.image[:, *box], shown.region[:, *box]
    panel_in = PANEL_IN * image.shape[1] / image.shape[2]
    height_in = count * panel_in + TITLE_IN
    colour, _ = CONTOURS[1]
    with drawing():
        figure = Figure(figsize=(epochs * PANEL_IN, height_in), facecolor=BLACK)
        figure.set_layout_engine("none")
        for column, (epoch, planes) in enumerate(shown.by_epoch.items()):
            for row in range(count):
                bottom = (count - 1 - row) * panel_in / height_in
                position = (column / epochs, bottom, 0.995 / epochs, 0.985 * panel_in / height_in)
                axes = figure.add_axes(position)
                window = shown.window or percentile_window(shown.image[row])
                show_image(axes, image[row].astype(np.float32), window)
                for mask, shade in ((region[row], PALE), (planes[:, *box][row], colour)):
                    if mask.any() and not mask.all():
                        lines = axes.contour(mask.astype(float), [0.5], colors=shade)
                        lines.set(linewidth=0.7 if shade == PALE else 1.2, path_effects=HALO)
                share = planes[row].sum() / max(1, shown.region[row].sum())
                axes.text(0.03, 0.03, f"{100 * share:.0f} % of the region", color=PALE,
                          transform=axes.transAxes, fontsize=7, path_effects=HALO)  # fmt: skip
                axes.set_axis_off()
                if row == 0:
                    title = "before the first epoch" if epoch == 0 else f"after epoch {epoch}"
                    axes.set_title(title, color=PALE, x=0.015, pad=5)
    return figure


def _bounding_box(region: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns of the region in any slice, with a margin; all if it is empty."""
    sides = []
    for axis in (1, 2):
        used = np.flatnonzero(region.any(axis=(0, 3 - axis)))
        low, high = (used[0], used[-1]) if used.size else (0, region.shape[axis])
        sides.append(slice(max(0, int(low) - MARGIN_PIXELS), int(high) + MARGIN_PIXELS + 1))
    return sides[0], sides[1]
