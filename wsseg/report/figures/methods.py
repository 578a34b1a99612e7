"""The figures of a report that are drawn from rows."""

from collections.abc import Callable, Mapping
from textwrap import fill
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.statistics import correlation, mann_whitney
from wsseg.evaluation.summary import average_by_case
from wsseg.report.figures.style import INK, MUTED, WIDTH_IN, colour, drawing, quiet
from wsseg.report.formatting import number, p_equals

Values: TypeAlias = NDArray[np.float64]
T = TypeVar("T")

PANELS = 4  # side by side
TITLE_LETTERS = 28  # of a panel, in a line
MANY = 2000  # points above which a scatter is stored as pixels
MOST_NAMES = 3  # that fit above a panel
NOTE_PT = 18  # above a panel, of the line between it and its title
JITTER = 0.16  # of the points of a box, to each side
MEAN: dict[str, Any] = {"marker": "D", "markersize": 6, "color": INK}
POOLED: dict[str, Any] = {"marker": "x", "markersize": 6.5, "mew": 1.8, "color": INK}

STAR: dict[str, Any] = {"marker": "*", "markersize": 12, "color": "none", "mec": INK}


def dice_by_method(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    target: str,
    published: PublishedResults | None = None,
) -> Figure:
    """Draw each case's Dice, a box, the mean with its interval, and the pooled Dice, by method.

    A star is the pooled Dice that was published.
    """
    stars = published.methods if published else {}
    methods = summary.to_dict("records")
    with drawing():
        figure = Figure(figsize=(WIDTH_IN, 1.1 + 0.5 * len(methods)))
        axes = figure.subplots()
        for place, method in enumerate(methods):
            cases = (
                average_by_case(rows[rows["method"] == method["method"]])["dice"]
                .dropna()
                .to_numpy()
            )
            _box(axes, cases, place, colour(place), orientation="horizontal")
            ends = [method["dice_low"], method["dice_high"]]
            axes.plot(ends, [place, place], color=INK, linewidth=2.2, solid_capstyle="butt")
            axes.plot(method["dice"], place, **MEAN)
            axes.plot(method["dice_pooled"], place, **POOLED)
            if (star := stars.get(str(method["method"]), {}).get("dice_pooled")) is not None:
                axes.plot(star, place, **STAR)
        names = [f"{method['method']}  (n = {method['dice_n']:.0f})" for method in methods]
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.set(xlim=(-0.01, 1.01), ylim=(len(names) - 0.5, -0.5))
        axes.set_xlabel(f"Dice of {target} (a point is a case)")
        quiet(axes, grid="x")
        key = [
            Line2D([], [], linewidth=2.2, label="mean, 95 % interval over patients", **MEAN),
            Line2D([], [], linestyle="none", label="pooled over all voxels", **POOLED),
        ]
        if any("dice_pooled" in values for values in stars.values()):
            key.append(Line2D([], [], linestyle="none", label="pooled, published", **STAR))
        figure.legend(handles=key, loc="outside upper right", ncols=3)
    return figure


def agreement(rows: pd.DataFrame, score: str) -> Figure:
    """Draw a score as predicted against as labelled, with the line of identity, by method."""
    pairs = _by_method(rows, [f"{score}_true", score])
    pairs = {method: found[~np.isnan(found).any(axis=1)] for method, found in pairs.items()}
    top = max((found.max() for found in pairs.values() if found.size), default=1.0) or 1.0
    words = score.replace("_", " ")

    def panel(axes: Axes, found: Values, shade: str) -> None:
        r, p, n = correlation(*found.T)
        axes.axline((0, 0), slope=1, color=MUTED, linewidth=0.9, zorder=1)
        _points(axes, found[:, 0], found[:, 1], shade)
        axes.set(xlim=(-0.04 * top, 1.06 * top), ylim=(-0.04 * top, 1.06 * top), aspect="equal")
        axes.set_xlabel(f"{words}, labelled")
        _note(axes, f"r = {number(r, 2)}, {p_equals(p)}, n = {n}")
        quiet(axes, grid="both")

    return _panels(pairs, panel, ylabel=f"{words}, predicted", height_in=3.05)


