from typing import Any

import numpy as np
import pandas as pd
import pytest

from wsseg.report.figures.sections import training_figures
from wsseg.report.figures.training import draw_training, first_alarms


def epochs(stage: str, learn: str, losses: list[float], **more: float) -> list[dict[str, object]]:
    return [
        {"stage": stage, "learn": learn, "epoch": k, "loss": loss, **more}
        for k, loss in enumerate(losses, 1)
    ]


def em_epoch(number: int, share: float) -> dict[str, Any]:
    record = {"stage": "two", "learn": "em", "epoch": number, "epochs": 4}
    return record | {"loss": 0.5, "target_share": share, "probe_share": share, "flip_rate": 0.0}


def test_a_stage_that_learns_from_masks_has_only_a_loss_curve_and_an_em_stage_three_curves() -> (
    None
):
    curves = {
        "phi2": [
            *epochs("infection", "masks", [1, 0.5], target_share=0.2),
            *epochs("consolidation", "em", [1, 0.5], target_share=0.3, flip_rate=0.1),
        ]
    }
    figure = draw_training(curves, ["phi2"])
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["infection", "consolidation", "consolidation", "consolidation"]


def test_a_stage_that_learns_from_tags_has_a_curve_of_the_share_that_it_finds() -> None:
    figure = draw_training({"mil": epochs("tumour", "tags", [1, 0.5], found_share=0.2)}, ["mil"])
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_visible()]
    assert labels == ["loss", "found, % of the region"]


@pytest.mark.parametrize(
    ("learn", "words"),
    [
        ("masks", set()),
        ("em", {"Targets:", "Flipped:", "triangle"}),
        ("tags", {"Found:"}),
    ],
)
def test_the_caption_explains_the_quantities_that_are_drawn(learn: str, words: set[str]) -> None:
    summary = pd.DataFrame({"method": ["phi2"], "health": [""]})
    records = epochs("one", learn, [1, 0.5], target_share=0.2, flip_rate=0.1, found_share=0.1)
    [picture] = training_figures({"phi2": records}, summary)
    known = {"Targets:", "Flipped:", "triangle", "Found:"}
    assert {word for word in known if word in picture.caption} == words


def test_panels_without_a_curve_are_hidden() -> None:
    stages = [f"stage {number}" for number in range(7)]  # in two rows of four panels
    records = [record for stage in stages for record in epochs(stage, "masks", [1, 0.5])]
    figure = draw_training({"phi2": records}, ["phi2"])
    assert [axes.get_visible() for axes in figure.axes] == [True] * 7 + [False]


def test_a_collapsed_method_does_not_set_the_scale_and_shares_are_percentages() -> None:
    curves = {"em": [em_epoch(k, 0.2) for k in (1, 2)], "bad": [em_epoch(k, 1.0) for k in (1, 2)]}
    panels = draw_training(curves, ["em", "bad"], collapsed=["bad"]).axes
    share = next(axes for axes in panels if axes.get_ylabel() == "targets, % of the region")
    assert share.get_ylim()[1] == pytest.approx(0.212)  # 6 % above the curve of em
    assert share.yaxis.get_major_formatter()(0.05) == "5 %"


def test_equal_curves_of_all_methods_are_drawn_as_one() -> None:
    shared = epochs("infection", "masks", [1.0, 0.5])
    axes = draw_training({"phi1": shared, "phi2": shared}, ["phi1", "phi2"]).axes[0]
    assert [line.get_label() for line in axes.lines] == ["all methods"]


@pytest.mark.filterwarnings("error")
def test_records_without_numbers_are_left_out_of_the_curves() -> None:
    incomplete: list[dict[str, object]] = [
        {"stage": "s", "epoch": 1},
        {"stage": "s", "epoch": 2, "loss": None},
        {"stage": "s", "loss": 0.2},
        {"stage": "s", "epoch": 3, "loss": 0.1},
    ]
    axes = draw_training({"a": incomplete, "$b_$": epochs("s", "em", [0.3])}, []).axes[0]
    curves = {str(line.get_label()): np.asarray(line.get_xydata()).tolist() for line in axes.lines}
    assert curves == {"a": [[3, 0.1]], "$b_$": [[1, 0.3]]}


@pytest.mark.parametrize(("share", "marker"), [(1.0, "^"), (0.0, "v")])
def test_full_and_collapsed_targets_have_different_markers(share: float, marker: str) -> None:
    records = [em_epoch(number, share) for number in (1, 2, 3, 4)]
    figure = draw_training({"em": records}, [])
    markers = [line.get_marker() for axes in figure.axes for line in axes.lines]
    assert markers.count(marker) == 3  # one each for loss, targets and flips


def test_an_alarm_is_in_the_first_epoch_with_a_problem_after_the_grace_period() -> None:
    records = [em_epoch(1, 1.0), em_epoch(2, 0.5), em_epoch(3, 0.99), em_epoch(4, 1.0)]
    assert first_alarms(records) == {"explosion": 3}


def test_a_warning_about_something_else_is_not_an_alarm() -> None:
    warning = {"event": "warning", "stage": "two", "epoch": 3, "text": "a region is empty"}
    assert first_alarms([em_epoch(3, 0.5), warning]) == {}


def test_the_curve_of_a_single_epoch_is_a_dot_at_epoch_1() -> None:
    axes = draw_training({"em": [em_epoch(1, 0.5)]}, []).axes[0]
    assert [line.get_marker() for line in axes.lines] == ["o"]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
