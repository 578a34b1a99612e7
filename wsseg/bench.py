"""Runs a suite: each job once, shared stages once, rows as they come."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd

from wsseg.data.split import Split, by_fold
from wsseg.display import Display
from wsseg.errors import InputError, InterruptedWorkError, WorkError
from wsseg.evaluate import evaluate
from wsseg.files import write_json, write_text
from wsseg.predict import load_run
from wsseg.recipe import recipe_text
from wsseg.score import read_rows, write_rows
from wsseg.stage_training import Workplace
from wsseg.suite import Job
from wsseg.training import split_of, train_stages

SHELF = "stages"  # below the suite's folder: trained once, used by many
REASON = "failed.txt"  # in a job's folder: why it came to nothing


@dataclass(frozen=True)
class Failed:
    """A job that came to nothing, and why."""

    job: Job
    error: Exception


def run_suite(jobs: Sequence[Job], out: Path, display: Display) -> list[Failed]:
    """Run the jobs that are not done; a failed one stops no other. Writes `rows.csv`.

    Why a job failed stands in `failed.txt` in its folder, until it is done.

    Raises:
        InputError: A job's folder holds another recipe.
        WorkError: Somebody asked to stop.
    """
    for job in jobs:
        _check_folder(job, out)
    failed = []
    for number, job in enumerate(jobs, 1):
        display.note(f"[{number}/{len(jobs)}] {job.folder}")
        try:
            _run_job(job, out, display)
        except InterruptedWorkError as stop:
            raise WorkError(f"{job.folder}: {stop}. The same command goes on from there") from None
        except Exception as error:  # noqa: BLE001 - whatever a method raises, the others go on
            display.warn(f"{job.folder} failed: {_reason(error)}")
            write_text(out / job.folder / REASON, f"{_reason(error)}\n")
            failed.append(Failed(job, error))
        collect_rows(jobs, out)
    return failed


def state(job: Job, out: Path) -> str:
    """Say how far a job has come: "done", "to do", or why it failed."""
    if (out / job.folder / "scores.csv").exists():
        return "done"
    reason = out / job.folder / REASON
    return f"failed: {reason.read_text(encoding='utf-8').strip()}" if reason.exists() else "to do"


def collect_rows(jobs: Sequence[Job], out: Path) -> pd.DataFrame:
    """Join the rows of the jobs that are done into `rows.csv`, and return them."""
    rows = [row for job in jobs for row in _rows_of(job, out)]
    if not rows:
        return pd.DataFrame()
    write_rows(out / "rows.csv", rows)
    return read_rows(out / "rows.csv")


def _run_job(job: Job, out: Path, display: Display) -> None:
    folder = out / job.folder
    if (folder / "scores.csv").exists():
        display.note("  done already")
        return
    started = perf_counter()
    split = split_of_job(job)
    if not split.test:
        raise InputError("the cohort has no case to test on; write `folds`, or split: test")
    train_stages(job.recipe, split, Workplace(folder, display, shelf=out / SHELF), resume=True)
    trained = perf_counter()
    scoring = evaluate(load_run(folder), split.test)
    rows = list(display.each("scoring", scoring, len(split.test)))
    write_json(
        folder / "times.json",
        {"train_s": trained - started, "test_s": perf_counter() - trained, "cases": len(rows)},
    )
    (folder / REASON).unlink(missing_ok=True)
    write_rows(folder / "scores.csv", rows)  # last: its presence means done


def _reason(error: Exception) -> str:
    expected = isinstance(error, InputError | WorkError | OSError)
    return str(error) if expected else f"{type(error).__name__}: {error}"


def split_of_job(job: Job) -> Split:
    """Return who a job trains on and is tested on."""
    if job.fold is None or job.folds is None:
        return split_of(job.recipe)
    return by_fold(job.recipe.cohort.cases(), job.fold, job.folds)


def _rows_of(job: Job, out: Path) -> list[dict[str, Any]]:
    path = out / job.folder / "scores.csv"
    if not path.exists():
        return []
    fold = "" if job.fold is None else str(job.fold)
    names = {"method": job.method, "seed": job.recipe.seed, "fold": fold}
    return [
        {str(k): v for k, v in row.items()} | names for row in read_rows(path).to_dict("records")
    ]


def _check_folder(job: Job, out: Path) -> None:
    path = out / job.folder / "recipe.yaml"
    if path.exists() and path.read_text(encoding="utf-8") != recipe_text(job.recipe):
        raise InputError(
            f"{path.parent}: was run with other settings than the suite has now; choose another "
            "--out, or delete that folder"
        )
