"""Figure of the errors by location: at the true border, in thin structures, elsewhere."""

import pandas as pd
from matplotlib.figure import Figure

from wsseg.report.figures.style import (
    NARROW_IN,
    WIDTH_IN,
    colour,
    drawing,
    legend_above,
    name_rows,
    quiet,
    row_in,
)

COLUMNS = ("fp_border_voxels", "fp_thin_voxels", "fn_border_voxels")
BAR_IN = 0.21
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


def draw_error_locations(errors: pd.DataFrame, target: str, width_in: float = WIDTH_IN) -> Figure:
    """Draw a bar per method: missed voxels to the left, false voxels to the right."""
    unit = f"% of the true voxels of {target}" if width_in > NARROW_IN else "%"
    with drawing():
        figure = Figure(figsize=(width_in, 1.1 + row_in(width_in) * len(errors)))
        missed, false = figure.subplots(1, 2, sharey=True, width_ratios=[1, 2])
        for axes, kind, names in (
            (missed, "missed", ("border", "elsewhere")),
            (false, "false", ("border", "thin", "elsewhere")),
        ):
            left = 0.0 * errors["missed_border"]
            for name in names:
                style = ("border", "thin", "elsewhere").index(name)
                values = errors[f"{kind}_{name}"]
                axes.barh(range(len(errors)), values, left=left, height=BAR_IN / row_in(width_in),
                          color=colour(style), hatch=HATCHES[style], edgecolor="white", lw=0.5,
                          label=name)  # fmt: skip
                left = left + values
            axes.set_xlabel(f"{kind}, {unit}")
            quiet(axes, grid="x")
        missed.invert_xaxis()
        name_rows(missed, list(errors.index), width_in)
        missed.set_ylim(len(errors) - 0.5, -0.5)
        legend_above(figure, false)
    return figure
