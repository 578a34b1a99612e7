"""The context of a training run: its folder, its display, and its process group."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wsseg.inference.folders import RunFolder, StageFolder
from wsseg.runtime.console import Display
from wsseg.runtime.process_group import SINGLE_PROCESS, Group
from wsseg.training.record_by_tracker import RecordByTracker


@dataclass(frozen=True)
class RunContext:
    """The folder, display and process group of a run; none of them affects its results."""

    folder: RunFolder
    display: Display
    save_every: int | None = None  # steps; the state is also saved after each epoch
    stage_cache: Path | None = None  # finished stages, shared by runs and named by fingerprint
    should_continue: Callable[[], bool] = lambda: True  # called after each step; False stops
    record: RecordByTracker | None = None  # if the recipe has a tracker
    group: Group = SINGLE_PROCESS  # of processes; only its leader shows, logs and saves

    def cached_stage(self, fingerprint: str) -> StageFolder | None:
        """Return the folder of a stage in the cache, or None without a cache. It may not exist."""
        return None if self.stage_cache is None else StageFolder(self.stage_cache / fingerprint)
