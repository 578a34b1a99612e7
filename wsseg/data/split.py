"""Splits of a cohort into training and test cases. All cases of a patient are on one side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wsseg.core.case import Case
from wsseg.errors import InputError


@dataclass(frozen=True)
class Split:
    """Training and test cases, which share no patient.

    `by_stage` holds the training cases of stages that do not use `train`.

    Raises:
        InputError: A patient is in the training and in the test set.
    """

    train: tuple[Case, ...]
    test: tuple[Case, ...]
    by_stage: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        test_patients = {case.patient for case in self.test}
        for cases in (self.train, *self.by_stage.values()):
            if shared := {case.patient for case in cases} & test_patients:
                raise InputError(
                    f"patient {min(shared)!r} is in the training and in the test set "
                    f"({len(shared)} in all). Scores on training patients are biased: give all "
                    "cases of a patient the same split."
                )

    def training_cases(self, stage: str) -> tuple[Case, ...]:
        """Return the cases that a stage is trained on."""
        return self.by_stage.get(stage, self.train)


def by_column(cases: Sequence[Case]) -> Split:
    """Split by the `split` of each case; a case without one is a training case."""
    return Split(
        tuple(c for c in cases if c.split != "test"), tuple(c for c in cases if c.split == "test")
    )


def by_fold(cases: Sequence[Case], fold: int, folds: int, seed: int = 0) -> Split:
    """Return the split whose test cases are those of fold `fold`, counted from 0, of `folds`.

    Patients are shuffled with `seed` and then stratified: each fold gets its share of every
    combination of tags.

    Raises:
        InputError: There are fewer patients than folds.
    """
    tags: dict[str, tuple[str, ...]] = {}
    for case in cases:
        present = {name for name, tag in case.tags.items() if tag}
        tags[case.patient] = tuple(sorted(present.union(tags.get(case.patient, ()))))
    if len(tags) < folds:
        raise InputError(f"{folds} folds need at least {folds} patients; there are {len(tags)}")
    patients = sorted(tags)
    order = np.random.default_rng((seed, folds)).permutation(len(patients))
    stratified = sorted((patients[i] for i in order), key=lambda patient: tags[patient])
    held_out = set(stratified[fold::folds])
    return Split(
        tuple(c for c in cases if c.patient not in held_out),
        tuple(c for c in cases if c.patient in held_out),
    )
