"""A wsseg cohort with fewer annotated cases, to measure the benefit of annotation."""

from collections.abc import Collection
from typing import Annotated, final

from pydantic import Field, NonNegativeInt

from wsseg import Case, Cohort, hookimpl
from wsseg.tools import draw_patients


@final
class FewMasks(Cohort):
    """Another cohort in which only some training cases, drawn at random, keep certain masks.

    The draw is stratified by tags: cases with and without a class keep masks in equal proportions.
    Tags do not change, nor do validation and test cases. In a suite with `folds`, the cases are
    drawn from the training cases of each fold.
    """

    cohort: Cohort = Field(examples=[{"use": "lung-phantom", "cases": 3, "size": 32, "slices": 4}])
    """The cohort whose masks are hidden."""
    of: Annotated[tuple[str, ...], Field(min_length=1, examples=[["infection"]])]
    """Names of the masks to hide."""
    masks: NonNegativeInt = Field(examples=[1])
    """Number of training cases that keep these masks."""
    seed: NonNegativeInt = 0
    """The seed of the draw."""

    def cases(self) -> list[Case]:
        """List the cases in the order of the wrapped cohort."""
        cases = self.cohort.cases()
        annotated = {
            case.name: [name for name, tag in case.tags.items() if tag]
            for case in cases
            if case.is_for_training and set(self.of) & set(case.masks)
        }
        share = min(1, self.masks / len(annotated)) if annotated else 0
        kept = draw_patients(annotated, share, self.seed)
        hidden = annotated.keys() - kept
        return [case.without_masks(self.of) if case.name in hidden else case for case in cases]

    def as_seen_with(self, masks: Collection[str]) -> Cohort:
        """Return the wrapped cohort if none of `masks` is hidden here, else this one."""
        return self if set(self.of) & set(masks) else self.cohort.as_seen_with(masks)


@hookimpl
def wsseg_cohorts() -> dict[str, type[Cohort]]:
    """Register the cohort."""
    return {"few-masks": FewMasks}
