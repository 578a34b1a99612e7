"""The masks that few-masks hides, and that nothing else changes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsseg import Table, load_recipe
from wsseg.testing import check_cohort
from wsseg_few_masks import FewMasks


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Six training and two test cases with two masks each; the files are empty and not read."""
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "empty.nii").touch()
    lines = ["case,split,image,mask.infection,mask.consolidation,tag.consolidation"]
    for number in range(8):
        split = "test" if number >= 6 else "train"
        lines.append(f"case-{number},{split},empty.nii,empty.nii,empty.nii,{number % 2}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return Table(path=folder / "cohort.csv")


def test_the_cohort_passes_the_conformance_test(table: Table) -> None:
    check_cohort(FewMasks(cohort=table, of=("infection",), masks=1))


def with_masks(few: FewMasks) -> list[str]:
    return [case.name for case in few.cases() if "consolidation" in case.masks]


def test_half_of_the_drawn_training_cases_have_the_class_as_in_the_cohort(table: Table) -> None:
    """The cases with odd numbers have consolidation; 6 and 7 are test cases."""
    for seed in range(20):
        few = FewMasks(cohort=table, of=("consolidation",), masks=2, seed=seed)
        *drawn, first, second = with_masks(few)
        assert [first, second] == ["case-6", "case-7"]
        assert sorted(int(name[-1]) % 2 for name in drawn) == [0, 1]
        assert all("infection" in case.masks for case in few.cases())


def test_the_seed_decides_which_cases_are_drawn(table: Table) -> None:
    few = FewMasks(cohort=table, of=("consolidation",), masks=2)
    assert with_masks(few) == with_masks(few)
    drawn = {tuple(with_masks(few.model_copy(update={"seed": seed}))) for seed in range(20)}
    assert len(drawn) > 3


def test_validation_cases_keep_their_masks(table: Table) -> None:
    path = table.path.with_name("with-validation.csv")
    path.write_text(table.path.read_text().replace("case-0,train", "case-0,val"))
    few = FewMasks(cohort=Table(path=path), of=("consolidation",), masks=0)
    assert with_masks(few) == ["case-0", "case-6", "case-7"]


@given(masks=st.integers(0, 9))
def test_only_masks_of_training_cases_change(table: Table, masks: int) -> None:
    few = FewMasks(cohort=table, of=("consolidation", "infection"), masks=masks).cases()
    assert [replace(case, masks={}) for case in few] == [
        replace(case, masks={}) for case in table.cases()
    ]
    assert sum(bool(case.masks) for case in few) == min(masks, 6) + 2


def test_stages_that_read_other_masks_share_the_wrapped_cohort(table: Table) -> None:
    few = FewMasks(cohort=table, of=("consolidation",), masks=0)
    assert few.as_seen_with({"infection"}) == table
    assert few.as_seen_with({"infection", "consolidation"}) == few


def test_a_recipe_can_name_the_cohort(table: Table) -> None:
    inner = f"{{use: table, path: {table.path}}}"
    text = f"cohort={{use: few-masks, of: [infection], masks: 1, cohort: {inner}}}"
    assert len(load_recipe("covid/supervised", [text]).cohort.cases()) == 8
