"""Chooses the settings of a suite's jobs: trains each shared stage once, then runs the trials."""

from collections.abc import Sequence
from pathlib import Path

from wsseg.errors import InputError, WorkError
from wsseg.runtime.console import Display
from wsseg.runtime.executors import ThisProcess
from wsseg.runtime.files import remove_leftovers, write_text
from wsseg.runtime.folder_lock import LockWatch, holder_of, lock_folder
from wsseg.suite.definition import Job
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job_fingerprint import code_fingerprint
from wsseg.suite.job_status import check_trials, shared_trainings
from wsseg.suite.preflight import check_cases
from wsseg.suite.runner import (
    HOW_TO_CONTINUE,
    FailedJob,
    Outcome,
    SuiteContext,
    SuiteProgress,
    SuiteWorker,
)
from wsseg.suite.tuner import choose_settings, require_optuna
from wsseg.suite.tuning import read_chosen
from wsseg.training.context import RunContext


def tune_suite(jobs: Sequence[Job], context: SuiteContext) -> list[FailedJob]:
    """Choose the settings of all jobs with `tune`, and return the failed ones.

    Raises:
        InputError: No job has `tune`, Optuna is not installed, settings were tried with other code,
            a cohort is invalid, or the suite's folder is in use.
        WorkError: The work was interrupted.
    """
    tuned, folder = [job for job in jobs if job.tuning is not None], context.folder
    if not tuned:
        raise InputError("suite: there is no `tune`, so there is nothing to choose; add `tune`")
    require_optuna()
    for job in tuned:
        check_trials(job, folder)
    todo = [job for job in tuned if not _is_chosen(job, folder)]
    if len(todo) < len(tuned):
        number = len(tuned) - len(todo)
        context.display.note(f"the settings of {number} of {len(tuned)} jobs are already chosen")
    check_cases(todo, context.accept, context.display)
    with lock_folder(folder.path):
        remove_leftovers(folder.path)
        for job in todo:
            write_text(folder.tuning(job.folder).code, f"{code_fingerprint(job)}\n")
        try:
            return _tune(todo, context)
        except KeyboardInterrupt:
            raise WorkError(f"{folder.path}: interrupted. {HOW_TO_CONTINUE}") from None


def _tune(jobs: Sequence[Job], context: SuiteContext) -> list[FailedJob]:
    shared = shared_trainings(jobs, context.folder)
    progress = SuiteProgress(context, total=len(shared) + len(jobs))
    worker = TuningWorker(
        SuiteFolder(context.folder.path.resolve()),
        holder_of(context.folder.path),
        context.display if isinstance(context.workers, ThisProcess) else None,
        context.accept,
    )
    failed: dict[Path, FailedJob] = {}
    for depth in sorted({training.depth for training in shared}):
        for training, outcome in progress.run(
            worker.train, [each for each in shared if each.depth == depth]
        ):
            for job in training.jobs if outcome.failure is not None else ():
                failed[job.folder] = FailedJob(job, str(outcome.failure))
    for job, outcome in progress.run(worker.run, [job for job in jobs if job.folder not in failed]):
        if outcome.failure is not None:
            failed[job.folder] = FailedJob(job, outcome.failure)
    return list(failed.values())


def _is_chosen(job: Job, folder: SuiteFolder) -> bool:
    """Return whether all trials of a job have ended."""
    assert job.tuning is not None, "only jobs with settings to choose are tuned"  # noqa: S101
    chosen = read_chosen(folder.tuning(job.folder))
    identity = job.tuning.identity(job.recipe, job.split)
    if chosen is None or chosen.identity != identity:
        return False
    return chosen.trials >= job.tuning.trials


class TuningWorker(SuiteWorker):
    """Trains stages and chooses settings, in folders other than those of the runs."""

    def run(self, job: Job) -> Outcome:
        """Choose the settings of a job."""

        def work(display: Display) -> None:
            assert job.tuning is not None, "only jobs with settings to choose are tuned"  # noqa: S101
            display.note(f"{job.folder}")
            folder = self.folder.tuning(job.folder)
            chosen = choose_settings(
                job, job.tuning, folder, self.context(job, display), self.accept
            )
            display.note(f"  {chosen.criterion} {chosen.value:.4g} by {chosen.settings}")

        return self.outcome(work)

    def context(self, job: Job, display: Display) -> RunContext:
        """Return the context of the trials of a job."""
        return RunContext(
            self.folder.tuning(job.folder).run,
            display,
            stage_cache=self.folder.stages,
            should_continue=LockWatch(self.folder.path, self.holder),
        )
