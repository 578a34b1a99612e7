from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from wsseg.evaluation.statistics import Bootstrap
from wsseg.evaluation.summary import summarise
from wsseg.report.figures.style import svg
from wsseg.report.figures.sweeps import (
    draw_sources,
    draw_sources_over_setting,
    draw_sweep,
    find_sweep,
)

Suite = Callable[..., pd.DataFrame]

FEW = Bootstrap(draws=50)
SWEEP = (
    "threshold",
    "phi2 midpoint_hu=-34 width_hu=110",
    "phi2 midpoint_hu=-144 width_hu=110",
    "phi2 midpoint_hu=-34 width_hu=220",
    "phi2 midpoint_hu=21 width_hu=220",
)


def test_the_setting_with_the_most_values_is_the_axis_of_a_sweep() -> None:
    found = find_sweep(SWEEP)
    assert found is not None
    assert found.key == "midpoint_hu"
    assert found.fixed == ("threshold",)
    assert found.lines["phi2 width_hu=110"] == {-144: SWEEP[2], -34: SWEEP[1]}
    assert list(found.lines["phi2 width_hu=220"]) == [-34, 21]


def test_recipes_that_vary_the_same_setting_are_lines_of_one_sweep() -> None:
    found = find_sweep(["tags masks=1", "tags masks=4", "plain masks=1 †", "plain masks=4 †"])
    assert found is not None
    assert list(found.lines) == ["tags", "plain †"]


@pytest.mark.parametrize("methods", [["a", "b"], ["a x=1", "b"], ["a loss=batch-dice", "a loss=d"]])
def test_there_is_no_sweep_unless_a_number_has_two_values(methods: list[str]) -> None:
    assert find_sweep(methods) is None


def test_dice_is_drawn_over_the_setting_and_fixed_methods_as_horizontal_lines(suite: Suite) -> None:
    rows = suite(methods=SWEEP)
    found, table = find_sweep(SWEEP), summarise(rows, FEW)
    assert found is not None
    mean, pooled = draw_sweep(table, found, "consolidation").axes
    assert mean.get_xlabel() == "midpoint_hu"
    assert [text.get_text() for text in mean.get_xticklabels()] == ["−144", "−34", "21"]
    drawn = {line.get_label(): line for line in pooled.lines}
    of = table.set_index("method")["dice_pooled"]
    assert np.asarray(drawn["phi2 width_hu=110"].get_ydata()).tolist() == [
        of[SWEEP[2]],
        of[SWEEP[1]],
    ]
    assert np.asarray(drawn["threshold"].get_ydata()).tolist() == [of["threshold"]] * 2


def test_a_setting_over_a_wide_range_has_a_logarithmic_axis(suite: Suite) -> None:
    methods = ("tags masks=1", "tags masks=4", "tags masks=16")
    rows, found = suite(methods=methods), find_sweep(methods)
    assert found is not None
    figure = draw_sweep(summarise(rows, FEW), found, "x")
    assert figure.axes[0].get_xscale() == "log"
    assert "mathdefault" not in svg(figure)


def test_the_dice_of_prior_network_and_both_is_pooled_over_all_voxels(suite: Suite) -> None:
    rows = suite(methods=("threshold", "phi2"))
    (axes,) = draw_sources(rows, "consolidation").axes
    drawn = {
        line.get_label(): float(np.asarray(line.get_xdata())[0])
        for line in axes.lines
        if line.get_marker() != ""
    }
    phi2 = rows[rows["method"] == "phi2"]
    tp, fp, fn = (phi2[f"{name}_voxels"].sum() for name in ("tp", "fp", "fn"))
    assert drawn["network alone"] == 2 * tp / (2 * tp + fp + fn)
    assert drawn["prior alone"] == 2 * tp / (2 * tp + 2 * fp + fn)
    assert drawn["both"] == drawn["network alone"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["phi2"]


def test_the_dice_of_the_prior_has_a_panel_for_each_other_setting(suite: Suite) -> None:
    rows, found = suite(methods=SWEEP), find_sweep(SWEEP)
    assert found is not None
    panels = draw_sources_over_setting(rows, found, "consolidation").axes
    assert [axes.get_title(loc="left") for axes in panels] == list(found.lines)


def test_the_panels_of_the_prior_show_the_full_range_of_dice(suite: Suite) -> None:
    rows, found = suite(methods=SWEEP), find_sweep(SWEEP)
    assert found is not None
    rows.loc[rows["method"].isin(SWEEP[3:]), ["fp_voxels", "fn_voxels"]] = 0  # the last panel
    panels = draw_sources_over_setting(rows, found, "consolidation").axes
    tops = [np.nanmax(np.asarray(line.get_ydata())) for axes in panels for line in axes.lines]
    assert max(tops) == 1
    assert all(axes.get_ylim()[1] >= max(tops) for axes in panels)
