"""Splits of a cohort into training, validation and test cases. No patient is in two of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from wsseg.core.case import Case
from wsseg.errors import InputError


@dataclass(frozen=True)
class Split:
    """Training, validation and test cases, which share no patient.

    `by_stage` holds the training cases of stages that do not use `train`. Settings are chosen on
    the validation cases, which are neither trained nor tested on.

    Raises:
        InputError: A patient is in two of the sets.
    """

    train: tuple[Case, ...]
    test: tuple[Case, ...]
    by_stage: Mapping[str, tuple[Case, ...]] = field(default_factory=dict)
    validation: tuple[Case, ...] = ()

    def __post_init__(self) -> None:
        learnt_from = [case for cases in (self.train, *self.by_stage.values()) for case in cases]
        sets = {"training": learnt_from, "validation": self.validation, "test": self.test}
        patients = {name: {case.patient for case in cases} for name, cases in sets.items()}
        for first, second in combinations(sets, 2):
            if shared := patients[first] & patients[second]:
                raise InputError(
                    f"patient {min(shared)!r} is in both the {first} set and the {second} set "
                    f"(patients in both: {len(shared)}). Give all cases of a patient the same "
                    "split: scores on training patients are biased."
                )

    def training_cases(self, stage: str) -> tuple[Case, ...]:
        """Return the cases that a stage is trained on."""
        return self.by_stage.get(stage, self.train)


def by_column(cases: Sequence[Case]) -> Split:
    """Split by the `split` of each case; a case without one is a training case."""
    return Split(
        train=tuple(c for c in cases if c.is_for_training),
        test=tuple(c for c in cases if c.split == "test"),
        validation=tuple(c for c in cases if c.split == "val"),
    )


def by_fold(
    cases: Sequence[Case], fold: int, folds: int, seed: int = 0, inner: int | None = None
) -> Split:
    """Return the split whose test cases are those of fold `fold`, counted from 0, of `folds`.

    One of `inner` parts of the other cases is for validation; None: there is no validation set.
    Patients are shuffled with `seed` and then stratified by their combinations of tags.

    Raises:
        InputError: There are fewer patients than folds.
    """
    tags: dict[str, tuple[str, ...]] = {}
    for case in cases:
        present = {name for name, tag in case.tags.items() if tag}
        tags[case.patient] = tuple(sorted(present.union(tags.get(case.patient, ()))))
    if len(tags) < folds:
        raise InputError(
            f"{folds} folds need at least {folds} patients, but there are {len(tags)}; use fewer "
            "folds"
        )
    patients = sorted(tags)
    order = np.random.default_rng((seed, folds)).permutation(len(patients))
    stratified = sorted((patients[i] for i in order), key=lambda patient: tags[patient])
    tested = set(stratified[fold::folds])
    others = [patient for patient in stratified if patient not in tested]
    validated = set() if inner is None else set(others[::inner])
    return Split(
        train=tuple(c for c in cases if c.patient not in tested | validated),
        test=tuple(c for c in cases if c.patient in tested),
        validation=tuple(c for c in cases if c.patient in validated),
    )


def draw_patients(present: Mapping[str, Collection[str]], share: float, seed: int) -> set[str]:
    """Draw a share of the patients, stratified by their combinations of labels.

    Args:
        present: The labels of each patient, such as its classes.
        share: The share, from 0 to 1.
        seed: The seed of the draw.

    Example:
        >>> from wsseg.tools import draw_patients
        >>> present = {"anna": ["nodule"], "bert": [], "cleo": ["nodule"], "dora": []}
        >>> drawn = draw_patients(present, share=0.5, seed=0)
        >>> sorted(len(present[name]) for name in drawn)  # one without and one with a nodule
        [0, 1]
    """
    names = sorted(present)
    order = np.random.default_rng((seed, len(names))).permutation(len(names))
    stratified = sorted((names[i] for i in order), key=lambda name: sorted(present[name]))
    return {
        name
        for index, name in enumerate(stratified)
        if round((index + 1) * share) > round(index * share)
    }
