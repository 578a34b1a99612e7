"""Where errors lie: at the true border, in thin structures, elsewhere."""

import pandas as pd
from matplotlib.figure import Figure

from wsseg.report.figures.style import INK, WIDTH_IN, colour, drawing, quiet, row_of_legends

COLUMNS = ("fp_border_voxels", "fp_thin_voxels", "fn_border_voxels")
HATCHES = ("", "///", "...")


def places(rows: pd.DataFrame) -> pd.DataFrame:
    """Return by method its pooled errors in per cent of the true voxels, by where they lie.

    Columns: `missed_border`, `missed_elsewhere`, `false_border`, `false_thin`, `false_elsewhere`.
    Methods without these counts, and those without a true voxel, are left out.
    """
    if not set(COLUMNS) <= set(rows):
        return pd.DataFrame()
    names = [*COLUMNS, "tp_voxels", "fp_voxels", "fn_voxels"]
    sums = rows.dropna(subset=[*COLUMNS]).groupby("method", sort=False)[names].sum()
    true = sums["tp_voxels"] + sums["fn_voxels"]
    found = pd.DataFrame(
        {
            "missed_border": sums["fn_border_voxels"],
            "missed_elsewhere": sums["fn_voxels"] - sums["fn_border_voxels"],
            "false_border": sums["fp_border_voxels"],
            "false_thin": sums["fp_thin_voxels"],
            "false_elsewhere": sums["fp_voxels"]
            - sums["fp_border_voxels"]
            - sums["fp_thin_voxels"],
        }
    )
    return found[true > 0].div(true[true > 0] / 100, axis=0)


def where_errors_lie(found: pd.DataFrame, target: str) -> Figure:
    """Draw what is missed to the left and what is false to the right, a bar a method."""
    with drawing():
        figure = Figure(figsize=(WIDTH_IN, 1.1 + 0.34 * len(found)))
        missed, false = figure.subplots(1, 2, sharey=True, width_ratios=[1, 2])
        for axes, kind, names in (
            (missed, "missed", ("border", "elsewhere")),
            (false, "false", ("border", "thin", "elsewhere")),
        ):
            start = 0.0 * found["missed_border"]
            for name in names:
                place = ("border", "thin", "elsewhere").index(name)
                values = found[f"{kind}_{name}"]
                axes.barh(range(len(found)), values, left=start, height=0.62, color=colour(place),
                          hatch=HATCHES[place], edgecolor="white", lw=0.5, label=name)  # fmt: skip
                start = start + values
            axes.set_xlabel(f"{kind}, % of the true voxels of {target}")
            quiet(axes, grid="x")
        missed.invert_xaxis()
        missed.set_yticks(range(len(found)), list(found.index), color=INK)
        missed.set_ylim(len(found) - 0.5, -0.5)
        row_of_legends(figure, false)
    return figure
