"""The check of a cohort before training."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from wsseg.core.case import Case, repeated_names
from wsseg.core.contracts import cases_and_problems
from wsseg.core.interfaces import Cohort
from wsseg.data.checks.cohorts import (
    check_duplicates,
    check_label_counts,
    check_nesting_of_most,
    check_patients,
    check_spacing,
)
from wsseg.data.checks.expected import Expectations
from wsseg.data.checks.findings import Finding, with_accepted
from wsseg.data.checks.masks import check_masks, check_nesting, swapped_files
from wsseg.data.checks.measurements import CaseFacts, measure_case
from wsseg.data.checks.regions import check_regions
from wsseg.data.checks.scans import check_files, check_geometry, check_values
from wsseg.data.checks.weak_labels import (
    check_boxes,
    check_scribbles,
    check_shares,
    check_unused_shares,
)
from wsseg.data.validation import lowest_measured

CASE_CHECKS: tuple[Callable[[CaseFacts, Expectations], Iterator[Finding]], ...] = (
    check_values,
    check_geometry,
    check_files,
    check_masks,
    check_nesting,
    check_regions,
    check_scribbles,
    check_boxes,
    check_shares,
)
COHORT_CHECKS: tuple[Callable[[Sequence[CaseFacts], Expectations], Iterator[Finding]], ...] = (
    check_patients,
    check_duplicates,
    check_nesting_of_most,
    check_spacing,
    check_label_counts,
    check_unused_shares,
)
Checked: TypeAlias = tuple[CaseFacts, list[Finding]]
Progress: TypeAlias = Callable[[Iterator[Checked], int], Iterator[Checked]]  # passes cases on


@dataclass(frozen=True)
class CaseList:
    """The cases of a cohort, with the problems of the list itself."""

    cases: list[Case]
    findings: list[Finding]


def list_cases(cohort: Cohort) -> CaseList:
    """List the usable cases of a cohort, with a finding for each wrong row and repeated name.

    Raises:
        InputError: The cohort cannot be read.
    """
    cases, problems = cases_and_problems(cohort)
    remedy = "Correct the cell"
    findings = [Finding("wrong-row", "error", case, str(each), remedy) for case, each in problems]
    for name in repeated_names(cases):
        what = f"the cohort has two cases called {name}"
        findings.append(Finding("case-twice", "error", name, what, "A case has one row"))
    return CaseList(cases, findings)


def check_cases(
    cases: Sequence[Case], expected: Expectations, accept: Collection[str], progress: Progress
) -> list[Finding]:
    """Read all files of `cases`, one at a time, and return the findings sorted by severity."""
    checked = list(progress(map(partial(_check_case, expected=expected), cases), len(cases)))
    cohort = [facts for facts, _ in checked]
    findings = [finding for _, found in checked for finding in found]
    findings += [finding for check in COHORT_CHECKS for finding in check(cohort, expected)]
    return with_accepted(findings, accept)


def _check_case(case: Case, expected: Expectations) -> Checked:
    facts = measure_case(case, lowest_measured(expected.input.unit))
    return facts, list(_case_findings(facts, expected))


def _case_findings(facts: CaseFacts, expected: Expectations) -> Iterator[Finding]:
    for text in facts.read_errors:
        what = text.removeprefix(f"case {facts.case.name}: ")
        remedy = "Correct the file, or leave the case out"
        yield Finding("unreadable", "error", facts.case.name, what, remedy)
    if swapped := swapped_files(facts):
        yield swapped
        return
    for check in CASE_CHECKS:
        yield from check(facts, expected)
