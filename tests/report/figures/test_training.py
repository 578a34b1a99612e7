from typing import Any

import pytest

from wsseg.report.figures.training import first_alarms, training


@pytest.mark.parametrize(("share", "marker"), [(1.0, "^"), (0.0, "v")])
def test_explosion_and_collapse_are_told_apart(share: float, marker: str) -> None:
    records = [epoch(number, share) for number in (1, 2, 3, 4)]
    markers = [
        line.get_marker() for axes in training({"em": records}, []).axes for line in axes.lines
    ]
    assert markers.count(marker) == 3  # on loss, targets and flips, at the first such epoch


def epoch(number: int, share: float) -> dict[str, Any]:
    about = {"event": "epoch", "stage": "two", "learn": "em", "epoch": number, "epochs": 4}
    return about | {"loss": 0.5, "target_share": share, "probe_share": share, "flip_rate": 0.0}


def test_trouble_is_marked_where_it_begins_and_after_the_first_epochs() -> None:
    records = [epoch(1, 1.0), epoch(2, 0.5), epoch(3, 0.99), epoch(4, 1.0)]
    assert first_alarms(records) == {"explosion": 3}


def test_a_warning_of_something_else_is_no_alarm() -> None:
    warning = {
        "event": "warning",
        "stage": "two",
        "epoch": 3,
        "text": "nothing is left of a region",
    }
    assert first_alarms([epoch(3, 0.5), warning]) == {}


def test_a_single_epoch_is_a_dot_at_1() -> None:
    axes = training({"em": [epoch(1, 0.5)]}, []).axes[0]
    assert [line.get_marker() for line in axes.lines] == ["o"]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
