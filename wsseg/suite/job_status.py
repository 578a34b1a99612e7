"""The status of a suite's jobs and shared stages, by the files in its folder."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from wsseg.config.recipe_files import holds_recipe
from wsseg.errors import InputError
from wsseg.evaluation.rows import read_rows, write_rows
from wsseg.inference.checkpoint import fingerprint_of
from wsseg.inference.folders import failure_files
from wsseg.suite.definition import Job
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.shared_stages import StageTraining, stage_trainings


def shared_trainings(jobs: Sequence[Job], folder: SuiteFolder) -> list[StageTraining]:
    """Return the stages that several of `jobs` need and that are not trained yet."""
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
    """Return why a job failed when it was last tried; None where it did not fail."""
    path = folder.run(job.folder).failure
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def forget_dropped_failures(jobs: Sequence[Job], folder: SuiteFolder) -> None:
    """Delete the reasons for failures of jobs that are no longer part of the suite."""
    kept = {folder.run(job.folder).failure for job in jobs}
    for path in failure_files(folder.path):
        if path not in kept:
            path.unlink()


def collect_rows(jobs: Sequence[Job], folder: SuiteFolder) -> pd.DataFrame:
    """Write the rows of all finished jobs into one file, and return them."""
    rows = [row for job in jobs for row in _rows_of(job, folder)]
    if not rows:
        return pd.DataFrame()
    write_rows(folder.rows, rows)
    return read_rows(folder.rows)


def check_folder(job: Job, folder: SuiteFolder) -> None:
    """Raise `InputError` if a job's folder holds the run of another recipe."""
    run = folder.run(job.folder)
    if run.recipe.exists() and not holds_recipe(run.recipe, job.recipe):
        raise InputError(
            f"{run.path}: was run with other settings than the suite has now; choose another "
            "--out, or delete that folder"
        )


def _rows_of(job: Job, folder: SuiteFolder) -> list[dict[str, Any]]:
    if not is_done(job, folder):
        return []
    fold = "" if job.fold is None else str(job.fold)
    names = {"method": job.method, "seed": job.recipe.seed, "fold": fold}
    rows = read_rows(folder.run(job.folder).scores)
    return [{str(k): v for k, v in row.items()} | names for row in rows.to_dict("records")]
