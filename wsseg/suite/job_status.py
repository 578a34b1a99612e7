"""The status of a suite's jobs and shared stages, read from the files in its folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsseg.config.columns import FINGERPRINT
from wsseg.config.recipe_files import holds_recipe
from wsseg.errors import InputError
from wsseg.evaluation.rows import read_rows, write_rows
from wsseg.inference.checkpoint import fingerprint_of
from wsseg.inference.folders import failure_files
from wsseg.suite.definition import Job
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job_fingerprint import code_fingerprint
from wsseg.suite.shared_stages import StageTraining, stage_trainings

WITH_OTHER_CODE = "with other code of wsseg or of a plugin than is installed now"
REMEDY = "choose another --out, or delete that folder"


def shared_trainings(jobs: Sequence[Job], folder: SuiteFolder) -> list[StageTraining]:
    """Return the untrained stages that several of `jobs` need."""
    return [t for t in stage_trainings(jobs) if len(t.jobs) > 1 and not is_trained(t, folder)]


def is_trained(training: StageTraining, folder: SuiteFolder) -> bool:
    """Return whether a stage is among the suite's shared stages."""
    own = (fingerprint_of(folder.run(j.folder).stage(training.stage)) for j in training.jobs)
    keys = {key for key in own if key is not None}
    return any(fingerprint_of(folder.shared_stage(key)) == key for key in keys)


def is_done(job: Job, folder: SuiteFolder) -> bool:
    """Return whether a job has been scored."""
    return folder.run(job.folder).scores.exists()


def failure_of(job: Job, folder: SuiteFolder) -> str | None:
    """Return the reason why the last attempt of a job failed, or None."""
    path = folder.run(job.folder).failure
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def forget_old_failures(jobs: Sequence[Job], folder: SuiteFolder) -> None:
    """Delete the reasons for failures of jobs that are done or no longer part of the suite."""
    kept = {folder.run(job.folder).failure for job in jobs if not is_done(job, folder)}
    for path in failure_files(folder.path):
        if path not in kept:
            path.unlink()


class SuiteRows:
    """Collects the rows of all finished jobs in one file. The rows of each job are read once."""

    def __init__(self, jobs: Sequence[Job], folder: SuiteFolder) -> None:
        self._jobs, self._folder = jobs, folder
        self._rows_of: dict[Path, list[dict[str, Any]]] = {}

    def write(self) -> None:
        """Write the rows of the jobs that are done, in the order of the suite's jobs."""
        for job in self._jobs:
            if job.folder not in self._rows_of and is_done(job, self._folder):
                self._rows_of[job.folder] = _read_rows(job, self._folder)
        if self._rows_of:
            found = (self._rows_of.get(job.folder, ()) for job in self._jobs)
            write_rows(self._folder.rows, [row for rows in found for row in rows])


def check_folder(job: Job, folder: SuiteFolder) -> None:
    """Raise `InputError` if a job's folder holds the run of another recipe or of other code."""
    run = folder.run(job.folder)
    if run.recipe.exists() and not holds_recipe(run.recipe, job.recipe):
        raise InputError(
            f"{run.path}: this run has other settings than the suite has now; {REMEDY}"
        )
    if is_done(job, folder) and _fingerprints(run.scores) - {job.fingerprint}:
        raise InputError(f"{run.path}: this run was made {WITH_OTHER_CODE}; {REMEDY}")


def check_trials(job: Job, folder: SuiteFolder) -> None:
    """Raise `InputError` if settings of a job were tried with other code."""
    own = folder.tuning(job.folder)
    if not (own.trials.exists() or own.chosen.exists()):
        return
    code = own.code.read_text(encoding="utf-8").strip() if own.code.exists() else ""
    if code != code_fingerprint(job):
        raise InputError(f"{own.path}: these settings were chosen {WITH_OTHER_CODE}; {REMEDY}")


def _fingerprints(scores: Path) -> set[str]:
    """Return the fingerprints in the rows of a job; empty if the run was scored separately."""
    rows = read_rows(scores)
    return set(rows[FINGERPRINT].dropna()) if FINGERPRINT in rows else set()


def _read_rows(job: Job, folder: SuiteFolder) -> list[dict[str, Any]]:
    fold = "" if job.fold is None else str(job.fold)
    names = {"method": job.method, "seed": job.recipe.seed, "fold": fold}
    rows = read_rows(folder.run(job.folder).scores)
    return [{str(k): v for k, v in row.items()} | names for row in rows.to_dict("records")]
