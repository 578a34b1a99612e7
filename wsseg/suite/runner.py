"""Runs a suite: shared stages once and in waves, then each job, and rows as they come."""

import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from filelock import OwnerRecord

from wsseg.components.registry import registry
from wsseg.data.checks.findings import Finding
from wsseg.data.split import Split, by_fold
from wsseg.errors import InputError, InterruptedWorkError, WorkError
from wsseg.evaluation.evaluate import evaluate
from wsseg.evaluation.rows import write_rows
from wsseg.inference.run import load_run
from wsseg.runtime.console import Display, SilentDisplay
from wsseg.runtime.executors import ThisProcess, WorkerDiedError, Workers
from wsseg.runtime.files import fingerprint, remove_leftovers, write_json, write_text
from wsseg.runtime.folder_lock import LockWatch, holder_of, lock_folder
from wsseg.suite.definition import Job
from wsseg.suite.folder import (
    REASON,
    STAGES,
    SUITE,
    check_folder,
    collect_rows,
    is_done,
    shared_trainings,
)
from wsseg.suite.shared_stages import Training
from wsseg.suite.timings import remember
from wsseg.training.manifest import manifest
from wsseg.training.preflight import accepting_split, collect_findings, raise_on_errors
from wsseg.training.run import cases_by_stage, split_of, train_selected_stages
from wsseg.training.stage import RunContext

T = TypeVar("T", Training, Job)

AGAIN = "The same command goes on from there"


@dataclass(frozen=True)
class Failed:
    """A job that came to nothing, and why."""

    job: Job
    reason: str


@dataclass(frozen=True)
class Ended:
    """How a piece of work went."""

    seconds: float
    warnings: tuple[str, ...] = ()
    reason: str | None = None  # why it came to nothing
    interrupted: bool = False


def run_suite(
    jobs: Sequence[Job],
    text: str,
    out: Path,
    workers: Workers,
    display: Display,
    accept: Collection[str] = (),
) -> list[Failed]:
    """Run the jobs that are not done; a failed one stops no other. Writes `rows.csv`.

    The suite's `text` is kept beside it, so that a report can be made of what is done at any time.

    Their scans are checked before, once; `accept` names findings to go on with. Why a job failed
    stands in `failed.txt` in its folder, until it is done.

    Raises:
        InputError: A job's folder holds another recipe, a cohort is wrong, or `out` is in use.
        WorkError: Somebody asked to stop.
    """
    for job in jobs:
        check_folder(job, out)
    todo = [job for job in jobs if not is_done(job, out)]
    _check_cases(todo, accept, display)
    if len(todo) < len(jobs):
        display.note(f"{len(jobs) - len(todo)} of {len(jobs)} jobs are done already")
    with lock_folder(out):
        remove_leftovers(out)
        write_text(out / SUITE, text)
        try:
            return _run(jobs, todo, out, workers, display, tuple(accept))
        except KeyboardInterrupt:
            raise WorkError(f"{out}: interrupted. {AGAIN}") from None
        finally:
            collect_rows(jobs, out)


def _run(
    jobs: Sequence[Job],
    todo: Sequence[Job],
    out: Path,
    workers: Workers,
    display: Display,
    accept: tuple[str, ...],
) -> list[Failed]:
    shared = shared_trainings(todo, out)
    progress = _Progress(out, display, number=len(shared) + len(todo))
    desk = SuiteWorker(
        out.resolve(),
        holder_of(out),
        display if isinstance(workers, ThisProcess) else None,
        accept,
    )
    failed: dict[Path, Failed] = {}

    def fail(job: Job, reason: str) -> None:
        write_text(out / job.folder / REASON, f"{reason}\n")
        failed[job.folder] = Failed(job, reason)

    for depth in sorted({training.depth for training in shared}):
        wave = [t for t in shared if t.depth == depth and t.jobs[0].folder not in failed]
        for training, ended in progress.through(workers, desk.train, wave):
            for job in training.jobs if ended.reason is not None else ():
                fail(job, f"stage {training.stage}, trained in {training.folder}: {ended.reason}")
    for job, ended in progress.through(
        workers, desk.run, [job for job in todo if job.folder not in failed]
    ):
        if ended.reason is not None:
            fail(job, ended.reason)
        else:
            (out / job.folder / REASON).unlink(missing_ok=True)
            collect_rows(jobs, out)
    return [failed[job.folder] for job in todo if job.folder in failed]


