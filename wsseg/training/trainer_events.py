"""Handling of a trainer's events: progress bar, log, saved states and interruption."""

from collections.abc import Mapping, Sequence
from typing import Any

from wsseg.errors import InterruptedWorkError
from wsseg.runtime.collectives import any_rank
from wsseg.runtime.files import append_line
from wsseg.runtime.signals import graceful_interrupts
from wsseg.training.context import RunContext
from wsseg.training.events import EpochDone, StepDone
from wsseg.training.log import SHARES, epoch_line
from wsseg.training.stage_task import StageTask
from wsseg.training.target_snapshots import save_snapshot, snapshot_epochs
from wsseg.training.trainer import Trainer
from wsseg.training.training_state import save_state


def run_leader(trainer: Trainer, task: StageTask, context: RunContext) -> None:
    """Train to the end of the stage; display and log the progress, and save states.

    Raises:
        InterruptedWorkError: An interrupt was received, or the suite no longer needs the stage.
    """
    folder, fabric = context.folder.stage(task.name), task.fabric
    if trainer.progress.step == 0:
        _save_targets(0, trainer, task.name, context)
    with (
        graceful_interrupts() as interrupt,
        context.display.bar(task.name, trainer.steps, trainer.progress.step) as advance,
    ):
        for event in trainer.run():
            if isinstance(event, EpochDone):
                _log_epoch(event, task.name, context)
                if event.record["epoch"] in snapshot_epochs(event.record["epochs"]):
                    _save_targets(event.record["epoch"], trainer, task.name, context)
                save_state(folder, *trainer.state(), task.fingerprint)
                continue
            advance(1, _step_text(event, trainer.progress.history))
            if event.warning is not None:
                _log_warning(event.warning, task.name, event.epoch, context)
            if context.save_every and event.step % context.save_every == 0:
                save_state(folder, *trainer.state(), task.fingerprint)
            if not context.should_continue():
                raise InterruptedWorkError(
                    f"stage {task.name}: stopped because its suite has ended"
                )
            if any_rank(fabric, here=interrupt.requested):
                save_state(folder, *trainer.state(), task.fingerprint)
                fabric.barrier()
                raise InterruptedWorkError(_interrupted(task.name, event))
    if trainer.progress.best_epoch:
        context.display.note(f"  the weights are those of epoch {trainer.progress.best_epoch}")


def run_follower(trainer: Trainer, task: StageTask) -> None:
    """Take the same steps as the leader in `run_leader`, and stop where it stops.

    Raises:
        InterruptedWorkError: An interrupt was received by any of the processes.
    """
    with graceful_interrupts() as interrupt:
        for event in trainer.run():
            if isinstance(event, StepDone) and any_rank(task.fabric, here=interrupt.requested):
                task.fabric.barrier()  # until the leader has saved the state
                raise InterruptedWorkError(_interrupted(task.name, event))


def _interrupted(name: str, event: StepDone) -> str:
    return f"interrupted in stage {name} after step {event.step} of {event.steps}; state saved"


def _step_text(step: StepDone, history: Sequence[Mapping[str, Any]]) -> str:
    """Return the text next to the progress bar."""
    text = f"loss {step.loss:.3f}  {SHARES[step.share_name]} {100 * step.share:.0f} %"
    if history and "flip_rate" in history[-1]:
        text += f"  flipped {100 * history[-1]['flip_rate']:.1f} %"
    return f"{text}  {step.slices_per_s:.0f} slices/s"


def _save_targets(epoch: int, trainer: Trainer, name: str, context: RunContext) -> None:
    snapshot = trainer.target_snapshot()
    save_snapshot(context.folder.stage(name), epoch, snapshot)
    if context.record is not None:
        context.record.targets(name, epoch, snapshot)


def _log_epoch(event: EpochDone, name: str, context: RunContext) -> None:
    context.display.note(epoch_line(event.record))
    append_line(context.folder.log, {"event": "epoch"} | event.record)
    if context.record is not None:
        context.record.epoch(event.record)
    if event.warning is not None:
        _log_warning(event.warning, name, event.record["epoch"], context)


def _log_warning(text: str, name: str, epoch: int, context: RunContext) -> None:
    context.display.warn(text)
    record = {"event": "warning", "stage": name, "epoch": epoch, "text": text}
    append_line(context.folder.log, record)
    if context.record is not None:
        context.record.warning(f"stage {name}: {text}", epoch)
