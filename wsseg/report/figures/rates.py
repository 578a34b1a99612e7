"""Figures of true and false positive rates, and of false positives by dilation of the truth."""

from collections.abc import Mapping, Sequence
from math import ceil, log10

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from wsseg.evaluation.method_labels import recipe_label
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.statistics import rate_exponent
from wsseg.report.figures.methods import group_equal, joint_label
from wsseg.report.figures.style import (
    INK,
    WIDTH_IN,
    colour,
    colour_indices,
    dash,
    drawing,
    legend_above,
    quiet,
    use_log_scale,
)
from wsseg.report.figures.sweeps import MARKERS
from wsseg.report.formatting import number

MIN_POINTS = 3  # of a fitted line: settings and seeds of a recipe
DILATED_PREFIX = "fp_dilated_"


def rates_by_recipe(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the `fpr` and `tpr` of each setting and seed by recipe, pooled inside the region."""
    by_recipe: dict[str, list[dict[str, float]]] = {}
    for (method, _), cases in rows.groupby(["method", "seed"], sort=False):
        positive, negative = cases["positive_voxels"].sum(), cases["negative_voxels"].sum()
        if positive > 0 and negative > 0:
            tp = (cases["tpr"] * cases["positive_voxels"]).sum()
            fp = (cases["fpr"] * cases["negative_voxels"]).sum()
            by_recipe.setdefault(recipe_label(str(method)), []).append(
                {"fpr": fp / negative, "tpr": tp / positive}
            )
    return {recipe: pd.DataFrame(points) for recipe, points in by_recipe.items()}


def draw_rates(
    rows: pd.DataFrame,
    published: PublishedResults | None,
    order: Sequence[str] = (),
    width_in: float = WIDTH_IN / 2,
) -> Figure:
    """Draw TPR against FPR, with a point per setting and seed and a star per published result.

    `order` gives the methods' colours; a recipe has the colour of the first of its methods.

    The line of a recipe with at least `MIN_POINTS` is the fit TPR = FPR^gamma. All rates are
    inside the region.
    """
    by_recipe = rates_by_recipe(rows)
    stars = {
        recipe_label(method): (values["fpr"], values["tpr"])
        for method, values in (published.methods if published else {}).items()
        if {"fpr", "tpr"} <= values.keys()
    }
    with drawing():
        figure = Figure(figsize=(width_in, 4.0))
        axes = figure.subplots()
        largest = max([p["fpr"].max() for p in by_recipe.values()] + [x for x, _ in stars.values()])
        right = 1.12 * largest or 1.0
        x = np.linspace(0, min(1.0, right), 400)
        indices = _first_indices(colour_indices(order, map(str, rows["method"])))
        for recipe, points in by_recipe.items():
            index = indices[recipe]
            shade, marker = colour(index), MARKERS[index % len(MARKERS)]
            name = f"{recipe}: n = {len(points)}"
            if len(points) >= MIN_POINTS:
                gamma = rate_exponent(points["fpr"], points["tpr"])
                name += f", γ = {number(gamma, 3)}"
                axes.plot(x, x**gamma, color=shade, ls=dash(index), lw=1.1, alpha=0.8)
            axes.plot(points["fpr"], points["tpr"], marker, color=shade, ms=6, label=name)
            if recipe in stars:
                axes.plot(*stars[recipe], "*", color=shade, ms=14, mec=INK, mew=0.8)
        if stars:
            axes.plot([], [], "*", color="none", ms=12, mec=INK, mew=0.8, label="published")
        axes.set(xlim=(-0.01 * right, min(1.01, right)), ylim=(0, 1.02))
        axes.set(xlabel="FPR, inside the region", ylabel="TPR, inside the region")
        quiet(axes, grid="both")
        legend_above(figure, axes)
    return figure


def _first_indices(indices: Mapping[str, int]) -> dict[str, int]:
    """Return the smallest index among the methods of each recipe."""
    first: dict[str, int] = {}
    for method, index in indices.items():
        first.setdefault(recipe_label(method), index)
    return first


def rates_by_dilation(rows: pd.DataFrame) -> Mapping[str, dict[int, float]]:
    """Return the pooled FPR of each method outside the truth, by its number of dilations."""
    steps = sorted(
        int(str(name).removeprefix(DILATED_PREFIX).removesuffix("_voxels"))
        for name in rows
        if str(name).startswith(DILATED_PREFIX)
    )
    known = rows.dropna(subset=[f"{DILATED_PREFIX}{steps[0]}_voxels"]) if steps else rows.head(0)
    return {
        str(method): {
            step: float(cases[f"{DILATED_PREFIX}{step}_voxels"].sum())
            / max(1.0, float(cases[f"negative_dilated_{step}_voxels"].sum()))
            for step in steps
        }
        for method, cases in known.groupby("method", sort=False)
    }


def draw_dilated_rates(
    rates: Mapping[str, dict[int, float]], order: Sequence[str] = (), width_in: float = WIDTH_IN / 2
) -> Figure:
    """Draw the FPR against the number of dilations of the truth, a line per method.

    `order` gives the methods' colours. The axis of FPR is logarithmic, between powers of 10, unless
    a rate is 0.
    """
    indices = colour_indices(order, rates)
    curves = group_equal(rates, lambda points: tuple(points.values()))
    with drawing():
        figure = Figure(figsize=(width_in, 4.0))
        axes = figure.subplots()
        for names, points in curves.items():
            index = indices[names[0]]
            axes.plot(
                list(points),
                list(points.values()),
                color=colour(index),
                ls=dash(index),
                marker=MARKERS[index % len(MARKERS)],
                ms=4.5,
                label=joint_label(names, len(rates)),
            )
        drawn = [value for points in rates.values() for value in points.values()]
        if min(drawn) > 0:
            use_log_scale(axes, "y")
            axes.set_ylim(10 ** (ceil(log10(min(drawn))) - 1), 10 ** ceil(log10(max(drawn))))
        else:
            axes.set_ylim(bottom=0)
        axes.set_xticks(sorted({step for points in rates.values() for step in points}))
        axes.set(xlabel="number of dilations of the truth", ylabel="FPR outside the dilated truth")
        quiet(axes, grid="both")
        legend_above(figure, axes)
    return figure
