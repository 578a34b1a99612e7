import re

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from wsseg.evaluation.reliability import Bins, Reliability
from wsseg.report.figures.reliability import draw_reliability
from wsseg.report.figures.sections import reliability_figures
from wsseg.report.figures.style import NARROW_IN, svg
from wsseg.report.result_tables import reliability_table

BEFORE = Bins.of(np.array([0.95, 0.95, 0.05], np.float32), np.array([True, False, False]))
AFTER = Bins.of(np.array([0.55, 0.55, 0.15], np.float32), np.array([True, False, False]))
BOTH = Reliability(2, BEFORE, AFTER, 2.5, pixel_auc=0.75)


def test_points_are_the_shares_of_bins_and_bars_their_numbers_of_pixels() -> None:
    above, below = draw_reliability(BOTH).axes
    curves = {str(line.get_label()): np.asarray(line.get_xydata()) for line in above.lines}
    assert list(curves) == [
        "perfect calibration",
        "uncalibrated: ECE 0.3167",  # (2 * 0.45 + 0.05) / 3
        "calibrated: ECE 0.0833",  # (2 * 0.05 + 0.15) / 3
    ]
    assert curves["uncalibrated: ECE 0.3167"] == pytest.approx(np.array([[0.05, 0], [0.95, 0.5]]))
    assert curves["calibrated: ECE 0.0833"] == pytest.approx(np.array([[0.15, 0], [0.55, 0.5]]))
    heights = [bar.get_height() for bar in below.patches if isinstance(bar, Rectangle)]
    assert heights == [*BEFORE.pixels, *AFTER.pixels]


def test_labels_of_the_logarithmic_axis_are_plain_numbers() -> None:
    many = Bins.of(np.full(20_000, 0.5, np.float32), np.zeros(20_000, np.bool_))
    text = svg(draw_reliability(Reliability(1, many), NARROW_IN))
    assert ">10,000<" in text
    assert not re.search(r"mathdefault|10\^", text)


def test_each_method_and_class_has_a_row_and_a_figure_and_a_dash_without_temperature() -> None:
    found = {"phi2": {"infection": BOTH, "lung": Reliability(3, BEFORE)}}
    table = reliability_table(found)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["phi2", "infection", "2", "3", "0.750", "0.3167", "2.500", "0.0833"],
        ["phi2", "lung", "3", "3", "–", "0.3167", "–", "–"],
    ]
    captions = [picture.caption for picture in reliability_figures(found)]
    assert captions == [
        "infection (phi2): 2 cases, 3 pixels. Temperature 2.5.",
        "lung (phi2): 3 cases, 3 pixels.",
    ]


def test_equal_reliability_of_all_methods_is_shown_once() -> None:
    """As of a stage that methods share."""
    own = Reliability(1, AFTER, pixel_auc=0.5)
    found = {
        "em": {"infection": BOTH, "lung": BOTH},
        "phi2": {"infection": BOTH, "lung": own},
    }
    captions = [picture.caption for picture in reliability_figures(found)]
    assert captions == [
        "infection (all methods, the same): 2 cases, 3 pixels. Temperature 2.5.",
        "lung (em): 2 cases, 3 pixels. Temperature 2.5.",
        "lung (phi2): 1 case, 3 pixels.",
    ]
    rows = [[cell.text for cell in row[:2]] for row in reliability_table(found).rows]
    assert rows == [["all methods, the same", "infection"], ["em", "lung"], ["phi2", "lung"]]


def test_a_class_without_a_pixel_in_its_region_has_no_figure() -> None:
    empty = Reliability(1, Bins.of(np.zeros(0, np.float32), np.zeros(0, np.bool_)))
    assert reliability_figures({"phi2": {"infection": empty}}) == []
    [row] = reliability_table({"phi2": {"infection": empty}}).rows
    assert [cell.text for cell in row[4:6]] == ["–", "–"]
