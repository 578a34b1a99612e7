"""Reliability diagram: how often pixels with a predicted probability have a class."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from wsseg.evaluation.reliability import BINS, Bins, Reliability
from wsseg.report.figures.style import (
    MUTED,
    WIDTH_IN,
    colour,
    drawing,
    legend_above,
    quiet,
)

BLUE, ORANGE = 0, 1  # of `colour`
MARKERS = {ORANGE: "o", BLUE: "s"}


def draw_reliability(reliability: Reliability, width_in: float = WIDTH_IN / 2) -> Figure:
    """Draw the share of pixels that have the class against their mean probability, by bin.

    Below it are the numbers of pixels in the bins. A perfectly calibrated class is on the diagonal.
    """
    curves = _curves(reliability)
    with drawing():
        figure = Figure(figsize=(width_in, 4.6))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        above.plot([0, 1], [0, 1], color=MUTED, ls=":", lw=1.1, label="perfect calibration")
        width = 1 / BINS / (len(curves) + 0.5)
        middles = (np.arange(BINS) + 0.5) / BINS
        for place, ((name, bins), index) in enumerate(
            zip(curves.items(), (ORANGE, BLUE), strict=False)
        ):
            probability, share = zip(*bins.points, strict=True)
            above.plot(probability, share, marker=MARKERS[index], ms=4.5, color=colour(index),
                       label=name, clip_on=False)  # fmt: skip
            left = middles + (place - (len(curves) - 1) / 2) * width
            below.bar(left, bins.pixels, width, color=colour(index))
        above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that has the class")
        below.set(yscale="log", ylim=(0.8, None), xlabel="predicted probability", ylabel="pixels")
        below.yaxis.set_major_locator(LogLocator(numticks=4))
        below.yaxis.set_major_formatter(FuncFormatter(lambda pixels, _: f"{pixels:,.0f}"))
        below.yaxis.set_minor_locator(NullLocator())
        quiet(above, grid="both")
        quiet(below, grid="y")
        legend_above(figure, above)
    return figure


def _curves(reliability: Reliability) -> Mapping[str, Bins]:
    """Return the bins by their names in the legend, the uncalibrated ones first."""
    curves = {f"uncalibrated: ECE {reliability.uncalibrated.ece:.4f}": reliability.uncalibrated}
    if reliability.calibrated is not None:
        curves[f"calibrated: ECE {reliability.calibrated.ece:.4f}"] = reliability.calibrated
    return curves
