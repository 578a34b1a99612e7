import pytest

from wsseg.report.curves import training


@pytest.mark.parametrize(("share", "marker"), [(1.0, "^"), (0.0, "v")])
def test_explosion_and_collapse_are_told_apart(share: float, marker: str) -> None:
    epoch = {"event": "epoch", "stage": "two", "learn": "em", "epoch": 4, "loss": 0.5}
    records = [
        epoch | {"target_share": share, "probe_share": share, "flip_rate": 0.0},
        {"event": "warning", "stage": "two", "epoch": 4, "text": "look"},
    ]
    markers = [
        line.get_marker() for axes in training({"em": records}, []).axes for line in axes.lines
    ]
    assert markers.count(marker) == 3  # on loss, targets and flips