def groups(rows: pd.DataFrame, score: str, of: str) -> Figure:
    """Draw a score by the case's tag, a box and all points a group, with Mann-Whitney's p."""

    def panel(axes: Axes, found: Values, shade: str) -> None:
        absent, present = (found[found[:, 1] == tag, 0] for tag in (0, 1))
        p, auc = mann_whitney(present, absent)
        for place, values in enumerate([absent, present]):
            _box(axes, values[~np.isnan(values)], place, shade, orientation="vertical")
        axes.set_xticks([0, 1], [f"absent\nn = {len(absent)}", f"present\nn = {len(present)}"])
        axes.set(xlim=(-0.6, 1.6), xlabel=f"tag: {of}")
        _note(axes, f"{p_equals(p)}, AUC = {number(auc, 2)}")
        quiet(axes, grid="y")

    found = _by_method(rows, [score, f"tag.{of}"])
    return _panels(found, panel, ylabel=f"{score.replace('_', ' ')}, predicted", height_in=3.05)


def alike(values: Mapping[str, T], key: Callable[[T], object]) -> dict[tuple[str, ...], T]:
    """Return the different values, each with the names that share it: the same is drawn once."""
    names: dict[object, list[str]] = {}
    for name, value in values.items():
        names.setdefault(key(value), []).append(name)
    return {tuple(same): values[same[0]] for same in names.values()}


def joined(names: tuple[str, ...], of: int) -> str:
    """Return a label for names, of `of` in all, that share a curve or a panel."""
    if len(names) == of > 1:
        return "all methods, the same"
    if len(names) > MOST_NAMES:
        return f"{names[0]} = {len(names) - 1} others"
    return " = ".join(names)


def _by_method(rows: pd.DataFrame, columns: list[str]) -> dict[str, Values]:
    methods = rows.groupby("method", sort=False)
    return {
        str(method): average_by_case(cases)[columns].to_numpy(float) for method, cases in methods
    }


def _panels(
    found: Mapping[str, Values],
    panel: Callable[[Axes, Values, str], None],
    ylabel: str,
    height_in: float,
) -> Figure:
    """Draw small panels of one scale, one for each different set of values."""
    shades = {name: colour(place) for place, name in enumerate(found)}
    shown = alike(found, lambda values: values.tobytes())
    lines, across = -(-len(shown) // PANELS), min(len(shown), PANELS)
    with drawing():
        figure = Figure(figsize=(WIDTH_IN * across / PANELS, height_in * lines))
        grid = figure.subplots(lines, across, sharex=True, sharey=True, squeeze=False)
        for axes, (names, values) in zip(grid.flat, shown.items(), strict=False):
            panel(axes, values, shades[names[0]])
            axes.set_title(fill(joined(names, len(found)), TITLE_LETTERS), pad=NOTE_PT)
            axes.tick_params(labelbottom=True)  # below it there may be no panel
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel(ylabel)
    return figure


def _note(axes: Axes, text: str) -> None:
    """Write a panel's numbers above it, where no point can lie."""
    axes.annotate(text, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=8.5)


def _box(
    axes: Axes,
    values: Values,
    place: float,
    shade: str,
    orientation: Literal["horizontal", "vertical"],
) -> None:
    """Draw quartiles and median as a box, whiskers over all values, and every value as a point."""
    line = {"color": shade, "linewidth": 1.2}
    axes.boxplot(
        values,
        positions=[place],
        widths=0.55,
        orientation=orientation,
        whis=(0, 100),
        showfliers=False,
        showcaps=False,
        manage_ticks=False,
        patch_artist=True,
        zorder=1,
        boxprops=line | {"facecolor": f"{shade}33"},
        medianprops=line | {"linewidth": 2},
        whiskerprops=line,
    )
    spread = place + np.random.default_rng(0).uniform(-JITTER, JITTER, len(values))
    x, y = (values, spread) if orientation == "horizontal" else (spread, values)
    _points(axes, x, y, shade)


def _points(axes: Axes, x: Values, y: Values, shade: str) -> None:
    axes.scatter(x, y, s=18, color=shade, alpha=0.75, linewidths=0, rasterized=len(x) > MANY)
