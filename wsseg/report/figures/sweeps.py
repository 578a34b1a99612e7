"""Figures of the results over a setting that a suite varies, and of the prior's contribution."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from wsseg.evaluation.method_labels import recipe_name
from wsseg.report.figures.style import (
    INK,
    WIDTH_IN,
    colour,
    dash,
    drawing,
    legend_above,
    name_rows,
    panel_grid,
    quiet,
    row_in,
    title_in,
    use_log_scale,
)

MARKERS = "os^Dv<>P"
PANEL_IN, MAX_PANEL_IN = 2.2, 2.5  # least and largest width of a panel
DODGE_PT = 4.0  # between the intervals of lines that share a value
LOG_SCALE_RATIO = 8.0  # of the largest to the smallest value: from here the axis is logarithmic
# What a mask is predicted from: prefix of the columns → label and line style.
SOURCES = {"prior": ("prior alone", ":"), "": ("network alone", "-"), "both": ("both", "--")}


@dataclass(frozen=True)
class Sweep:
    """A numeric setting that a suite varies, and the methods by its value."""

    key: str
    lines: dict[str, dict[float, str]]  # recipe with its other settings → value → method
    fixed: tuple[str, ...]  # methods without this setting

    @property
    def values(self) -> list[float]:
        """The values of the setting, in ascending order."""
        return sorted({value for points in self.lines.values() for value in points})


def find_sweep(methods: Iterable[str]) -> Sweep | None:
    """Return the numeric setting with the most values in the methods' names.

    Returns None if no setting has two values.
    """
    methods = list(methods)
    settings = {method: _numeric_settings(method) for method in methods}
    keys = dict.fromkeys(key for numbers in settings.values() for key in numbers)
    values = {key: {n[key] for n in settings.values() if key in n} for key in keys}
    key = max(values, key=lambda each: len(values[each]), default=None)
    if key is None or len(values[key]) < 2:  # noqa: PLR2004 - two values make a sweep
        return None
    lines: dict[str, dict[float, str]] = {}
    for method, numbers in settings.items():
        if key in numbers:
            others = [word for word in method.split(" ") if not word.startswith(f"{key}=")]
            lines.setdefault(" ".join(others), {})[numbers[key]] = method
    ordered = {name: dict(sorted(points.items())) for name, points in lines.items()}
    return Sweep(key, ordered, tuple(m for m in methods if key not in settings[m]))


def draw_sweep(
    summary: pd.DataFrame, sweep: Sweep, target: str, width_in: float = WIDTH_IN
) -> Figure:
    """Draw mean and pooled Dice over the setting; methods without it are horizontal lines."""
    by_method = summary.set_index("method")
    with drawing():
        rows, columns = panel_grid(2, width_in, PANEL_IN)
        figure = Figure(figsize=(width_in, 3.6 if columns > 1 else 6.0))
        left, right = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
        for axes, column, statistic in (
            (left, "dice", "mean where present"),
            (right, "dice_pooled", "pooled"),
        ):
            for index, (name, points) in enumerate(sweep.lines.items()):
                own = by_method.loc[list(points.values())].set_axis(list(points))
                _draw_line(axes, own, column, index, name)
            for index, method in enumerate(sweep.fixed, len(sweep.lines)):
                level = by_method[column].to_dict()[method]
                axes.axhline(level, color=colour(index), ls="--", lw=1.3, label=method)
            axes.set(xlabel=sweep.key, ylabel=f"Dice of {target}, {statistic}")
            _set_scale(axes, sweep)
            quiet(axes, grid="y")
        shown = [f"{name}{end}" for name in ("dice", "dice_pooled") for end in ("", "_high")]
        left.set_ylim(0, 1.05 * float(np.nanmax(summary[shown].to_numpy(float))))
        legend_above(figure, left)
    return figure


def has_prior(rows: pd.DataFrame, sweep: Sweep) -> bool:
    """Return whether any line of the sweep has methods with a prior."""
    return bool(_lines_with_prior(rows, sweep))


def draw_sources_over_setting(
    rows: pd.DataFrame, sweep: Sweep, target: str, width_in: float = WIDTH_IN
) -> Figure:
    """Draw the pooled Dice of prior, network and both over the setting, a panel per line."""
    lines = _lines_with_prior(rows, sweep)
    panel_rows, columns = panel_grid(len(lines), width_in, PANEL_IN)
    size_in = (min(width_in, max(columns, 2) * MAX_PANEL_IN), 2.7 * panel_rows + 0.3)
    with drawing():
        figure = Figure(figsize=size_in)
        grid = figure.subplots(panel_rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (name, points) in zip(grid.flat, lines.items(), strict=False):
            for index, (source, (label, line)) in enumerate(SOURCES.items()):
                dice = [_pooled_dice(rows[rows["method"] == m], source) for m in points.values()]
                axes.plot(list(points), dice, ls=line, marker=MARKERS[index], ms=4.5,
                          color=colour(index), label=label)  # fmt: skip
            axes.set(title=title_in(name, size_in[0] / columns), xlabel=sweep.key)
            _set_scale(axes, sweep)
            quiet(axes, grid="y")
        grid[0, 0].set_ylim(0, 1.01)
        for axes in grid.flat[len(lines) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel(f"pooled Dice of {target}")
        legend_above(figure, grid[0, 0])
    return figure


def draw_sources(rows: pd.DataFrame, target: str, width_in: float = WIDTH_IN) -> Figure:
    """Draw the pooled Dice of prior, network and both for each method with a prior."""
    with_prior = rows[rows["prior_dice"].notna()]
    methods = list(dict.fromkeys(with_prior["method"]))
    with drawing():
        figure = Figure(figsize=(width_in, 1.0 + row_in(width_in) * len(methods)))
        axes = figure.subplots()
        for y, method in enumerate(methods):
            cases = with_prior[with_prior["method"] == method]
            dice = [_pooled_dice(cases, source) for source in SOURCES]
            axes.plot([min(dice), max(dice)], [y, y], color=INK, lw=0.8, zorder=1)
            for index, (value, (label, _)) in enumerate(zip(dice, SOURCES.values(), strict=True)):
                axes.plot(value, y, MARKERS[index], color=colour(index), ms=7, ls="none",
                          label=label if y == 0 else None)  # fmt: skip
        name_rows(axes, methods, width_in)
        axes.set(xlim=(-0.01, 1.01), ylim=(len(methods) - 0.5, -0.5))
        axes.set_xlabel(f"pooled Dice of {target}")
        quiet(axes, grid="x")
        legend_above(figure, axes)
    return figure


def _numeric_settings(method: str) -> dict[str, float]:
    """Read the numeric settings in a method's name, as in "em midpoint=-34 width=220"."""
    numbers: dict[str, float] = {}
    for word in method.removeprefix(recipe_name(method)).split():
        key, _, value = word.partition("=")
        try:
            numbers[key] = float(value)
        except ValueError:
            continue
    return numbers


