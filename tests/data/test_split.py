"""All cases of a patient are on one side of a split."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsseg.core.case import Case
from wsseg.data.split import Split, by_column, by_fold
from wsseg.errors import InputError


def case(name: str, patient: str = "", split: str = "", *, tag: bool = False) -> Case:
    return Case(name, patient or name, Path("x.nii"), split=split, tags={"lesion": tag})


def test_cases_are_split_by_their_column_and_train_is_the_default() -> None:
    split = by_column([case("a"), case("b", split="test"), case("c", split="train")])
    assert [c.name for c in split.train] == ["a", "c"]
    assert [c.name for c in split.test] == ["b"]


def test_a_patient_in_training_and_test_set_is_refused() -> None:
    with pytest.raises(InputError, match="patient 'p'"):
        Split((case("a", "p"),), (case("b", "p"),))


@given(st.integers(2, 6), st.integers(6, 30), st.integers(0, 5))
def test_folds_partition_the_cases_and_share_tags_evenly(
    folds: int, patients: int, seed: int
) -> None:
    cases = [
        case(f"{patient}-{scan}", f"p{patient}", tag=patient % 3 == 0)
        for patient in range(patients)
        for scan in range(2)
    ]
    tests = [by_fold(cases, fold, folds, seed).test for fold in range(folds)]
    assert sorted(c.name for test in tests for c in test) == sorted(c.name for c in cases)
    tagged = [len({c.patient for c in test if c.tags["lesion"]}) for test in tests]
    assert max(tagged) - min(tagged) <= 1
    for fold in range(folds):
        by_fold(cases, fold, folds, seed)  # raises if a patient is on both sides


def test_more_folds_than_patients_are_refused() -> None:
    with pytest.raises(InputError, match="3 folds"):
        by_fold([case("a"), case("b")], 0, 3)
