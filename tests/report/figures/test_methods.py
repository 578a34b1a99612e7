import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from wsseg.evaluation.summary import summarise
from wsseg.report.figures.methods import agreement, alike, dice_by_method, groups, joined
from wsseg.report.figures.style import INK, svg
from wsseg.report.figures.training import training

Suite = Callable[..., pd.DataFrame]


def epochs(stage: str, learn: str, losses: list[float], **more: float) -> list[dict[str, object]]:
    return [
        {"event": "epoch", "stage": stage, "learn": learn, "epoch": k, "loss": loss, **more}
        for k, loss in enumerate(losses, 1)
    ]


def texts(figure: object) -> str:
    return "".join(ET.fromstring(svg(figure)).itertext())  # type: ignore[arg-type]  # noqa: S314


def test_every_method_is_a_line_of_the_dice_figure_with_its_n(suite: Suite) -> None:
    rows = suite()
    figure = dice_by_method(rows, summarise(rows), "consolidation")
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["threshold  (n = 7)", "phi2  (n = 7)"]
    assert sum(len(np.asarray(c.get_offsets())) for c in axes.collections) == 14
    assert "Dice of consolidation" in axes.get_xlabel()


def test_equal_predictions_share_a_panel(suite: Suite) -> None:
    figure = agreement(suite(), "severity")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "all methods, the same"
    assert "r = 1.00, p < 0.001, n = 8" in texts(figure)


def test_groups_name_their_size_and_their_test(suite: Suite) -> None:
    figure = groups(suite(), "consolidation_score", "consolidation")
    text = texts(figure)
    assert "n = 2" in text
    assert "n = 6" in text
    assert "AUC = 1.00" in text


def test_a_stage_without_em_shows_its_loss_only() -> None:
    curves = {
        "phi2": [
            *epochs("infection", "masks", [1, 0.5], target_share=0.2),
            *epochs("consolidation", "em", [1, 0.5], target_share=0.3, flip_rate=0.1),
        ]
    }
    figure = training(curves, ["phi2"])
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["infection", "consolidation", "consolidation", "consolidation"]


def test_a_stage_that_learns_from_tags_shows_what_it_finds() -> None:
    figure = training({"mil": epochs("tumour", "tags", [1, 0.5], found_share=0.2)}, ["mil"])
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_visible()]
    assert labels == ["loss", "found / region"]


def test_panels_that_are_not_needed_are_not_there() -> None:
    figure = training({"phi2": epochs("infection", "masks", [1, 0.5])}, ["phi2"])
    assert sum(axes.get_visible() for axes in figure.axes) == 1


def test_a_stage_that_all_share_is_drawn_once() -> None:
    shared = epochs("infection", "masks", [1.0, 0.5])
    axes = training({"phi1": shared, "phi2": shared}, ["phi1", "phi2"]).axes[0]
    assert [line.get_label() for line in axes.lines] == ["all methods"]


@pytest.mark.filterwarnings("error")
def test_strange_records_are_drawn_as_far_as_they_go() -> None:
    records: list[dict[str, object]] = [
        {"event": "epoch", "stage": "s", "epoch": 1},
        {"event": "epoch", "loss": None},
    ]
    training({"a": records, "$b_$": epochs("s", "em", [0.3])}, [])


def test_figures_survive_names_with_markup(suite: Suite) -> None:
    rows = suite(methods=("$x^", "<b>&"))
    assert "<b>&" in texts(dice_by_method(rows, summarise(rows), "$\\frac$"))


def test_a_figure_is_the_same_bytes_twice_and_follows_the_theme(suite: Suite) -> None:
    first, second = (svg(agreement(suite(), "severity")) for _ in range(2))
    assert first == second
    assert "prefers-color-scheme:dark" in first
    assert len(re.findall(INK, first)) == 1  # its definition: the ink itself is a variable
    assert "<script" not in first


def test_drawing_leaves_no_global_state(suite: Suite) -> None:
    before = dict(mpl.rcParams)
    svg(agreement(suite(), "severity"))
    assert dict(mpl.rcParams) == before


def test_equal_values_share_their_names() -> None:
    assert alike({"a": 1, "b": 2, "c": 1}, str) == {("a", "c"): 1, ("b",): 2}
    assert joined(("a", "c"), of=3) == "a = c"
    assert joined(("a", "b"), of=2) == "all methods, the same"
    assert joined(("a", "b", "c", "d"), of=5) == "a = 3 others"
    assert joined(("a",), of=1) == "a"