@dataclass(frozen=True)
class SuiteWorker:
    """Where a worker works on a suite, and for which process."""

    out: Path
    holder: OwnerRecord | None  # of the lock of `out`; a worker stops when it no longer holds it
    display: Display | None  # None: another process shows how things go
    accept: tuple[str, ...] = ()  # what was found in the data and is gone on with

    def train(self, training: Training) -> Ended:
        """Train a shared stage in the folder of the first job that needs it."""

        def work(display: Display) -> None:
            job = training.jobs[0]
            display.note(f"{training.folder}: {training.stage}, for {len(training.jobs)} jobs")
            split = split_of_job(job, self.accept)
            train_selected_stages(job.recipe, split, self._place(job, display), training.needed)
            remember(job, self.out / job.folder)

        return self._done(work)

    def run(self, job: Job) -> Ended:
        """Train what is not trained yet of a job, and score it."""

        def work(display: Display) -> None:
            display.note(f"{job.folder}")
            run_job(job, self._place(job, display), self.accept)
            remember(job, self.out / job.folder)

        return self._done(work)

    def _place(self, job: Job, display: Display) -> RunContext:
        return RunContext(
            self.out / job.folder,
            display,
            stage_cache=self.out / STAGES,
            should_continue=LockWatch(self.out, self.holder),
        )

    def _done(self, work: Callable[[Display], None]) -> Ended:
        """Do it; whatever a method raises, the others go on."""
        display, started = self.display or SilentDisplay(), perf_counter()
        reason, interrupted = None, False
        try:
            work(display)
        except InterruptedWorkError as stop:
            reason, interrupted = str(stop), True
        except Exception as error:  # noqa: BLE001 - see above
            reason = _reason(error)
        warnings = tuple(display.warnings) if isinstance(display, SilentDisplay) else ()
        return Ended(perf_counter() - started, warnings, reason, interrupted)


class _Progress:
    """Counts and shows what ended, of all that a suite has to do."""

    def __init__(self, out: Path, display: Display, number: int) -> None:
        self._out, self._display, self._number, self._ended = out, display, number, 0

    def through(
        self, workers: Workers, work: Callable[[T], Ended], things: Sequence[T]
    ) -> Iterator[tuple[T, Ended]]:
        """Do `work` with each of `things`, show how it ended, and yield that.

        Raises:
            WorkError: Somebody asked to stop.
        """
        for thing, came in workers.imap_unordered(work, things):
            self._ended += 1
            ended = Ended(0, reason=str(came)) if isinstance(came, WorkerDiedError) else came
            if ended.interrupted:
                raise WorkError(f"{thing.folder}: {ended.reason}. {AGAIN}")
            self._show(thing, ended)
            yield thing, ended

    def _show(self, thing: Training | Job, ended: Ended) -> None:
        for warning in ended.warnings:
            self._display.warn(f"{thing.folder}: {warning}")
        about = f"{thing.folder}"
        if isinstance(thing, Training):
            about += f": {thing.stage}, for {len(thing.jobs)} jobs"
        line = f"[{self._ended}/{self._number}] {about}"
        if ended.reason is None:
            self._display.note(f"{line}  ({ended.seconds:.0f} s)")
        else:
            self._display.warn(f"{line} failed: {ended.reason}")


def run_job(job: Job, place: RunContext, accept: Collection[str] = ()) -> None:
    """Train and score one run."""
    started = perf_counter()
    split, folder = split_of_job(job, accept), place.out
    learnt = train_selected_stages(job.recipe, split, place, job.recipe.stages)
    about = manifest(job.recipe, split, learnt) | {"accepted": sorted(accept)}
    write_json(folder / "manifest.json", about)
    trained = perf_counter()
    scoring = evaluate(load_run(folder), split.test)
    rows = list(place.display.track("scoring", scoring, len(split.test)))
    write_json(
        folder / "times.json",
        {"train_s": trained - started, "test_s": perf_counter() - trained, "cases": len(rows)},
    )
    write_rows(folder / "scores.csv", rows)  # last: its presence means done


def _check_cases(jobs: Sequence[Job], accept: Collection[str], display: Display) -> None:
    """Read every cohort's table once, split it, and look at its files, before anything is trained.

    What was measured of a file is kept, so that a second recipe looks at no file again.
    """
    split_of_cohort: dict[str, Split] = {}
    looked: set[str] = set()
    found: list[Finding] = []
    for job in jobs:
        about = registry().describe(job.recipe)
        own = [stage["cohort"] for stage in about["stages"].values()]
        cohorts = fingerprint([about["cohort"], about["test"], own, job.fold])
        if cohorts not in split_of_cohort:
            split_of_cohort[cohorts] = split_of_job(job, accept)
        split = split_of_cohort[cohorts]
        if not split.test:
            raise InputError(
                f"{job.folder}: the cohort has no case to test on; write `folds`, or split: test"
            )
        inputs = fingerprint([about["cohort"], about["test"], about["input"], about["stages"]])
        if inputs not in looked:
            looked.add(inputs)
            found += collect_findings(job.recipe, split, accept, display)
    raise_on_errors(list(dict.fromkeys(found)), display)


def split_of_job(job: Job, accept: Collection[str] = ()) -> Split:
    """Return who a job trains on and is tested on, as they are read where `accept` is accepted."""
    if job.fold is None or job.folds is None:
        return accepting_split(split_of(job.recipe), accept)
    own = by_fold(job.recipe.cohort.cases(), job.fold, job.folds)
    return accepting_split(Split(own.train, own.test, cases_by_stage(job.recipe)), accept)


def _reason(error: Exception) -> str:
    """Say in a line or two what went wrong; for a bug, also where."""
    if isinstance(error, InputError | WorkError | OSError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
