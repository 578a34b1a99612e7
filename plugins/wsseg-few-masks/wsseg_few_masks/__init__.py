"""A wsseg cohort with fewer annotated cases, to measure the benefit of annotation."""

from collections.abc import Collection, Iterator
from typing import Annotated, final

from pydantic import Field, NonNegativeInt

from wsseg import Case, Cohort, hookimpl


@final
class FewMasks(Cohort):
    """Another cohort in which only the first `masks` training cases keep certain masks.

    Tags do not change, nor do the test cases that the cohort defines.
    """

    cohort: Cohort = Field(examples=[{"use": "lung-phantom", "cases": 3, "size": 32, "slices": 4}])
    """The cohort whose masks are hidden."""
    of: Annotated[tuple[str, ...], Field(min_length=1, examples=[["infection"]])]
    """Names of the masks to hide."""
    masks: NonNegativeInt = Field(examples=[1])
    """Number of training cases that keep these masks."""

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
    """Register the cohort."""
    return {"few-masks": FewMasks}
