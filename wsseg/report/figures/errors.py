"""Figure of the errors by location: at the true border, in thin structures, elsewhere."""

import pandas as pd
from matplotlib.figure import Figure

from wsseg.report.figures.style import INK, WIDTH_IN, colour, drawing, legend_above, quiet

COLUMNS = ("fp_border_voxels", "fp_thin_voxels", "fn_border_voxels")
HATCHES = ("", "///", "...")


def error_locations(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the errors of each method by location, pooled over cases, in % of the true voxels.

    The index is the method; the columns are `missed_border`, `missed_elsewhere`, `false_border`,
    `false_thin` and `false_elsewhere`. Methods without counts or without true voxels are left out.
    """
    if not set(COLUMNS) <= set(rows):
        return pd.DataFrame()
    names = [*COLUMNS, "tp_voxels", "fp_voxels", "fn_voxels"]
    sums = rows.dropna(subset=[*COLUMNS]).groupby("method", sort=False)[names].sum()
    true = sums["tp_voxels"] + sums["fn_voxels"]
    errors = pd.DataFrame(
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
    return errors[true > 0].div(true[true > 0] / 100, axis=0)


def draw_error_locations(errors: pd.DataFrame, target: str) -> Figure:
    """Draw a bar per method: missed voxels to the left, false voxels to the right."""
    with drawing():
        figure = Figure(figsize=(WIDTH_IN, 1.1 + 0.34 * len(errors)))
        missed, false = figure.subplots(1, 2, sharey=True, width_ratios=[1, 2])
        for axes, kind, names in (
            (missed, "missed", ("border", "elsewhere")),
            (false, "false", ("border", "thin", "elsewhere")),
        ):
            left = 0.0 * errors["missed_border"]
            for name in names:
                style = ("border", "thin", "elsewhere").index(name)
                values = errors[f"{kind}_{name}"]
                axes.barh(range(len(errors)), values, left=left, height=0.62, color=colour(style),
                          hatch=HATCHES[style], edgecolor="white", lw=0.5, label=name)  # fmt: skip
                left = left + values
            axes.set_xlabel(f"{kind}, % of the true voxels of {target}")
            quiet(axes, grid="x")
        missed.invert_xaxis()
        missed.set_yticks(range(len(errors)), list(errors.index), color=INK)
        missed.set_ylim(len(errors) - 0.5, -0.5)
        legend_above(figure, false)
    return figure
