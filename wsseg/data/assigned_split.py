"""Cases of a cohort whose split is assigned after they are listed."""

from collections.abc import Callable
from typing import TypeAlias, final

from wsseg.core.case import Case
from wsseg.core.contracts import cases_of
from wsseg.core.interfaces import Cohort

Assign: TypeAlias = Callable[[list[Case]], list[Case]]


@final
class ListedCases(Cohort):
    """Cases that are already known, in place of a cohort inside another one."""

    listed: tuple[Case, ...]

    def cases(self) -> list[Case]:
        """Return the cases."""
        return list(self.listed)


def cases_with_split(cohort: Cohort, assign: Assign) -> list[Case]:
    """Return the cases of a cohort after `assign` has set their split.

    A cohort that changes the cases of another one, such as `few-masks`, gets them with their split,
    because it may change training cases only.
    """
    names = [
        name for name in type(cohort).model_fields if isinstance(getattr(cohort, name), Cohort)
    ]
    if len(names) != 1:
        return assign(cases_of(cohort))
    (name,) = names
    listed = ListedCases(listed=tuple(cases_with_split(getattr(cohort, name), assign)))
    return cases_of(cohort.model_copy(update={name: listed}))
