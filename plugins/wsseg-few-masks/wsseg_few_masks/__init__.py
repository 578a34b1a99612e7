"""A cohort with fewer annotated cases, to measure what annotation buys."""

from collections.abc import Collection, Iterator
from typing import Annotated, final

from pydantic import Field, NonNegativeInt

from wsseg import Case, Cohort, hookimpl


@final
class FewMasks(Cohort):
    """Another cohort of which only the first `masks` training cases keep the masks named in `of`.

    Tags and the cases that the cohort marks as test cases do not change.
    """

    cohort: Cohort = Field(examples=[{"use": "lung-phantom", "cases": 3, "size": 32, "slices": 4}])
    of: Annotated[tuple[str, ...], Field(min_length=1, examples=[["infection"]])]
    masks: NonNegativeInt = Field(examples=[1])
    """How many training cases keep these masks."""

    def cases(self) -> list[Case]:
        """List the cases in the order of the wrapped cohort."""
        return list(self._with_few_masks())

    def as_seen_with(self, masks: Collection[str]) -> Cohort:
        """Return the wrapped cohort if none of `masks` is hidden here, else this one."""
        return self if set(self.of) & set(masks) else self.cohort.as_seen_with(masks)

    def _with_few_masks(self) -> Iterator[Case]:
        remaining = self.masks
        for case in self.cohort.cases():
            hidden = set(self.of) & set(case.masks)
            if case.split == "test" or not hidden:
                yield case
            elif remaining:
                remaining -= 1
                yield case
            else:
                yield case.without_masks(hidden)


@hookimpl
def wsseg_cohorts() -> dict[str, type[Cohort]]:
    """Offer the cohort."""
    return {"few-masks": FewMasks}
