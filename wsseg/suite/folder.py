"""A suite's folder: what is done in it, and its rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wsseg.config.recipe import recipe_text
from wsseg.errors import InputError
from wsseg.evaluation.rows import read_rows, write_rows
from wsseg.inference.checkpoint import fingerprint_of
from wsseg.suite.definition import Job
from wsseg.suite.shared_stages import Training, trainings

STAGES = "stages"  # below the suite's folder: trained once, used by many
ROWS = "rows.csv"  # of all jobs that are done
SUITE = "suite.yaml"  # what is run there
REASON = "failed.txt"  # in a job's folder: why it came to nothing


def shared_trainings(jobs: Sequence[Job], out: Path) -> list[Training]:
    """Return the stages that several of `jobs` need and nobody has trained yet."""
    return [t for t in trainings(jobs) if len(t.jobs) > 1 and not is_trained(t, out)]


def is_trained(training: Training, out: Path) -> bool:
    """Whether a stage is on the suite's shelf."""
    folders = [out / job.folder / "stages" / training.stage for job in training.jobs]
    keys = {key for folder in folders if (key := fingerprint_of(folder)) is not None}
    return any(fingerprint_of(out / STAGES / key) == key for key in keys)


def is_done(job: Job, out: Path) -> bool:
    """Whether a job's rows are there."""
    return (out / job.folder / "scores.csv").exists()


def why_failed(job: Job, out: Path) -> str | None:
    """Return why a job came to nothing when it was last tried."""
    reason = out / job.folder / REASON
    return reason.read_text(encoding="utf-8").strip() if reason.exists() else None


def collect_rows(jobs: Sequence[Job], out: Path) -> pd.DataFrame:
    """Join the rows of the jobs that are done into one file, and return them."""
    rows = [row for job in jobs for row in _rows_of(job, out)]
    if not rows:
        return pd.DataFrame()
    write_rows(out / ROWS, rows)
    return read_rows(out / ROWS)


def check_folder(job: Job, out: Path) -> None:
    """Raise `InputError` where another recipe was run in a job's folder."""
    path = out / job.folder / "recipe.yaml"
    if path.exists() and path.read_text(encoding="utf-8") != recipe_text(job.recipe):
        raise InputError(
            f"{path.parent}: was run with other settings than the suite has now; choose another "
            "--out, or delete that folder"
        )


def _rows_of(job: Job, out: Path) -> list[dict[str, Any]]:
    if not is_done(job, out):
        return []
    fold = "" if job.fold is None else str(job.fold)
    names = {"method": job.method, "seed": job.recipe.seed, "fold": fold}
    rows = read_rows(out / job.folder / "scores.csv")
    return [{str(k): v for k, v in row.items()} | names for row in rows.to_dict("records")]
