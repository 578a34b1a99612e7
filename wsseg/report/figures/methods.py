"""Figures with a row or a panel per method: Dice, agreement of scores, and groups of a tag."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from wsseg.evaluation.class_columns import dice_where_present
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.statistics import correlation, mann_whitney, smallest_mann_whitney_p
from wsseg.evaluation.summary import average_by_case
from wsseg.report.figures.style import (
    INK,
    MUTED,
    NARROW_IN,
    WIDTH_IN,
    colour,
    colour_indices,
    drawing,
    name_rows,
    panel_grid,
    quiet,
    shortened,
    title_in,
)
from wsseg.report.formatting import SIGNIFICANCE, number, p_equals
from wsseg.training.target_health import NOT_A_RESULT

Values: TypeAlias = NDArray[np.float64]
T = TypeVar("T")

PANEL_IN, MAX_PANEL_IN = 1.66, 2.5  # least and largest width of a panel: six fit in a row
NO_P = "few cases"  # no p of the test can be small; as short as "p = 0.012"
MAX_VECTOR_POINTS = 2000  # larger scatter plots are stored as pixels
MAX_NAMES = 3  # in a panel's title
NOTE_PT = 18  # space between a panel and its title, for a note
JITTER = 0.16  # of the points of a box plot, to each side
MEAN: dict[str, Any] = {"marker": "D", "markersize": 6, "color": INK}
POOLED: dict[str, Any] = {"marker": "x", "markersize": 6.5, "mew": 1.8, "color": INK}
PUBLISHED: dict[str, Any] = {"marker": "*", "markersize": 12, "color": "none", "mec": INK}


def draw_dice(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    target: str,
    published: PublishedResults | None = None,
    width_in: float = WIDTH_IN,
) -> Figure:
    """Draw each case's Dice, a box plot, the mean with its interval, and the pooled Dice by method.

    Cases without the target are counted as correctly empty or not. A star is a published pooled
    Dice.
    """
    published_methods = published.methods if published else {}
    rows, methods = dice_where_present(rows), summary.to_dict("records")
    with drawing():
        figure = Figure(figsize=(width_in, 1.1 + 0.56 * len(methods)))
        axes = figure.subplots()
        for index, method in enumerate(methods):
            cases = average_by_case(rows[rows["method"] == method["method"]])
            dice = cases["dice"].dropna().to_numpy()
            _draw_box(axes, dice, index, colour(index), orientation="horizontal")
            ends = [method["dice_low"], method["dice_high"]]
            axes.plot(ends, [index, index], color=INK, linewidth=2.2, solid_capstyle="butt")
            axes.plot(method["dice"], index, **MEAN)
            axes.plot(method["dice_pooled"], index, **POOLED)
            star = published_methods.get(str(method["method"]), {}).get("dice_pooled")
            if star is not None:
                axes.plot(star, index, **PUBLISHED)
        names = [f"{method['method']}\n{_counts(method)}" for method in methods]
        name_rows(axes, names, width_in)
        axes.set(xlim=(-0.01, 1.01), ylim=(len(names) - 0.5, -0.5))
        axes.set_xlabel(f"Dice of {target} (each point is a case where it is present)")
        quiet(axes, grid="x")
        legend = [
            Line2D([], [], linewidth=2.2, label="mean with 95 % interval over patients", **MEAN),
            Line2D([], [], linestyle="none", label="pooled over all voxels", **POOLED),
        ]
        if any("dice_pooled" in values for values in published_methods.values()):
            legend.append(Line2D([], [], linestyle="none", label="published, pooled", **PUBLISHED))
        columns = 3 if width_in > NARROW_IN else 1
        figure.legend(handles=legend, loc="outside upper left", ncols=columns)
    return figure


def draw_agreement(
    rows: pd.DataFrame, score: str, order: Sequence[str] = (), width_in: float = WIDTH_IN
) -> Figure:
    """Draw the predicted against the annotated score, with the identity line, by method.

    `order` gives the methods' colours.
    """
    pairs = _values_by_method(rows, [f"{score}_true", score])
    pairs = {method: values[~np.isnan(values).any(axis=1)] for method, values in pairs.items()}
    top = max((values.max() for values in pairs.values() if values.size), default=1.0) or 1.0
    words = score.replace("_", " ")

    def draw_panel(axes: Axes, values: Values, shade: str) -> None:
        r, p, n = correlation(*values.T)
        axes.axline((0, 0), slope=1, color=MUTED, linewidth=0.9, zorder=1)
        _draw_points(axes, values[:, 0], values[:, 1], shade)
        axes.set(xlim=(-0.04 * top, 1.06 * top), ylim=(-0.04 * top, 1.06 * top), aspect="equal")
        axes.set_xlabel("annotated")
        _write_note(axes, f"r = {number(r, 2)}, {p_equals(p)}, n = {n}")
        quiet(axes, grid="both")

    shades = _shades(order, pairs)
    return _draw_panels(pairs, shades, draw_panel, f"{words}, predicted", width_in)


def draw_groups(
    rows: pd.DataFrame,
    score: str,
    tag: str,
    order: Sequence[str] = (),
    width_in: float = WIDTH_IN,
) -> Figure:
    """Draw the score of cases with and without a tag as box plots with all points, by method.

    `order` gives the methods' colours. p is that of the Mann-Whitney U test.
    """

    def draw_panel(axes: Axes, values: Values, shade: str) -> None:
        absent, present = (values[values[:, 1] == value, 0] for value in (0, 1))
        p, auc = mann_whitney(present, absent)
        possible = smallest_mann_whitney_p(len(present), len(absent)) < SIGNIFICANCE
        for index, group in enumerate([absent, present]):
            _draw_box(axes, group[~np.isnan(group)], index, shade, orientation="vertical")
        axes.set_xticks([0, 1], [f"absent\nn = {len(absent)}", f"present\nn = {len(present)}"])
        axes.set(xlim=(-0.6, 1.6), xlabel=f"tag: {tag}")
        _write_note(axes, f"{p_equals(p) if possible else NO_P}, AUC = {number(auc, 2)}")
        quiet(axes, grid="y")

    values = _values_by_method(rows, [score, f"tag.{tag}"])
    ylabel = f"{score.replace('_', ' ')}, predicted"
    return _draw_panels(values, _shades(order, values), draw_panel, ylabel, width_in)


def group_equal(values: Mapping[str, T], key: Callable[[T], object]) -> dict[tuple[str, ...], T]:
    """Return each distinct value with the names that share it; `key` decides what is equal."""
    names: dict[object, list[str]] = {}
    for name, value in values.items():
        names.setdefault(key(value), []).append(name)
    return {tuple(group): values[group[0]] for group in names.values()}


def joint_label(names: tuple[str, ...], of: int) -> str:
    """Return a label for methods that share a curve or a panel, out of `of` methods."""
    if len(names) == of > 1:
        return "all methods, the same"
    short = [shortened(name) for name in names]
    if len(names) > MAX_NAMES:
        return f"{short[0]} = {len(names) - 1} others"
    return " = ".join(short)


def _counts(method: Mapping[Hashable, Any]) -> str:
    """Return over how many cases a mean is, how many are correctly empty, and the health."""
    counts = f"n = {method['dice_n']:.0f}"
    if method["absent_n"]:
        empty = f"{round(method['correctly_empty'], 1):g} of {method['absent_n']:.0f}"
        counts += f", correctly empty {empty}"
    return f"{counts}, {NOT_A_RESULT}" if method["health"] else counts


def _values_by_method(rows: pd.DataFrame, columns: list[str]) -> dict[str, Values]:
    """Return these columns of each method, averaged by case: (cases, columns)."""
    methods = rows.groupby("method", sort=False)
    return {str(method): average_by_case(own)[columns].to_numpy(float) for method, own in methods}


def _shades(order: Sequence[str], drawn: Iterable[str]) -> dict[str, str]:
    return {name: colour(index) for name, index in colour_indices(order, drawn).items()}


def _draw_panels(
    by_method: Mapping[str, Values],
    shades: Mapping[str, str],
    draw_panel: Callable[[Axes, Values, str], None],
    ylabel: str,
    width_in: float,
) -> Figure:
    """Draw a small panel for each distinct set of values, all on the same scale."""
    panels = group_equal(by_method, lambda values: values.tobytes())
    rows, columns = panel_grid(len(panels), width_in, PANEL_IN)
    panel_in = min(MAX_PANEL_IN, width_in / columns)
    titles = {names: title_in(joint_label(names, len(by_method)), panel_in) for names in panels}
    title_lines = max(title.count("\n") for title in titles.values())
    height_in = panel_in + 0.55 + 0.15 * title_lines
    with drawing():
        figure = Figure(figsize=(panel_in * columns, height_in * rows))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (names, values) in zip(grid.flat, panels.items(), strict=False):
            draw_panel(axes, values, shades[names[0]])
            axes.set_title(titles[names], pad=NOTE_PT)
            axes.tick_params(labelbottom=True)  # there may be no panel below this one
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel(ylabel)
    return figure


def _write_note(axes: Axes, text: str) -> None:
    """Write a note above a panel."""
    axes.annotate(text, (0, 1), (0, 4), "axes fraction", "offset points", fontsize=8.5)


def _draw_box(
    axes: Axes,
    values: Values,
    position: float,
    shade: str,
    orientation: Literal["horizontal", "vertical"],
) -> None:
    """Draw a box of quartiles and median, whiskers over all values, and each value as a point."""
    line = {"color": shade, "linewidth": 1.2}
    axes.boxplot(
        values,
        positions=[position],
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
    jittered = position + np.random.default_rng(0).uniform(-JITTER, JITTER, len(values))
    x, y = (values, jittered) if orientation == "horizontal" else (jittered, values)
    _draw_points(axes, x, y, shade)


def _draw_points(axes: Axes, x: Values, y: Values, shade: str) -> None:
    rasterized = len(x) > MAX_VECTOR_POINTS
    axes.scatter(x, y, s=18, color=shade, alpha=0.75, linewidths=0, rasterized=rasterized)
