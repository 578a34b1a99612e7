"""Figures of slices with annotated and predicted contours."""

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

from wsseg.core.channels import displayed_channels
from wsseg.core.volume import Volume, VoxelMask
from wsseg.evaluation.class_columns import dice_where_present
from wsseg.evaluation.summary import average_by_case
from wsseg.report.figures.style import drawing

Plane: TypeAlias = NDArray[np.bool_]  # (H, W)

BLACK, PALE = "#0b0d10", "#c9d1d9"
PANEL_IN, TITLE_IN, LEGEND_IN = 3.9, 0.26, 0.3
HALO = [withStroke(linewidth=2.2, foreground=BLACK, alpha=0.4)]  # keeps pale lines visible on white
# Bluish green and vermilion for the green and red of Wu 2020, Fig. 5; dashes for colour blindness.
CONTOURS = (("#2fe0a5", "--"), ("#ff5a36", "-"), ("#5cc8ff", ":"), ("#ffd84d", "-."))


@dataclass(frozen=True)
class Overlay:
    """One slice of a case, and its masks by class."""

    caption: str
    image: NDArray[Any]  # (H, W), in the unit of the scan, or (H, W, 3) in colours
    predicted: Mapping[str, Plane]
    true: Mapping[str, Plane] = field(default_factory=dict)  # empty if not annotated
    group: str = ""  # heading in the report
    window: tuple[float, float] | None = None  # black and white; None: percentiles 1 and 99


def draw_overlay(shown: Overlay) -> Figure:
    """Draw a slice with annotated contours and with predicted ones, side by side."""
    names = list(dict.fromkeys([*shown.predicted, *shown.true]))
    styles = {name: CONTOURS[number % len(CONTOURS)] for number, name in enumerate(names)}
    height, width = shown.image.shape[:2]
    panel_in = PANEL_IN * height / width
    height_in = panel_in + TITLE_IN + LEGEND_IN
    with drawing():
        figure = Figure(figsize=(2 * PANEL_IN, height_in), facecolor=BLACK)
        figure.set_layout_engine("none")
        for column, (title, masks) in enumerate(
            [("annotated", shown.true), ("predicted", shown.predicted)]
        ):
            position = (0.5 * column, LEGEND_IN / height_in, 0.498, panel_in / height_in)
            axes = figure.add_axes(position)
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
    """Draw an image (H, W) in grey, or (H, W, 3) in colours.

    `window` has the values of black and white, or of none and all of a colour.
    """
    low, high = window
    if image.ndim == 2:  # noqa: PLR2004
        axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="bicubic")
    else:
        shares = (np.float32(image) - low) / max(high - low, 1e-6)
        axes.imshow(shares.clip(0, 1), interpolation="bicubic")


def displayed(volume: Volume) -> NDArray[Any]:
    """Return what is shown of a scan: its colours, (Z, H, W, 3), or a channel, (Z, H, W)."""
    planes = volume.voxels[list(displayed_channels(volume.channels))]
    return np.moveaxis(planes, 0, -1) if len(planes) > 1 else planes[0]


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


def _panel(
    axes: Axes, shown: Overlay, masks: Mapping[str, Plane], styles: Mapping[str, tuple[str, str]]
) -> None:
    show_image(axes, shown.image, shown.window or percentile_window(shown.image))
    for name, mask in masks.items():
        if mask.any():
            outline = np.pad(mask.astype(float), 1)  # closes contours at the border of the image
            y, x = (np.arange(-1, length + 1) for length in mask.shape)
            shade, dash = styles[name]
            lines = axes.contour(x, y, outline, [0.5], colors=shade, linestyles=dash)
            lines.set(linewidth=1.2, path_effects=HALO)
    axes.set(xlim=(-0.5, shown.image.shape[1] - 0.5), ylim=(shown.image.shape[0] - 0.5, -0.5))
    axes.set_axis_off()