def _lines_with_prior(rows: pd.DataFrame, sweep: Sweep) -> dict[str, dict[float, str]]:
    with_prior = set(rows.loc[rows["prior_dice"].notna(), "method"])
    return {
        name: points for name, points in sweep.lines.items() if with_prior & set(points.values())
    }


def _draw_line(axes: Axes, summary: pd.DataFrame, column: str, index: int, label: str) -> None:
    """Draw a column of `summary` with its intervals over the setting, which is the frame's index.

    `index` is the number of the line: it determines colour, marker and the shift of its intervals.
    """
    x = list(summary.index)
    y, low, high = (summary[f"{column}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    shade = colour(index)
    shift = ScaledTranslation(DODGE_PT / 72 * index, 0, axes.figure.dpi_scale_trans)
    axes.vlines(x, low, high, color=shade, alpha=0.5, lw=2, transform=axes.transData + shift)
    axes.plot(x, y, color=shade, ls=dash(index), marker=MARKERS[index % len(MARKERS)], ms=5,
              label=label)  # fmt: skip


def _set_scale(axes: Axes, sweep: Sweep) -> None:
    """Put ticks at the values of the setting, on a logarithmic axis if they span a wide range."""
    x = sweep.values
    if x[0] > 0 and x[-1] >= LOG_SCALE_RATIO * x[0]:
        use_log_scale(axes, "x")
        axes.minorticks_off()
    axes.set_xticks(x, [f"{value:g}".replace("-", "−") for value in x])
    axes.set_ylim(bottom=0)


def _pooled_dice(rows: pd.DataFrame, source: str) -> float:
    """Return the Dice over all voxels of all cases for one of `SOURCES`."""
    prefix = f"{source}_" if source else ""
    tp, fp, fn = (float(rows[f"{prefix}{name}_voxels"].sum()) for name in ("tp", "fp", "fn"))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else float("nan")
