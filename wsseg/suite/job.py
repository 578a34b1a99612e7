"""Training and scoring of one job of a suite."""

from collections.abc import Collection
from time import perf_counter

from wsseg.core.contracts import cases_of
from wsseg.data.split import Split, by_fold
from wsseg.evaluation.evaluate import evaluate
from wsseg.evaluation.rows import write_rows
from wsseg.inference.run import load_run
from wsseg.runtime.files import write_json
from wsseg.suite.definition import Job
from wsseg.training.context import RunContext
from wsseg.training.manifest import manifest
from wsseg.training.preflight import accepting_split
from wsseg.training.run import cases_by_stage, split_of, train_selected_stages


def run_job(job: Job, context: RunContext, accept: Collection[str] = ()) -> None:
    """Train and score a job. Its scores are written last, since they mark the job as done."""
    started, folder = perf_counter(), context.folder
    split = split_of_job(job, accept)
    learnt_from = train_selected_stages(job.recipe, split, context, job.recipe.stages)
    write_json(folder.manifest, manifest(job.recipe, split, learnt_from, accept))
    trained = perf_counter()
    scoring = evaluate(load_run(folder.path), split.test)
    rows = list(context.display.track("scoring", scoring, len(split.test)))
    times = {"train_s": trained - started, "test_s": perf_counter() - trained, "cases": len(rows)}
    write_json(folder.times, times)
    write_rows(folder.scores, rows)


def split_of_job(job: Job, accept: Collection[str] = ()) -> Split:
    """Return a job's training and test cases, as read when `accept` names findings to ignore."""
    if job.split is None:
        return accepting_split(split_of(job.recipe), accept)
    own = by_fold(cases_of(job.recipe.cohort), *job.split)
    return accepting_split(Split(own.train, own.test, cases_by_stage(job.recipe)), accept)
