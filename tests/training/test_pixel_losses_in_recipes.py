"""Recipes train with cross-entropy, and with losses inside a loss."""

import json
from pathlib import Path
from typing import Any

import pytest

LOSSES = [
    "{use: cross-entropy}",
    "{use: weighted-sum, losses: [{use: cross-entropy}, {use: batch-dice}], weights: [1, 0.5]}",
]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_recipe_trains_masks_and_em_with_a_pixel_loss(
    wsseg: Any, toy_recipe: Path, tmp_path: Path, loss: str
) -> None:
    """The supervised loss falls, and the run can be scored, so that its recipe was saved well."""
    run = tmp_path / "run"
    set_losses = [f"stages.{name}.loss={loss}" for name in ("infection", "consolidation")]
    options = [word for change in set_losses for word in ("--set", change)]
    for words in (("train", toy_recipe, *options, "--out", run), ("score", run)):
        ended = wsseg(*words)
        assert ended.code == 0, ended.err
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    supervised = [each["loss"] for each in records if each["stage"] == "infection"]
    weak = [each["loss"] for each in records if each["stage"] == "consolidation"]
    assert supervised[-1] < supervised[0]
    assert all(0 < each < 10 for each in weak)
