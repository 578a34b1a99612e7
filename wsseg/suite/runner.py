"""Runs a suite: each shared stage once, then all jobs, whose rows are collected as they finish."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from filelock import OwnerRecord

from wsseg.errors import InterruptedWorkError, WorkError
from wsseg.runtime.console import Display, SilentDisplay
from wsseg.runtime.executors import ThisProcess, WorkerDiedError, Workers
from wsseg.runtime.files import remove_leftovers, write_text
from wsseg.runtime.folder_lock import LockWatch, holder_of, lock_folder
from wsseg.suite.definition import Job
from wsseg.suite.failure_reason import failure_reason
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job import run_job, split_of_job, with_chosen_settings
from wsseg.suite.job_fingerprint import with_fingerprint
from wsseg.suite.job_status import (
    SuiteRows,
    check_folder,
    forget_old_failures,
    is_done,
    shared_trainings,
)
from wsseg.suite.preflight import check_cases
from wsseg.suite.shared_stages import StageTraining
from wsseg.suite.timings import record_durations
from wsseg.training.context import RunContext
from wsseg.training.run import train_selected_stages

Work = TypeVar("Work", StageTraining, Job)

HOW_TO_CONTINUE = "To continue, run the same command again"


@dataclass(frozen=True)
class SuiteContext:
    """The folder, workers and display of a suite."""

    folder: SuiteFolder
    workers: Workers
    display: Display
    accept: tuple[str, ...] = ()  # names of findings to ignore


@dataclass(frozen=True)
class FailedJob:
    """A job that failed, and why."""

    job: Job
    reason: str


@dataclass(frozen=True)
class Outcome:
    """The outcome of a training or a job."""

    seconds: float
    warnings: tuple[str, ...] = ()
    failure: str | None = None  # the reason, if it failed or was interrupted
    interrupted: bool = False


def run_suite(jobs: Sequence[Job], text: str, context: SuiteContext) -> list[FailedJob]:
    """Run the jobs that are not done, even if some fail, and return the failed ones.

    The scans of all jobs are checked once, before training. The suite's `text` is saved with the
    rows, so that a report can be made at any time; the reason for a failure is saved in the job's
    folder until the job succeeds or is no longer part of the suite.

    Raises:
        InputError: A job's folder holds the run of another recipe or of other code, a cohort is
            invalid, or the suite's folder is in use.
        WorkError: The suite was interrupted.
    """
    folder, display = context.folder, context.display
    jobs = list(map(with_fingerprint, jobs))
    with lock_folder(folder.path):
        jobs = [with_chosen_settings(job, folder) for job in jobs]
        for job in jobs:
            check_folder(job, folder)
        todo = [job for job in jobs if not is_done(job, folder)]
        check_cases(todo, context.accept, display)
        if len(todo) < len(jobs):
            display.note(f"{len(jobs) - len(todo)} of {len(jobs)} jobs are already done")
        remove_leftovers(folder.path)
        write_text(folder.definition, text)
        forget_old_failures(jobs, folder)
        rows = SuiteRows(jobs, folder)
        try:
            return _run_remaining(todo, rows, context)
        except KeyboardInterrupt:
            raise WorkError(f"{folder.path}: interrupted. {HOW_TO_CONTINUE}") from None
        finally:
            rows.write()


def _run_remaining(todo: Sequence[Job], rows: SuiteRows, context: SuiteContext) -> list[FailedJob]:
    """Train shared stages by depth, then run the jobs; write the rows after each job."""
    folder = context.folder
    shared = shared_trainings(todo, folder)
    progress = SuiteProgress(context, total=len(shared) + len(todo))
    worker = SuiteWorker(
        SuiteFolder(folder.path.resolve()),
        holder_of(folder.path),
        context.display if isinstance(context.workers, ThisProcess) else None,
        context.accept,
    )
    failed: dict[Path, FailedJob] = {}

    def fail(job: Job, reason: str) -> None:
        write_text(folder.run(job.folder).failure, f"{reason}\n")
        failed[job.folder] = FailedJob(job, reason)

    for depth in sorted({training.depth for training in shared}):
        parallel = [t for t in shared if t.depth == depth and t.jobs[0].folder not in failed]
        for training, outcome in progress.run(worker.train, parallel):
            for job in training.jobs if outcome.failure is not None else ():
                where = f"stage {training.stage}, trained in {training.folder}"
                fail(job, f"{where}: {outcome.failure}")
    for job, outcome in progress.run(worker.run, [job for job in todo if job.folder not in failed]):
        if outcome.failure is not None:
            fail(job, outcome.failure)
        else:
            folder.run(job.folder).failure.unlink(missing_ok=True)
            rows.write()
    return [failed[job.folder] for job in todo if job.folder in failed]


@dataclass(frozen=True)
class SuiteWorker:
    """Trains stages and runs jobs, in this process or another one."""

    folder: SuiteFolder
    holder: OwnerRecord | None  # of the folder's lock; work stops once the lock is lost
    display: Display | None  # None: warnings are returned to the process that shows them
    accept: tuple[str, ...] = ()  # names of findings to ignore

    def train(self, training: StageTraining) -> Outcome:
        """Train a shared stage in the folder of the first job that needs it."""

        def work(display: Display) -> None:
            job = training.jobs[0]
            display.note(f"{training.folder}: {training.stage}, for {len(training.jobs)} jobs")
            split, context = split_of_job(job, self.accept), self.context(job, display)
            train_selected_stages(job.recipe, split, context, training.needed)
            record_durations(job, context.folder)

        return self.outcome(work)

    def run(self, job: Job) -> Outcome:
        """Train the remaining stages of a job, and score it."""

        def work(display: Display) -> None:
            display.note(f"{job.folder}")
            run_job(job, self.context(job, display), self.accept)
            record_durations(job, self.folder.run(job.folder))

        return self.outcome(work)

    def context(self, job: Job, display: Display) -> RunContext:
        """Return the context of a job's run."""
        return RunContext(
            self.folder.run(job.folder),
            display,
            stage_cache=self.folder.stages,
            should_continue=LockWatch(self.folder.path, self.holder),
        )

    def outcome(self, work: Callable[[Display], None]) -> Outcome:
        """Do the work; return any error in the outcome, so that other jobs continue."""
        display, started = self.display or SilentDisplay(), perf_counter()
        failure, interrupted = None, False
        try:
            work(display)
        except InterruptedWorkError as stop:
            failure, interrupted = str(stop), True
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            failure = failure_reason(error)
        warnings = tuple(display.warnings) if isinstance(display, SilentDisplay) else ()
        return Outcome(perf_counter() - started, warnings, failure, interrupted)


