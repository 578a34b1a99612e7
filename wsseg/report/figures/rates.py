"""Sensitivity against false positive rate, and false positives by how far they are off."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from wsseg.evaluation.method_labels import recipe_label
from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.statistics import rate_exponent
from wsseg.report.figures.methods import alike, joined
from wsseg.report.figures.style import INK, WIDTH_IN, colour, dash, drawing, quiet, row_of_legends
from wsseg.report.figures.sweeps import MARKERS
from wsseg.report.formatting import number

DILATED = "fp_dilated_"


def rates(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return by recipe the pooled `fpr` and `tpr` of each setting and seed, inside the region."""
    found: dict[str, list[dict[str, float]]] = {}
    for (method, _), cases in rows.groupby(["method", "seed"], sort=False):
        positive, negative = cases["positive_voxels"].sum(), cases["negative_voxels"].sum()
        if positive > 0 and negative > 0:
            tp = (cases["tpr"] * cases["positive_voxels"]).sum()
            fp = (cases["fpr"] * cases["negative_voxels"]).sum()
            found.setdefault(recipe_label(str(method)), []).append(
                {"fpr": fp / negative, "tpr": tp / positive}
            )
    return {recipe: pd.DataFrame(points) for recipe, points in found.items()}


def against_each_other(rows: pd.DataFrame, published: PublishedResults | None) -> Figure:
    """Draw TPR against FPR: a point a setting and seed, TPR = FPR^gamma a recipe, stars published.

    All rates are inside the region that the stage predicts in.
    """
    by_recipe = rates(rows)
    stars = {
        recipe_label(method): (values["fpr"], values["tpr"])
        for method, values in (published.methods if published else {}).items()
        if {"fpr", "tpr"} <= values.keys()
    }
    with drawing():
        figure = Figure(figsize=(WIDTH_IN / 2, 4.2))
        axes = figure.subplots()
        right = 1.12 * max(
            [p["fpr"].max() for p in by_recipe.values()] + [x for x, _ in stars.values()]
        )
        x = np.linspace(0, min(1.0, right), 400)
        for place, (recipe, points) in enumerate(by_recipe.items()):
            gamma = rate_exponent(points["fpr"], points["tpr"])
            shade, marker = colour(place), MARKERS[place % len(MARKERS)]
            name = f"{recipe}: γ = {number(gamma, 3)}, n = {len(points)}"
            axes.plot(x, x**gamma, color=shade, ls=dash(place), lw=1.1, alpha=0.8)
            axes.plot(points["fpr"], points["tpr"], marker, color=shade, ms=6, label=name)
            if recipe in stars:
                axes.plot(*stars[recipe], "*", color=shade, ms=14, mec=INK, mew=0.8)
        if stars:
            axes.plot([], [], "*", color="none", ms=12, mec=INK, mew=0.8, label="published")
        axes.set(xlim=(-0.01 * right, min(1.01, right)), ylim=(0, 1.02))
        axes.set(xlabel="FPR, inside the region", ylabel="TPR, inside the region")
        quiet(axes, grid="both")
        row_of_legends(figure, axes)
    return figure


def dilated(rows: pd.DataFrame) -> Mapping[str, dict[int, float]]:
    """Return by method the pooled FPR after each number of dilations of the truth."""
    steps = sorted(
        int(str(name).removeprefix(DILATED).removesuffix("_voxels"))
        for name in rows
        if str(name).startswith(DILATED)
    )
    known = rows.dropna(subset=[f"{DILATED}{steps[0]}_voxels"]) if steps else rows.head(0)
    return {
        str(method): {
            step: float(cases[f"{DILATED}{step}_voxels"].sum())
            / max(1.0, float(cases[f"negative_dilated_{step}_voxels"].sum()))
            for step in steps
        }
        for method, cases in known.groupby("method", sort=False)
    }


def by_dilation(found: Mapping[str, dict[int, float]]) -> Figure:
    """Draw the false positive rate against the dilation of the truth, a line a method."""
    shades = {method: place for place, method in enumerate(found)}
    shown = alike(found, lambda points: tuple(points.values()))
    with drawing():
        figure = Figure(figsize=(WIDTH_IN / 2, 4.2))
        axes = figure.subplots()
        for names, points in shown.items():
            place = shades[names[0]]
            axes.plot(
                list(points),
                list(points.values()),
                color=colour(place),
                ls=dash(place),
                marker=MARKERS[place % len(MARKERS)],
                ms=4.5,
                label=joined(names, len(found)),
            )
        if all(value > 0 for points in found.values() for value in points.values()):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axes.set_ylim(bottom=0)
        axes.set_xticks(sorted({step for points in found.values() for step in points}))
        axes.set(xlabel="dilations of the truth, pixels in-plane", ylabel="false positive rate")
        quiet(axes, grid="both")
        row_of_legends(figure, axes)
    return figure
