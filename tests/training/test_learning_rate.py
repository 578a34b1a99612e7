"""The learning rate that each optimiser step uses."""

from typing import Any

import pytest

from tests.training.test_trainer import MASKS, steps, trainer_of


@pytest.mark.parametrize(
    ("lr", "rates"),
    [
        (0.02, [0.02] * 9),
        ([[1, 0.02], [3, 0.01]], [0.02] * 3 + [0.01] * 6),
        ([[2, 0.02], [3, 0.01]], [0.02] * 6 + [0.01] * 3),
        # (1 + cos(pi step / 9)) / 2, of which the values at steps 3 and 6 are 3/4 and 1/4
        ({"start": 0.02, "end": 0}, [0.02, None, None, 0.015, None, None, 0.005, None, None]),
    ],
)
def test_each_step_uses_the_rate_at_its_start(lr: Any, rates: list[float | None]) -> None:
    trainer = trainer_of(MASKS | {"epochs": 3, "optimizer": {"lr": lr}})
    assert trainer.steps == 9  # three in an epoch
    used = [trainer._weights.learning_rate for _ in steps(trainer.run())]
    assert used == sorted(used, reverse=True)
    for rate, expected in zip(used, rates, strict=True):
        if expected is not None:
            assert rate == pytest.approx(expected)


def test_the_log_has_the_rate_of_the_last_step_of_each_epoch() -> None:
    rates = [[1, 0.02], [2, 0.01], [3, 0.005]]
    trainer = trainer_of(MASKS | {"epochs": 3, "optimizer": {"lr": rates}})
    list(trainer.run())
    assert [record["lr"] for record in trainer.progress.history] == [0.02, 0.01, 0.005]