class SuiteProgress:
    """Counts and shows the finished trainings and jobs of a suite."""

    def __init__(self, context: SuiteContext, total: int) -> None:
        self._workers, self._display = context.workers, context.display
        self._total, self._finished = total, 0

    def run(
        self, work: Callable[[Work], Outcome], items: Sequence[Work]
    ) -> Iterator[tuple[Work, Outcome]]:
        """Call `work` on each item; show and yield the outcomes.

        Raises:
            WorkError: The work was interrupted.
        """
        for item, result in self._workers.imap_unordered(work, items):
            self._finished += 1
            if isinstance(result, WorkerDiedError):
                outcome = Outcome(0, failure=str(result))
            else:
                outcome = result
            if outcome.interrupted:
                raise WorkError(f"{item.folder}: {outcome.failure}. {HOW_TO_CONTINUE}")
            self._show(item, outcome)
            yield item, outcome

    def _show(self, item: StageTraining | Job, outcome: Outcome) -> None:
        for warning in outcome.warnings:
            self._display.warn(f"{item.folder}: {warning}")
        text = f"[{self._finished}/{self._total}] {item.folder}"
        if isinstance(item, StageTraining):
            text += f": {item.stage}, for {len(item.jobs)} jobs"
        if outcome.failure is None:
            self._display.note(f"{text}  ({outcome.seconds:.0f} s)")
        else:
            self._display.warn(f"{text} failed: {outcome.failure}")
