import numpy as np
import pandas as pd
from matplotlib.patches import Patch, Rectangle

from wsseg.report.figures.errors import places, where_errors_lie

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


def test_errors_are_in_per_cent_of_the_true_voxels() -> None:
    found = places(ROWS)
    assert list(found.index) == ["a"]  # "none" has no true voxel to compare with
    assert found.loc["a"].to_dict() == {
        "missed_border": 25.0,
        "missed_elsewhere": 25.0,
        "false_border": 10.0,
        "false_thin": 4.0,
        "false_elsewhere": 6.0,
    }


def test_rows_without_places_have_no_such_figure() -> None:
    assert places(ROWS.drop(columns="fp_thin_voxels")).empty
    assert places(ROWS.assign(fp_thin_voxels=np.nan)).empty


def test_bars_of_a_side_add_up_to_its_errors() -> None:
    missed, false = where_errors_lie(places(ROWS), "consolidation").axes
    assert sum(width(bar) for bar in missed.patches) == 50
    assert sum(width(bar) for bar in false.patches) == 20
    assert missed.xaxis_inverted()
