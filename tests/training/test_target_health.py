"""The rule by which EM's targets have collapsed or fill the region."""

from typing import Any

import pytest

from wsseg.training.target_health import final_problems, target_problem


def epoch(number: int, share: float, stage: str = "consolidation") -> dict[str, Any]:
    return {"stage": stage, "epoch": number, "epochs": 10, "probe_share": share}


@pytest.mark.parametrize(
    ("share", "problem"),
    [(0.0, "collapse"), (0.0009, "collapse"), (0.001, None), (0.97, None), (0.98, "explosion")],
)
def test_targets_below_a_thousandth_or_above_97_percent_of_the_region_are_a_problem(
    share: float, problem: str | None
) -> None:
    assert target_problem(epoch(10, share)) == problem


def test_targets_may_settle_in_the_first_four_of_ten_epochs() -> None:
    assert target_problem(epoch(3, 1.0)) is None
    assert target_problem(epoch(4, 1.0)) == "explosion"


def test_only_the_last_epoch_of_a_stage_decides() -> None:
    recovered = [epoch(5, 1.0), epoch(10, 0.5)]
    assert final_problems(recovered) == {}
    assert final_problems(recovered[::-1]) == {"consolidation": "targets fill the region"}


def test_each_stage_has_its_own_problem_and_other_records_are_ignored() -> None:
    records = [
        {"event": "warning", "stage": "infection", "epoch": 1, "text": "a warning"},
        {"stage": "infection", "epoch": 10, "epochs": 10, "target_share": 0.0},  # learns from masks
        epoch(10, 0.0),
        epoch(10, 1.0, "fibrosis"),
        {"event": "warning", "stage": "fibrosis", "epoch": 10, "text": "a warning"},
    ]
    assert final_problems(records) == {
        "consolidation": "targets are empty",
        "fibrosis": "targets fill the region",
    }
