"""Who is trained on and who is tested on. Always whole patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wsseg.core.case import Case
from wsseg.errors import InputError


@dataclass(frozen=True)
class Split:
    """Who is trained on and who is tested on; they share no patient.

    `apart` has, by stage, the cases that a stage learns from instead of `train`.
    """

    train: tuple[Case, ...]
    test: tuple[Case, ...]
    by_stage: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tested = {case.patient for case in self.test}
        for cases in (self.train, *self.by_stage.values()):
            if both := {case.patient for case in cases} & tested:
                raise InputError(
                    f"patient {min(both)!r} is in the training and in the test set ({len(both)} "
                    "such); a score on them would say nothing. Give each patient one split"
                )

    def learnt_from(self, stage: str) -> tuple[Case, ...]:
        """Return the cases that a stage is trained on."""
        return self.by_stage.get(stage, self.train)


def by_column(cases: Sequence[Case]) -> Split:
    """Split as the cohort says; a case without a split is trained on."""
    return Split(
        tuple(c for c in cases if c.split != "test"), tuple(c for c in cases if c.split == "test")
    )


def by_fold(cases: Sequence[Case], fold: int, folds: int, seed: int = 0) -> Split:
    """Hold out the patients of fold `fold` of `folds`.

    Patients are shuffled by `seed`, then dealt so that each fold gets its share of every
    combination of tags.

    Raises:
        InputError: There are fewer patients than folds.
    """
    tags: dict[str, tuple[str, ...]] = {}
    for case in cases:
        present = {name for name, tag in case.tags.items() if tag}
        tags[case.patient] = tuple(sorted(present.union(tags.get(case.patient, ()))))
    if len(tags) < folds:
        raise InputError(f"{folds} folds need as many patients; there are {len(tags)}")
    patients = sorted(tags)
    order = np.random.default_rng((seed, folds)).permutation(len(patients))
    dealt = sorted((patients[i] for i in order), key=lambda patient: tags[patient])
    held_out = set(dealt[fold::folds])
    return Split(
        tuple(c for c in cases if c.patient not in held_out),
        tuple(c for c in cases if c.patient in held_out),
    )
