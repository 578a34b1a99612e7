"""Training and scoring of the runs that have no row yet."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd
import torch

from benchmarks.stability.study import PlannedRun, RunKey
from wsseg.config.columns import FINGERPRINT
from wsseg.evaluation.class_columns import predicted_voxels, true_voxels
from wsseg.evaluation.health import method_health
from wsseg.evaluation.rows import read_rows
from wsseg.runtime.console import Display
from wsseg.runtime.executors import WorkerDiedError, Workers
from wsseg.runtime.folder_lock import holder_of, lock_folder
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.preflight import check_cases
from wsseg.suite.runner import Outcome, SuiteWorker


@dataclass(frozen=True)
class Row:
    """A row of rows.csv: the result of a run, and where it comes from."""

    method: str
    seed: int
    precision: str
    threads: int
    dice_pooled: float  # over the voxels of all test cases
    health: str  # why the run is not a result; "" if it is one
    commit: str
    versions: str
    device: str
    date: str  # in UTC
    seconds: float  # of training all stages, and of scoring
    fingerprint: str  # of the settings and the code that decide the result

    @classmethod
    def of(cls, key: RunKey, scores: pd.DataFrame) -> Self:
        """Return the row of a run, from the scores of its test cases."""
        voxels = float((true_voxels(scores, "") + predicted_voxels(scores, "")).sum())
        origin = scores.iloc[0]
        return cls(
            *key,
            dice_pooled=round(2 * float(scores["tp_voxels"].sum()) / voxels, 4),
            health=method_health(scores),
            commit=origin["run.commit"],
            versions=origin["run.versions"],
            device=origin["run.device"],
            date=origin["run.date"],
            seconds=float(origin["run.seconds"]),
            fingerprint=origin[FINGERPRINT],
        )

    @property
    def key(self) -> RunKey:
        """The run of this row."""
        return RunKey(self.method, self.seed, self.precision, self.threads)


@dataclass(frozen=True)
class Runner:
    """Trains and scores a run, in the folder of its number of threads.

    Runs with different numbers of threads share no stages: their results may differ.
    """

    workers: Mapping[int, SuiteWorker]  # by the number of threads

    def __call__(self, run: PlannedRun) -> Outcome:
        """Train the stages that are not trained yet, and score the run."""
        torch.set_num_threads(run.key.threads)
        return self.workers[run.key.threads].run(run.job)


def is_measured(run: PlannedRun, rows: Sequence[Row]) -> bool:
    """Return whether a run has a row, made by the present settings and code."""
    return any(row.key == run.key and row.fingerprint == run.job.fingerprint for row in rows)


def measure(runs: Sequence[PlannedRun], out: Path, workers: Workers) -> Iterator[Row]:
    """Train and score runs below `out`, and yield the row of each; a failure stops no other run.

    Raises:
        InputError: A cohort is invalid, or another process uses the folder.
    """
    display = Display()
    check_cases([run.job for run in runs], (), display)
    folders = {run.key.threads: SuiteFolder(out / f"{run.key.threads}-threads") for run in runs}
    with ExitStack() as locks:
        for folder in folders.values():
            locks.enter_context(lock_folder(folder.path))
        runner = Runner({
            threads: SuiteWorker(folder, holder_of(folder.path), display=None)
            for threads, folder in folders.items()
        })  # fmt: skip
        for run, result in workers.imap_unordered(runner, runs):
            failure = str(result) if isinstance(result, WorkerDiedError) else result.failure
            if failure is not None:
                display.warn(f"{run.key}: {failure}")
                continue
            yield Row.of(run.key, read_rows(folders[run.key.threads].run(run.job.folder).scores))
