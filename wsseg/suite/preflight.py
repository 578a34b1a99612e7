"""Checks of the cohorts of a suite's jobs, before any stage is trained."""

from collections.abc import Collection, Sequence

from wsseg.components.registry import registry
from wsseg.config.recipe_files import check_can_be_saved
from wsseg.data.checks.findings import Finding
from wsseg.data.split import Split
from wsseg.errors import InputError
from wsseg.runtime.console import Display
from wsseg.runtime.files import fingerprint
from wsseg.suite.definition import Job
from wsseg.suite.job import split_of_job
from wsseg.training.preflight import collect_findings, raise_on_errors, require_files


def check_cases(jobs: Sequence[Job], accept: Collection[str], display: Display) -> None:
    """Read and split every cohort once, and check its files.

    Raises:
        InputError: A cohort is invalid, a job has no test case, or a recipe cannot be saved.
    """
    require_files(job.recipe for job in jobs)
    split_of_cohort: dict[str, Split] = {}
    checked: set[str] = set()
    findings: list[Finding] = []
    for job in jobs:
        check_can_be_saved(job.recipe)
        described = registry().describe(job.recipe)
        own = [stage["cohort"] for stage in described["stages"].values()]
        cohorts = fingerprint([described["cohort"], described["test"], own, job.fold])
        if cohorts not in split_of_cohort:
            split_of_cohort[cohorts] = split_of_job(job, accept)
        split = split_of_cohort[cohorts]
        if not split.test:
            raise InputError(
                f"{job.folder}: the cohort has no test cases; set `folds` in the suite, or set the "
                "split of some cases to test"
            )
        inputs = fingerprint([described[key] for key in ("cohort", "test", "input", "stages")])
        if inputs not in checked:
            checked.add(inputs)
            findings += collect_findings(job.recipe, split, accept, display)
    raise_on_errors(list(dict.fromkeys(findings)), display)
