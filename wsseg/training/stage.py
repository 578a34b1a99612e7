"""Training of one stage into its folder, or reuse of the same stage from an earlier run."""

import shutil
from dataclasses import replace

from lightning_fabric import Fabric

from wsseg.config.stages import NetworkStage, Stage
from wsseg.core.contracts import component_name
from wsseg.core.interfaces import Backbone
from wsseg.errors import InputError, WorkError
from wsseg.inference.checkpoint import (
    StageRecord,
    TrainedStage,
    check_can_be_saved,
    copy_record,
    fingerprint_of,
    load_stage,
    save_stage,
)
from wsseg.inference.folders import StageFolder
from wsseg.inference.network import (
    BODY,
    SHIFT,
    Network,
    load_matching_weights,
    new_network,
    uses_batch_statistics,
)
from wsseg.runtime.collectives import any_rank
from wsseg.runtime.device import keep_memory
from wsseg.runtime.files import atomic_folder
from wsseg.training.context import RunContext
from wsseg.training.log import forget_epochs_after
from wsseg.training.stage_identity import data_settings
from wsseg.training.stage_task import StageTask
from wsseg.training.trainer import Trainer
from wsseg.training.trainer_events import run_follower, run_leader
from wsseg.training.training_set import summary_of
from wsseg.training.training_state import load_state


def train_stage(task: StageTask, context: RunContext) -> TrainedStage:
    """Train a stage and load it. A finished stage with the same fingerprint is reused.

    Raises:
        WorkError: Training failed or was interrupted; the newest saved state is kept.
    """
    folder = context.folder.stage(task.name)
    if isinstance(task.stage, NetworkStage):
        _train_or_reuse(task, context, folder)
    else:
        _fit_prior(task, context, folder)
    return load_stage(folder)


def _train_or_reuse(task: StageTask, context: RunContext, folder: StageFolder) -> None:
    display, cached = context.display, context.cached_stage(task.fingerprint)
    if task.fabric.broadcast(_holds(folder, task)):
        display.note(f"stage {task.name}: already trained")
    elif cached is not None and _holds(cached, task):
        display.note(f"stage {task.name}: reused from another run")
        _copy_stage(cached, folder, task.stage)
    else:
        display.note(f"stage {task.name}: {_training_set_text(task)}")
        _train(task, context, folder)
    task.fabric.barrier()  # from now on, every process can open what the leader saved
    shutil.rmtree(folder.unfinished, ignore_errors=True)
    if cached is not None and not _holds(cached, task):
        _copy_stage(folder, cached, task.stage)


def _train(task: StageTask, context: RunContext, folder: StageFolder) -> None:
    """Train a stage from its start, or from its newest saved state."""
    keep_memory()
    task = task.fitted()
    check_can_be_saved(_record(task))
    trainer = Trainer(task, _initial_network(task, context))
    if state := load_state(folder, task.fingerprint):
        trainer.restore(*state)
        context.display.note(f"  resumed after step {trainer.progress.step}")
    _check_same_step(trainer.progress.step, folder, task.fabric)
    if not context.group.is_leader:
        run_follower(trainer, task)
        return
    history = trainer.progress.history
    forget_epochs_after(context.folder.log, task.name, len(history))
    run_leader(trainer, task, context)
    record = replace(_record(task), stage=trainer.stage, history=tuple(trainer.progress.history))
    weights, shift = trainer.weights, trainer.shift_to_share()
    if shift is not None:
        by = ", ".join(f"{each:+.2f}" for each in shift.flatten().tolist())
        context.display.note(
            f"  log-odds shifted by {by}, so that predictions cover as much as the targets"
        )
        weights = weights | {SHIFT: shift}
    save_stage(folder, record, weights)


def _fit_prior(task: StageTask, context: RunContext, folder: StageFolder) -> None:
    """Fit the prior of a stage that trains no network."""
    task = task.fitted()
    check_can_be_saved(_record(task))
    if context.group.is_leader:
        save_stage(folder, _record(task), {})
    task.fabric.barrier()  # from now on, every process can open what the leader saved


def _record(task: StageTask) -> StageRecord:
    """Return the record of a stage before its first epoch."""
    return StageRecord(
        task.name, task.stage, task.input, fingerprint=task.fingerprint, channels=task.channels
    )


def _initial_network(task: StageTask, context: RunContext) -> Network:
    """Return a network with random weights, or with those of the stage that it starts from."""
    stage = task.network_stage
    assert stage.backbone is not None, "a task's stage has a backbone"  # noqa: S101
    channels, classes = len(task.channels), len(stage.classes)
    network = new_network(stage.backbone, task.input, classes, task.seed, channels)
    if task.start is not None:
        assert task.start.network is not None, "a recipe only starts from stages that learn"  # noqa: S101
        weights = task.start.network.state_dict()
        new = load_matching_weights(network, weights, _new_head(stage, stage.backbone))
        untrained = f"; with random weights: {', '.join(new)}" if new else ""
        context.display.note(f"  starts from {task.start.name}{untrained}")
    if uses_batch_statistics(network) and _splits_batch_norm(task.fabric):
        context.display.note(
            f"  batch norm: each of {task.fabric.world_size} processes normalises by its own part "
            "of a batch, since torch cannot synchronise it on CPUs; the weights differ from those "
            "of one process"
        )
    return network


def _new_head(stage: NetworkStage, backbone: Backbone) -> str | None:
    """Return the name of the network's last layers if they start with random weights."""
    if stage.trained_start is None or stage.trained_start.head == "trained":
        return None
    if backbone.head_module is None:
        raise InputError(
            f"start.head is 'new', but {component_name(backbone)} does not define head_module; "
            "remove start.head"
        )
    return f"{BODY}.{backbone.head_module}"


def _training_set_text(task: StageTask) -> str:
    text = summary_of(task.stage.classes, task.scans)
    if task.left_out:
        text += f"; {task.left_out} cases left out: no known labels or no region"
    return text


def _splits_batch_norm(fabric: Fabric) -> bool:
    return fabric.world_size > 1 and fabric.device.type != "cuda"


def _check_same_step(step: int, folder: StageFolder, fabric: Fabric) -> None:
    """Raise `WorkError` if the processes would resume from different steps."""
    if any_rank(fabric, here=fabric.broadcast(step) != step):
        raise WorkError(
            f"{folder.path}: the processes found different saved states in this folder; choose an "
            "--out on a file system that all machines share"
        )


def _holds(folder: StageFolder, task: StageTask) -> bool:
    """Return whether a folder holds the finished stage of a task."""
    return fingerprint_of(folder) == task.fingerprint


def _copy_stage(source: StageFolder, target: StageFolder, stage: Stage) -> None:
    """Copy a finished stage, with the region and cohort settings of `stage`.

    The settings may differ, since the fingerprint covers the contents of the data instead.
    """
    shutil.rmtree(target.path, ignore_errors=True)
    with atomic_folder(target.path) as temporary:
        for file in source.path.iterdir():
            if file.is_file():
                shutil.copy2(file, temporary / file.name)
        copy_record(source, StageFolder(temporary), data_settings(stage))
