"""Slices with the contours of what was annotated and what was predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from wsseg.core.volume import VoxelMask
from wsseg.evaluation.summary import average_by_case
from wsseg.report.figures.style import drawing

Plane: TypeAlias = NDArray[np.bool_]  # (H, W)

BLACK, PALE = "#0b0d10", "#c9d1d9"
PANEL_IN, TITLE_IN, LEGEND_IN = 3.9, 0.26, 0.3
HALO = [withStroke(linewidth=2.2, foreground=BLACK, alpha=0.4)]  # legible on white too
# Green and red of Wu 2020, fig. 5, as bluish green and vermilion; the dashes tell them apart too.
CONTOURS = (("#2fe0a5", "--"), ("#ff5a36", "-"), ("#5cc8ff", ":"), ("#ffd84d", "-."))


@dataclass(frozen=True)
class Overlay:
    """One slice of a case: its image in the scanner's unit, and its masks by class."""

    caption: str
    image: NDArray[Any]  # (H, W)
    predicted: Mapping[str, Plane]
    true: Mapping[str, Plane] = field(default_factory=dict)  # empty: not annotated
    group: str = ""  # the heading that it stands below
    window: tuple[float, float] | None = None  # black and white; None: 1st and 99th percentile


def draw(shown: Overlay) -> Figure:
    """Draw a slice twice, annotated and predicted; colours follow the order of `predicted`."""
    names = list(dict.fromkeys([*shown.predicted, *shown.true]))
    styles = {name: CONTOURS[number % len(CONTOURS)] for number, name in enumerate(names)}
    height, width = shown.image.shape
    panel_in = PANEL_IN * height / width
    whole_in = panel_in + TITLE_IN + LEGEND_IN
    with drawing():
        figure = Figure(figsize=(2 * PANEL_IN, whole_in), facecolor=BLACK)
        figure.set_layout_engine("none")
        for column, (title, masks) in enumerate(
            [("annotated", shown.true), ("predicted", shown.predicted)]
        ):
            place = (0.5 * column, LEGEND_IN / whole_in, 0.498, panel_in / whole_in)
            axes = figure.add_axes(place)
            _panel(axes, shown, masks, styles)
            axes.set_title(title if masks else f"not {title}", color=PALE, x=0.015, pad=5)
        lines = [Line2D([], [], color=c, ls=dash, label=n) for n, (c, dash) in styles.items()]
        figure.legend(handles=lines, loc="lower center", ncols=len(lines), labelcolor=PALE)
    return figure


def percentile_window(image: NDArray[Any]) -> tuple[float, float]:
    """Return the 1st and the 99th percentile of an image."""
    low, high = np.percentile(image, [1, 99])
    return float(low), float(high)


def show_image(axes: Axes, image: NDArray[Any], window: tuple[float, float]) -> None:
    """Draw an image in grey; `window` has the values of black and white."""
    low, high = window
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="bicubic")


def telling_slice(predicted: VoxelMask, true: VoxelMask | None = None) -> int:
    """Return the slice with most of the true mask, or, where that is empty, of the predicted."""
    mask = predicted if true is None or not true.any() else true
    return int(mask.sum(axis=(1, 2)).argmax())


def telling_cases(rows: pd.DataFrame, method: str) -> dict[str, str]:
    """Return the best, the median and the three worst cases of a method by the target's Dice.

    Cases where it is not defined are left out, and no case is named twice.
    """
    cases = average_by_case(rows[rows["method"] == method])
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


def _panel(
    axes: Axes, shown: Overlay, masks: Mapping[str, Plane], styles: Mapping[str, tuple[str, str]]
) -> None:
    show_image(axes, shown.image, shown.window or percentile_window(shown.image))
    for name, mask in masks.items():
        if mask.any():
            outline = np.pad(mask.astype(float), 1)  # closed at the image's border
            y, x = (np.arange(-1, length + 1) for length in mask.shape)
            shade, dash = styles[name]
            lines = axes.contour(x, y, outline, [0.5], colors=shade, linestyles=dash)
            lines.set(linewidth=1.2, path_effects=HALO)
    axes.set(xlim=(-0.5, shown.image.shape[1] - 0.5), ylim=(shown.image.shape[0] - 0.5, -0.5))
    axes.set_axis_off()
