"""The split of a cohort for one fold of a suite."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias, final

from wsseg.core.case import Case
from wsseg.core.contracts import cases_of
from wsseg.core.interfaces import Cohort
from wsseg.data.split import Split, by_column, by_fold

Assign: TypeAlias = Callable[[list[Case]], list[Case]]


@final
class ListedCases(Cohort):
    """Cases that are already known, in place of a cohort inside another one."""

    listed: tuple[Case, ...]

    def cases(self) -> list[Case]:
        """Return the cases."""
        return list(self.listed)


def split_by_fold(cohort: Cohort, fold: int, folds: int, inner: int | None) -> Split:
    """Return the split whose test cases are those of one fold (see `data.split.by_fold`).

    A cohort that changes the cases of another one, such as `few-masks`, gets them with their split,
    because it may change training cases only.
    """

    def assign(cases: list[Case]) -> list[Case]:
        own = by_fold(cases, fold, folds, inner=inner)
        parts = {"train": own.train, "val": own.validation, "test": own.test}
        split = {case.name: name for name, part in parts.items() for case in part}
        return [replace(case, split=split[case.name]) for case in cases]

    return by_column(_with_split(cohort, assign))


def _with_split(cohort: Cohort, assign: Assign) -> list[Case]:
    """Return the cases of a cohort after `assign` has set the split of the innermost cohort's."""
    names = [
        name for name in type(cohort).model_fields if isinstance(getattr(cohort, name), Cohort)
    ]
    if len(names) != 1:
        return assign(cases_of(cohort))
    (name,) = names
    listed = ListedCases(listed=tuple(_with_split(getattr(cohort, name), assign)))
    return cases_of(cohort.model_copy(update={name: listed}))
