"""A tiny EM stage that is trained, stopped and resumed in one process."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from wsseg.components.registry import registry
from wsseg.config.stages import AnyStage
from wsseg.core.input import Input
from wsseg.data.batches import StageScan
from wsseg.inference.folders import StageFolder
from wsseg.inference.network import new_network
from wsseg.runtime.device import open_fabric
from wsseg.training.events import StepDone
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Trainer
from wsseg.training.training_state import load_state, save_state

INPUT = Input(slices=3, size=16, offset=0, scale=1, thick=None, fill=0)
CASES, SLICES, SIZE = 2, 3, 16
EM: dict[str, Any] = {
    "learn": "em",
    "classes": ["a"],
    "backbone": {"use": "additive-unet", "width": 2},
    "prior": {"use": "constant", "probability": 0.6},
    "estep": {"use": "soft"},
    "loss": {"use": "cross-entropy"},
    "epochs": 2,
    "batch_size": 2,
    "optimizer": {"lr": 0.01},
}
STEPS_PER_EPOCH = CASES * SLICES // EM["batch_size"]


def trainer_of(**change: Any) -> Trainer:
    """Return a trainer of the EM stage with some other settings."""
    return trainer_with(EM | change)


def trainer_with(settings: dict[str, Any]) -> Trainer:
    """Return a trainer of a stage that learns from tags."""
    stage = TypeAdapter[Any](AnyStage).validate_python(settings, context=registry())
    assert stage.backbone is not None
    generator = np.random.default_rng(0)
    scans = tuple(
        StageScan(
            name=f"case-{number}",
            image=generator.normal(size=(1, SLICES, SIZE, SIZE)).astype(np.float32),
            inside=None,
            region=None,
            tags=np.ones((SLICES, 1), np.bool_),
            slices=tuple(range(SLICES)),
        )
        for number in range(CASES)
    )
    network = new_network(stage.backbone, INPUT, 1, seed=1)
    fabric = open_fabric("float32")
    return Trainer(StageTask("a", stage, INPUT, 1, scans, fabric, fingerprint="key"), network)


def run_steps(trainer: Trainer, number: int) -> None:
    list(islice((event for event in trainer.run() if isinstance(event, StepDone)), number))


def assert_resumes_to_the_same_bits(settings: dict[str, Any], folder: Path) -> None:
    """Check that a stage that is stopped in its second epoch ends as one that is not."""
    complete, half, later = (trainer_with(settings) for _ in range(3))
    list(complete.run())
    run_steps(half, STEPS_PER_EPOCH + 1)
    save_state(StageFolder(folder), *half.state(), "key")
    later.restore(*(load_state(StageFolder(folder), "key") or pytest.fail("no state")))
    list(later.run())
    for name, weight in complete.weights.items():
        assert torch.equal(weight, later.weights[name]), name
    assert later.stage == complete.stage
    assert later.progress.history[-1]["loss"] == complete.progress.history[-1]["loss"]
