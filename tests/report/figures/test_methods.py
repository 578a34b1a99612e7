import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd

from wsseg.evaluation.published import PublishedResults
from wsseg.evaluation.summary import summarise
from wsseg.report.figures.methods import (
    draw_agreement,
    draw_dice,
    draw_groups,
    group_equal,
    joint_label,
)
from wsseg.report.figures.style import INK, svg

Suite = Callable[..., pd.DataFrame]


def texts(figure: object) -> str:
    return "".join(ET.fromstring(svg(figure)).itertext())  # type: ignore[arg-type]  # noqa: S314


def test_each_method_is_a_row_of_the_dice_figure_with_its_number_of_cases(suite: Suite) -> None:
    rows = suite()
    (axes,) = draw_dice(rows, summarise(rows), "consolidation").axes
    counts = "n = 6, correctly empty 1 of 2"
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [f"threshold\n{counts}", f"phi2\n{counts}"]
    assert sum(len(np.asarray(c.get_offsets())) for c in axes.collections) == 12
    assert "Dice of consolidation" in axes.get_xlabel()


def test_a_collapsed_method_is_not_shown_as_a_result_in_the_dice_figure(suite: Suite) -> None:
    rows = suite()
    rows["run.health"] = ["targets are empty" if m == "phi2" else "" for m in rows["method"]]
    (axes,) = draw_dice(rows, summarise(rows), "consolidation").axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert ["not a result" in label for label in labels] == [False, True]


def test_a_published_dice_is_a_star_in_the_row_of_its_method(suite: Suite) -> None:
    rows = suite()
    published = PublishedResults(source="x", methods={"phi2": {"dice_pooled": 0.628}})
    (axes,) = draw_dice(rows, summarise(rows), "consolidation", published).axes
    stars = [np.asarray(line.get_data()) for line in axes.lines if line.get_marker() == "*"]
    assert [star.ravel().tolist() for star in stars] == [[0.628, 1]]


def test_methods_with_equal_scores_share_a_panel(suite: Suite) -> None:
    figure = draw_agreement(suite(), "severity")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "all methods, the same"
    assert "r = 1.00, p < 0.001, n = 8" in texts(figure)


def test_the_groups_of_a_tag_have_their_sizes_and_the_auc(suite: Suite) -> None:
    text = texts(draw_groups(suite(), "consolidation_score", "consolidation"))
    assert "n = 2" in text
    assert "n = 6" in text
    assert "AUC = 1.00" in text


def test_names_with_markup_are_drawn_as_they_are(suite: Suite) -> None:
    rows = suite(methods=("$x^", "<b>&"))
    text = texts(draw_dice(rows, summarise(rows), "$\\frac$"))
    assert "<b>&" in text
    assert "$x^" in text


def test_an_svg_is_reproducible_and_its_colours_follow_the_theme(suite: Suite) -> None:
    first, second = (svg(draw_agreement(suite(), "severity")) for _ in range(2))
    assert first == second
    assert "prefers-color-scheme:dark" in first
    assert len(re.findall(INK, first)) == 1  # only in the definition of the CSS variable
    assert "<script" not in first


def test_drawing_restores_the_settings_of_matplotlib(suite: Suite) -> None:
    before = dict(mpl.rcParams)
    svg(draw_agreement(suite(), "severity"))
    assert dict(mpl.rcParams) == before


def test_equal_values_are_grouped_with_their_names() -> None:
    assert group_equal({"a": 1, "b": 2, "c": 1}, str) == {("a", "c"): 1, ("b",): 2}


def test_methods_with_equal_values_have_a_joint_label() -> None:
    assert joint_label(("a", "c"), of=3) == "a = c"
    assert joint_label(("a", "b"), of=2) == "all methods, the same"
    assert joint_label(("a", "b", "c", "d"), of=5) == "a = 3 others"
    assert joint_label(("a",), of=1) == "a"
