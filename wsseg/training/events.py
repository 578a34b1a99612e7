"""What `Trainer.run` yields: the events of steps and of epochs."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StepDone:
    """The event after an optimiser step."""

    step: int  # counted over the stage, from 1
    steps: int  # of the stage
    epoch: int
    loss: float
    share: float  # of the batch's support, inside `NetworkStage.watched_mask`
    share_name: str  # the share's key in an epoch's record
    slices_per_s: float  # averaged over the epoch so far
    seconds: float  # for this step
    waited_s: float  # for the batch to be loaded, included in `seconds`
    warning: str | None


@dataclass(frozen=True)
class EpochDone:
    """The event after an epoch: its record in the log, and a warning about EM's targets, if any."""

    record: dict[str, Any]
    warning: str | None
