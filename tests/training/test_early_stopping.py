"""Training that stops when the loss on the validation cases no longer falls."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.test_trainer import INPUT, MASKS, TAGS, scans, steps
from wsseg.components.registry import registry
from wsseg.config.recipe_files import load_recipe
from wsseg.config.stages import MasksStage, NetworkStage, TagsStage
from wsseg.data.batches import StageScan
from wsseg.errors import InputError
from wsseg.inference.folders import StageFolder
from wsseg.inference.network import new_network
from wsseg.runtime.device import open_fabric
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Trainer
from wsseg.training.training_state import load_state, save_state

if TYPE_CHECKING:
    from tests.conftest import Wsseg

EARLY = {"early_stopping": {"patience": 2}, "epochs": 20, "optimizer": {"lr": 0.05}}


def labelled(scan: StageScan, *, inverted: bool) -> StageScan:
    """Label the bright voxels, or with `inverted` all others; tags are inverted likewise."""
    bright = np.asarray(scan.image)[0] > -400
    labels = ((bright != inverted).astype(np.uint8),) if scan.labels else ()
    return replace(scan, labels=labels, tags=scan.tags != inverted)


def trainer_of(settings: dict[str, Any]) -> Trainer:
    """Labels of the validation cases are inverted, so their loss rises while training succeeds."""
    kind: type[NetworkStage] = MasksStage if settings["learn"] == "masks" else TagsStage
    stage = kind.model_validate(settings, context=registry())
    assert stage.backbone is not None
    network = new_network(stage.backbone, INPUT, 1, seed=1)
    given = scans(labels=kind is MasksStage)
    training = tuple(labelled(each, inverted=False) for each in given)
    validation = tuple(labelled(each, inverted=True) for each in given)
    fabric = open_fabric("float32")
    task = StageTask("a", stage, INPUT, 1, training, fabric, "key", validation=validation)
    return Trainer(task, network)


def losses(trainer: Trainer) -> list[float]:
    return [record["validation_loss"] for record in trainer.progress.history]


@pytest.mark.parametrize("settings", [MASKS | EARLY, TAGS | EARLY])
def test_training_stops_after_the_epochs_of_patience_and_keeps_the_best_weights(
    settings: dict[str, Any],
) -> None:
    trainer = trainer_of(settings)
    best: dict[str, Tensor] = {}
    for step in steps(trainer.run()):
        if step.step % 3 == 0 and losses(trainer)[-1] == min(losses(trainer)):
            current = trainer._weights.alone.trained.state_dict()
            best = {name: each.clone() for name, each in current.items()}
    found = losses(trainer)
    assert len(found) == int(np.argmin(found)) + 1 + 2
    assert len(found) < 20
    assert all(torch.equal(each, best[name]) for name, each in trainer.weights.items())
    last = trainer._weights.alone.trained.state_dict()
    assert any(not torch.equal(each, last[name]) for name, each in trainer.weights.items())


def test_validation_slices_are_not_augmented_and_change_no_weight() -> None:
    """With and without validation, the weights after the same number of epochs are equal."""
    plain = trainer_of(MASKS | {"epochs": 3, "early_stopping": {"patience": 20}})
    plain._validation = None
    watched = trainer_of(MASKS | {"epochs": 3, "early_stopping": {"patience": 20}})
    list(plain.run())
    list(watched.run())
    own = watched._weights.alone.trained.state_dict()
    assert all(
        torch.equal(each, own[name])
        for name, each in plain._weights.alone.trained.state_dict().items()
    )
    watched._seed = 99
    measured = [watched._validation_loss(v) for v in [watched._validation] * 2 if v is not None]
    assert measured[0] == measured[1] == losses(watched)[-1]


@pytest.mark.parametrize("number", [1, 4, 8])
def test_a_resumed_training_stops_at_the_same_epoch_with_the_same_bits(
    number: int, tmp_path: Path
) -> None:
    settings = MASKS | EARLY
    complete, half, later = (trainer_of(settings) for _ in range(3))
    list(complete.run())
    list(islice(steps(half.run()), number))
    save_state(StageFolder(tmp_path), *half.state(), "key")
    later.restore(*(load_state(StageFolder(tmp_path), "key") or pytest.fail("no state")))
    list(later.run())
    assert losses(later) == losses(complete)
    assert later.progress.best_epoch == complete.progress.best_epoch
    assert all(torch.equal(each, later.weights[name]) for name, each in complete.weights.items())


def with_validation(cohort: Path, folder: Path, number: int) -> Path:
    """Write the toy cohort with the first `number` cases for validation."""
    head, *lines = cohort.read_text().splitlines()
    columns = head.split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines]
    for row in rows[:number]:
        row["split"] = "val"
    files = [column for column in columns if column == "image" or column.startswith("mask.")]
    for row in rows:
        row.update({column: str(cohort.parent / row[column]) for column in files})
    path = folder / "with-validation.csv"
    path.write_text("\n".join([head, *(",".join(row.values()) for row in rows)]) + "\n")
    return path


def test_a_run_with_early_stopping_reads_the_validation_cases_and_lists_them(
    wsseg: "Wsseg", toy_recipe: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    cohort, run = with_validation(toy_cohort, tmp_path, 2), tmp_path / "run"
    changes = (f"cohort.path={cohort}", "stages.infection.early_stopping={patience: 1}")
    words = [word for each in changes for word in ("--set", each)]
    ended = wsseg("train", toy_recipe, "--out", run, *words)
    assert ended.code == 0, ended.err
    assert "validation loss" in ended.err
    assert "the weights are those of epoch" in ended.err
    manifest = json.loads((run / "manifest.json").read_text())
    used = {(each["stage"], each["case"], each["use"]) for each in manifest["files"]}
    for case in ("case-0", "case-1"):
        assert ("infection", case, "validation label") in used
        assert ("infection", case, "label") not in used
        assert not any(stage == "consolidation" and name == case for stage, name, _ in used)


def test_early_stopping_without_validation_cases_is_refused_before_training(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    change = "stages.infection.early_stopping={patience: 1}"
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", "--set", change)
    ended.refused("stage infection: early_stopping needs validation cases", "cases to val")
    assert not (tmp_path / "run" / "stages").exists()


def test_em_cannot_stop_early(toy_recipe: Path) -> None:
    with pytest.raises(InputError, match="early_stopping: is impossible for EM"):
        load_recipe(toy_recipe, ["stages.consolidation.early_stopping={patience: 1}"])
