"""The test and validation cases that a run's manifest lists."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wsseg.core.case import Case
from wsseg.core.interfaces import Cohort
from wsseg.data.assigned_split import cases_with_split
from wsseg.data.checks.findings import case_with_accepted
from wsseg.errors import InputError
from wsseg.inference.folders import RunFolder
from wsseg.inference.run import Run
from wsseg.training.manifest import read_manifest

SPLIT_OF_LIST = {"train": "train", "validation": "val", "test": "test"}  # lists of the manifest


def held_out_cases(run: Run) -> list[Case]:
    """Return the test cases of a run.

    Raises:
        InputError: The run has no test cases, or the cohort no longer contains one of them.
    """
    manifest = read_manifest(RunFolder(run.folder))
    if not manifest["test"]:
        raise InputError(
            f"{run.folder}: this run has no test cases, so it cannot be scored; set the split of "
            "some cases to test, and train again"
        )
    cases = _listed(run, run.recipe.test or run.recipe.cohort, manifest, "test")
    return [case_with_accepted(case, manifest.get("accepted", ())) for case in cases]


def validation_cases(run: Run) -> list[Case]:
    """Return the validation cases of a run.

    Raises:
        InputError: The run has none, or the cohort no longer contains one of them.
    """
    manifest = read_manifest(RunFolder(run.folder))
    if not manifest.get("validation"):
        raise InputError(
            f"{run.folder}: this run has no validation cases, whose masks are needed to fit "
            "temperatures; set the split of some cases to val, and train again"
        )
    return _listed(run, run.recipe.cohort, manifest, "validation")


def _listed(run: Run, cohort: Cohort, manifest: Mapping[str, Any], wanted: str) -> list[Case]:
    """Return the cases of one list of the manifest, with the split of all cases as in the run."""
    splits = {
        name: split for listed, split in SPLIT_OF_LIST.items() for name in manifest.get(listed, ())
    }

    def assign(cases: list[Case]) -> list[Case]:
        return [replace(case, split=splits.get(case.name, case.split)) for case in cases]

    cases = {case.name: case for case in cases_with_split(cohort, assign)}
    names = manifest[wanted]
    if missing := [name for name in names if name not in cases]:
        raise InputError(
            f"{run.folder}: the cohort no longer contains {wanted} case {missing[0]} (missing "
            f"{wanted} cases: {len(missing)}); add it again"
        )
    return [cases[name] for name in names]
