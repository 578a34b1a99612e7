"""A cohort as it would be if fewer of its cases had been outlined."""

from collections.abc import Collection, Iterator
from typing import Annotated, final

from pydantic import Field, NonNegativeInt

from wsseg.core.case import Case
from wsseg.core.interfaces import Cohort


@final
class FewMasks(Cohort):
    """Another cohort, of which only the first training cases keep the masks of some names.

    Tags stay as they are, and so do test cases: those that the cohort itself marks as such.
    """

    cohort: Cohort = Field(examples=[{"use": "lung-phantom", "cases": 3, "size": 32, "slices": 4}])
    of: Annotated[tuple[str, ...], Field(min_length=1, examples=[["infection"]])]
    masks: NonNegativeInt = Field(examples=[1])  # training cases that keep them

    def cases(self) -> list[Case]:
        """List the cohort's cases, in its order."""
        return list(self._outlined())

    def seen_through(self, masks: Collection[str]) -> Cohort:
        """Return the other cohort, to one who looks at none of the hidden masks."""
        return self if set(self.of) & set(masks) else self.cohort.seen_through(masks)

    def _outlined(self) -> Iterator[Case]:
        left = self.masks
        for case in self.cohort.cases():
            hidden = set(self.of) & set(case.masks)
            if case.split == "test" or not hidden:
                yield case
            elif left:
                left -= 1
                yield case
            else:
                yield case.without_masks(hidden)
