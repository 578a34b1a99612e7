"""Folds of cohorts, also of those that change the training cases of another cohort."""

from pathlib import Path

import pytest

from wsseg.components.cohorts import Table
from wsseg.data.split import by_fold
from wsseg.suite.fold_split import split_by_fold
from wsseg_few_masks import FewMasks


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Twelve annotated cases of one patient each; every second one has the class."""
    (tmp_path / "empty.nii").touch()
    rows = [f"case-{n},empty.nii,empty.nii,{n % 2}" for n in range(12)]
    (tmp_path / "cohort.csv").write_text(
        "\n".join(["case,image,mask.lesion,tag.lesion", *rows]) + "\n"
    )
    return Table(path=tmp_path / "cohort.csv")


@pytest.mark.parametrize("inner", [None, 2])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_training_cases_of_each_fold_have_few_masks_and_the_others_all(
    table: Table, inner: int | None, depth: int
) -> None:
    few = FewMasks(cohort=table, of=("lesion",), masks=2)
    if depth == 2:
        few = FewMasks(cohort=few, of=("other",), masks=0)
    for fold in range(3):
        split = split_by_fold(few, fold, 3, inner)
        plain = by_fold(table.cases(), fold, 3, inner=inner)
        assert [case.name for case in split.train] == [case.name for case in plain.train]
        assert [case.name for case in split.test] == [case.name for case in plain.test]
        assert [case.name for case in split.validation] == [c.name for c in plain.validation]
        assert sum("lesion" in case.masks for case in split.train) == 2
        assert all("lesion" in case.masks for case in (*split.test, *split.validation))


def test_each_case_is_tested_in_one_fold(table: Table) -> None:
    few = FewMasks(cohort=table, of=("lesion",), masks=1)
    tested = [case.name for fold in range(3) for case in split_by_fold(few, fold, 3, None).test]
    assert sorted(tested) == sorted(case.name for case in table.cases())
