"""The result over a setting that a suite varies: a constant of a prior, a number of masks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from wsseg.evaluation.method_labels import recipe_name
from wsseg.report.figures.style import INK, WIDTH_IN, colour, dash, drawing, quiet, row_of_legends

MARKERS = "os^Dv<>P"
DODGE_PT = 4.0  # between the intervals of lines that share a value
WIDE = 8.0  # largest over smallest value from which an axis is logarithmic
SOURCES = {"prior": ("prior alone", ":"), "": ("network alone", "-"), "both": ("both", "--")}


@dataclass(frozen=True)
class Varied:
    """A number that methods differ in: for each line, the methods by its value."""

    key: str
    lines: dict[str, dict[float, str]]  # recipe and its other settings → value → method
    fixed: tuple[str, ...]  # methods without that setting


def varied(methods: Iterable[str]) -> Varied | None:
    """Find the number with most values among the settings in methods' names, if any has two."""
    methods = list(methods)
    numbers = {method: _numbers(method) for method in methods}
    keys = dict.fromkeys(key for found in numbers.values() for key in found)
    values = {key: {n[key] for n in numbers.values() if key in n} for key in keys}
    key = max(values, key=lambda each: len(values[each]), default=None)
    if key is None or len(values[key]) < 2:  # noqa: PLR2004 - two are needed to vary
        return None
    lines: dict[str, dict[float, str]] = {}
    for method, found in numbers.items():
        if key in found:
            others = [word for word in method.split(" ") if not word.startswith(f"{key}=")]
            lines.setdefault(" ".join(others), {})[found[key]] = method
    ordered = {name: dict(sorted(points.items())) for name, points in lines.items()}
    return Varied(key, ordered, tuple(m for m in methods if key not in numbers[m]))


def over_setting(summary: pd.DataFrame, found: Varied, target: str) -> Figure:
    """Draw mean and pooled Dice over a setting, a line for the others; the rest as levels."""
    by_method = summary.set_index("method")
    with drawing():
        figure = Figure(figsize=(WIDTH_IN, 3.6))
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, column, word in (
            (left, "dice", "mean of cases"),
            (right, "dice_pooled", "pooled"),
        ):
            for place, (name, points) in enumerate(found.lines.items()):
                _line(axes, by_method.loc[list(points.values())], column, list(points), place, name)
            for place, method in enumerate(found.fixed, len(found.lines)):
                level = by_method[column].to_dict()[method]
                axes.axhline(level, color=colour(place), ls="--", lw=1.3, label=method)
            axes.set(xlabel=found.key, ylabel=f"Dice of {target}, {word}")
            _scale(axes, found)
            quiet(axes, grid="y")
        shown = [f"{name}{end}" for name in ("dice", "dice_pooled") for end in ("", "_high")]
        left.set_ylim(0, 1.05 * float(np.nanmax(summary[shown].to_numpy(float))))
        row_of_legends(figure, left)
    return figure


def sources_over_setting(rows: pd.DataFrame, found: Varied, target: str) -> Figure:
    """Draw the pooled Dice of prior, network and both over a setting, a panel for the others."""
    told = set(rows.loc[rows["prior_dice"].notna(), "method"])
    lines = {name: points for name, points in found.lines.items() if told & set(points.values())}
    with drawing():
        across = min(len(lines), 4)
        figure = Figure(figsize=(WIDTH_IN * max(across, 2) / 4, 3.0 * -(-len(lines) // 4) + 0.3))
        grid = figure.subplots(-(-len(lines) // 4), across, sharex=True, sharey=True, squeeze=False)
        for axes, (name, points) in zip(grid.flat, lines.items(), strict=False):
            for place, (source, (word, line)) in enumerate(SOURCES.items()):
                dice = [_pooled(rows[rows["method"] == m], source) for m in points.values()]
                axes.plot(list(points), dice, ls=line, marker=MARKERS[place], ms=4.5,
                          color=colour(place), label=word)  # fmt: skip
            axes.set(title=name, xlabel=found.key)
            _scale(axes, found)
            quiet(axes, grid="y")
        grid[0, 0].set_ylim(0, 1.01)
        for axes in grid.flat[len(lines) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel(f"pooled Dice of {target}")
        row_of_legends(figure, grid[0, 0])
    return figure


def sources(rows: pd.DataFrame, target: str) -> Figure:
    """Draw the pooled Dice of prior, network and both, a line a method that learns by EM."""
    told = rows[rows["prior_dice"].notna()]
    methods = list(dict.fromkeys(told["method"]))
    with drawing():
        figure = Figure(figsize=(WIDTH_IN, 1.0 + 0.34 * len(methods)))
        axes = figure.subplots()
        for at, method in enumerate(methods):
            cases = told[told["method"] == method]
            dice = [_pooled(cases, source) for source in SOURCES]
            axes.plot([min(dice), max(dice)], [at, at], color=INK, lw=0.8, zorder=1)
            for place, (value, (word, _)) in enumerate(zip(dice, SOURCES.values(), strict=True)):
                axes.plot(value, at, MARKERS[place], color=colour(place), ms=7, ls="none",
                          label=word if at == 0 else None)  # fmt: skip
        axes.set_yticks(range(len(methods)), methods, color=INK)
        axes.set(xlim=(-0.01, 1.01), ylim=(len(methods) - 0.5, -0.5))
        axes.set_xlabel(f"pooled Dice of {target}")
        quiet(axes, grid="x")
        row_of_legends(figure, axes)
    return figure


def _numbers(method: str) -> dict[str, float]:
    """Read the numeric settings in a method's name, "phi2 midpoint_hu=-34 width_hu=220"."""
    found: dict[str, float] = {}
    for word in method.removeprefix(recipe_name(method)).split():
        key, _, value = word.partition("=")
        try:
            found[key] = float(value)
        except ValueError:
            continue
    return found


def _line(
    axes: Axes, points: pd.DataFrame, column: str, x: Sequence[float], place: int, name: str
) -> None:
    y, low, high = (points[f"{column}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    shade = colour(place)
    beside = ScaledTranslation(DODGE_PT / 72 * place, 0, axes.figure.dpi_scale_trans)
    axes.vlines(x, low, high, color=shade, alpha=0.5, lw=2, transform=axes.transData + beside)
    axes.plot(x, y, color=shade, ls=dash(place), marker=MARKERS[place % len(MARKERS)], ms=5,
              label=name)  # fmt: skip


def _scale(axes: Axes, found: Varied) -> None:
    """Mark the values that there are; far apart, at equal ratios."""
    x = sorted({value for points in found.lines.values() for value in points})
    if x[0] > 0 and x[-1] >= WIDE * x[0]:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(x, [f"{value:g}".replace("-", "−") for value in x])
    axes.set_ylim(bottom=0)


def _pooled(rows: pd.DataFrame, source: str) -> float:
    """Return the Dice over all voxels of all cases, of one source of the mask."""
    prefix = f"{source}_" if source else ""
    tp, fp, fn = (float(rows[f"{prefix}{name}_voxels"].sum()) for name in ("tp", "fp", "fn"))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else float("nan")
