import numpy as np
import pandas as pd
from matplotlib.patches import Patch, Rectangle

from wsseg.report.figures.errors import draw_error_locations, error_locations

ROWS = pd.DataFrame(
    {
        "method": ["a", "a", "none"],
        "tp_voxels": [30.0, 20.0, 0.0],
        "fp_voxels": [20.0, 0.0, 5.0],
        "fn_voxels": [40.0, 10.0, 0.0],
        "fp_border_voxels": [10.0, 0.0, 0.0],
        "fp_thin_voxels": [4.0, 0.0, 5.0],
        "fn_border_voxels": [20.0, 5.0, 0.0],
    }
)


def width(bar: Patch) -> float:
    assert isinstance(bar, Rectangle)
    return bar.get_width()


def test_errors_are_in_percent_of_the_true_voxels() -> None:
    found = error_locations(ROWS)
    assert list(found.index) == ["a"]  # "none" has no true voxels
    assert found.loc["a"].to_dict() == {
        "missed_border": 25.0,
        "missed_elsewhere": 25.0,
        "false_border": 10.0,
        "false_thin": 4.0,
        "false_elsewhere": 6.0,
    }


def test_rows_without_counts_of_locations_have_no_errors_to_draw() -> None:
    assert error_locations(ROWS.drop(columns="fp_thin_voxels")).empty
    assert error_locations(ROWS.assign(fp_thin_voxels=np.nan)).empty


def test_the_bars_of_missed_and_of_false_voxels_sum_to_all_errors() -> None:
    missed, false = draw_error_locations(error_locations(ROWS), "consolidation").axes
    assert sum(width(bar) for bar in missed.patches) == 50
    assert sum(width(bar) for bar in false.patches) == 20
    assert missed.xaxis_inverted()
