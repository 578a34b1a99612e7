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


def test_validation_cases_are_neither_training_nor_test_cases() -> None:
    split = by_column([case("a"), case("b", split="val"), case("c", split="test")])
    names = [[c.name for c in part] for part in (split.train, split.validation, split.test)]
    assert names == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("parts", "sets"),
    [
        ({"train": "a", "test": "b"}, "both the training set and the test set"),
        ({"train": "a", "validation": "b"}, "both the training set and the validation set"),
        ({"validation": "a", "test": "b"}, "both the validation set and the test set"),
    ],
)
def test_a_patient_in_two_sets_is_refused(parts: dict[str, str], sets: str) -> None:
    train, validation, test = (
        (case(parts[name], "p"),) if name in parts else ()
        for name in ("train", "validation", "test")
    )
    with pytest.raises(InputError, match=f"patient 'p' is in {sets}"):
        Split(train, test, validation=validation)


def test_a_validation_patient_in_the_cohort_of_a_stage_is_refused() -> None:
    with pytest.raises(InputError, match="both the training set and the validation set"):
        Split((), (), {"stage": (case("a", "p"),)}, (case("b", "p"),))


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


@given(st.integers(2, 4), st.integers(2, 4), st.integers(20, 40))
def test_one_inner_part_of_the_training_cases_of_each_fold_is_for_validation(
    folds: int, inner: int, patients: int
) -> None:
    cases = [case(f"{i}", f"p{i}", tag=i % 2 == 0) for i in range(patients)]
    for fold in range(folds):
        plain, nested = by_fold(cases, fold, folds), by_fold(cases, fold, folds, inner=inner)
        assert nested.test == plain.test
        assert {c.name for c in (*nested.train, *nested.validation)} == {
            c.name for c in plain.train
        }
        assert len(nested.validation) == -(-len(plain.train) // inner)
        tagged = sum(bool(c.tags["lesion"]) for c in nested.validation)
        assert abs(2 * tagged - len(nested.validation)) <= 2


def test_more_folds_than_patients_are_refused() -> None:
    with pytest.raises(InputError, match="3 folds"):
        by_fold([case("a"), case("b")], 0, 3)
