"""Training and scoring of one job of a suite."""

from collections.abc import Collection
from dataclasses import replace
from time import perf_counter

from wsseg.data.split import Split
from wsseg.errors import InputError
from wsseg.evaluation.evaluate import evaluate
from wsseg.evaluation.rows import write_rows
from wsseg.inference.run import Run, load_run
from wsseg.runtime.files import write_json
from wsseg.suite.definition import Job
from wsseg.suite.fold_split import split_by_fold
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job_provenance import job_provenance
from wsseg.suite.job_status import check_trials
from wsseg.suite.tuning import read_chosen, with_chosen, with_settings
from wsseg.training.context import RunContext
from wsseg.training.manifest import manifest
from wsseg.training.preflight import accepting_split
from wsseg.training.run import cases_by_stage, split_of, train_selected_stages


def run_job(job: Job, context: RunContext, accept: Collection[str] = ()) -> None:
    """Train and score a job. Its scores are written last and mark the job as done."""
    started, folder = perf_counter(), context.folder
    split = split_of_job(job, accept)
    learnt_from = train_selected_stages(job.recipe, split, context, job.recipe.stages)
    listed = manifest(job.recipe, split, learnt_from, accept)
    write_json(folder.manifest, listed if job.chosen is None else with_chosen(listed, job.chosen))
    trained = perf_counter()
    run = load_run(folder.path)
    scoring = evaluate(run, split.test)
    rows = list(context.display.track("scoring", scoring, len(split.test)))
    times = {"train_s": trained - started, "test_s": perf_counter() - trained, "cases": len(rows)}
    write_json(folder.times, times)
    seconds = _seconds_of_epochs(run) + times["test_s"]
    origin = job_provenance(job.recipe, job.fingerprint, seconds)
    write_rows(folder.scores, [row | origin for row in rows])


def split_of_job(job: Job, accept: Collection[str] = ()) -> Split:
    """Return a job's training and test cases; findings named in `accept` are ignored."""
    if job.split is None:
        return accepting_split(split_of(job.recipe), accept)
    fold, folds, *inner = job.split
    own = split_by_fold(job.recipe.cohort, fold, folds, inner[0] if inner else None)
    return accepting_split(replace(own, by_stage=cases_by_stage(job.recipe)), accept)


def with_chosen_settings(job: Job, folder: SuiteFolder) -> Job:
    """Return a job with the settings that were chosen for it, if the suite chooses any.

    Raises:
        InputError: They have not been chosen yet, or were chosen with another definition of the
            suite or other code.
    """
    if job.tuning is None:
        return job
    check_trials(job, folder)
    chosen = read_chosen(folder.tuning(job.folder))
    if chosen is None or chosen.identity != job.tuning.identity(job.recipe, job.split):
        state = "no settings are chosen yet" if chosen is None else "the suite has changed"
        raise InputError(
            f"{job.folder}: {state}; choose them first with wsseg bench tune SUITE --out "
            f"{folder.path}"
        )
    return replace(job, recipe=with_settings(job.recipe, chosen.settings), chosen=chosen)


def _seconds_of_epochs(run: Run) -> float:
    """Return the duration of the epochs of all stages, including those trained by other jobs."""
    stages = run.pipeline.stages.values()
    return sum(float(record.get("seconds", 0)) for each in stages for record in each.history)
