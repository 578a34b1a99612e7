"""The split of a cohort for one fold of a suite."""

from dataclasses import replace

from wsseg.core.case import Case
from wsseg.core.interfaces import Cohort
from wsseg.data.assigned_split import cases_with_split
from wsseg.data.split import Split, by_column, by_fold


def split_by_fold(cohort: Cohort, fold: int, folds: int, inner: int | None) -> Split:
    """Return the split whose test cases are those of one fold (see `data.split.by_fold`)."""

    def assign(cases: list[Case]) -> list[Case]:
        own = by_fold(cases, fold, folds, inner=inner)
        parts = {"train": own.train, "val": own.validation, "test": own.test}
        split = {case.name: name for name, part in parts.items() for case in part}
        return [replace(case, split=split[case.name]) for case in cases]

    return by_column(cases_with_split(cohort, assign))
