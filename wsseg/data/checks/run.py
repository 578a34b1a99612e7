"""Everything that can be found wrong with a cohort before anything is trained."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from wsseg.core.case import Case, repeated_names
from wsseg.core.interfaces import Cohort
from wsseg.data.checks.cohorts import (
    check_duplicates,
    check_label_counts,
    check_nesting_of_most,
    check_patients,
    check_spacing,
)
from wsseg.data.checks.expected import Expected
from wsseg.data.checks.findings import Finding, accepted
from wsseg.data.checks.masks import check_masks, check_nesting, exchanged
from wsseg.data.checks.measurements import CaseFacts, facts_of
from wsseg.data.checks.scans import check_geometry, check_values

OF_A_CASE: tuple[Callable[[CaseFacts, Expected], Iterator[Finding]], ...] = (
    check_values,
    check_geometry,
    check_masks,
    check_nesting,
)
OF_A_COHORT: tuple[Callable[[Sequence[CaseFacts], Expected], Iterator[Finding]], ...] = (
    check_patients,
    check_duplicates,
    check_nesting_of_most,
    check_spacing,
    check_label_counts,
)
Each: TypeAlias = Callable[[Iterator[CaseFacts], int], Iterator[CaseFacts]]  # shows a bar


@dataclass(frozen=True)
class Listed:
    """A cohort's cases, and what is wrong with the list itself."""

    cases: list[Case]
    findings: list[Finding]


def listed(cohort: Cohort) -> Listed:
    """List the usable cases of a cohort, with a finding for each bad row and repeated name.

    Raises:
        InputError: The cohort cannot be read.
    """
    cases, problems = cohort.read()
    remedy = "Mend the cell"
    findings = [Finding("wrong-row", "error", case, str(each), remedy) for case, each in problems]
    for name in repeated_names(cases):
        what = f"the cohort has two cases called {name}"
        findings.append(Finding("case-twice", "error", name, what, "A case has one row"))
    return Listed(cases, findings)


def check(
    cases: Sequence[Case], expected: Expected, accept: Collection[str], each: Each
) -> list[Finding]:
    """Look at all files of `cases`, one at a time, and return what was found, the worst first."""
    cohort = list(each(map(facts_of, cases), len(cases)))
    found = [finding for facts in cohort for finding in _of_a_case(facts, expected)]
    found += [finding for check in OF_A_COHORT for finding in check(cohort, expected)]
    return accepted(found, accept)


def _of_a_case(facts: CaseFacts, expected: Expected) -> Iterator[Finding]:
    for text in facts.unread:
        what = text.removeprefix(f"case {facts.case.name}: ")
        remedy = "Mend the file, or leave the case out"
        yield Finding("unreadable", "error", facts.case.name, what, remedy)
    if swapped := exchanged(facts):
        yield swapped
        return
    for check in OF_A_CASE:
        yield from check(facts, expected)
