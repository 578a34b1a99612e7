"""Fewer outlines: what is hidden, from whom, and that nothing else changes."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wsseg.components.cohorts import Table
from wsseg.components.few_masks import FewMasks
from wsseg.config.recipe import load_recipe


def test_the_first_training_cases_keep_their_masks_and_test_cases_all(toy_cohort: Path) -> None:
    """Six training cases, then two test cases."""
    whole = Table(path=toy_cohort)
    few = FewMasks(cohort=whole, of=("consolidation",), masks=2).cases()
    outlined = [case.name for case in few if "consolidation" in case.masks]
    assert outlined == ["case-0", "case-1", "case-6", "case-7"]
    assert all("infection" in case.masks for case in few)


@given(masks=st.integers(0, 9))
def test_all_but_masks_stays_as_it_is(toy_cohort: Path, masks: int) -> None:
    whole = Table(path=toy_cohort)
    few = FewMasks(cohort=whole, of=("consolidation", "infection"), masks=masks).cases()
    assert [replace(case, masks={}) for case in few] == [
        replace(case, masks={}) for case in whole.cases()
    ]
    assert sum(bool(case.masks) for case in few) == min(masks, 6) + 2


def test_a_recipe_wraps_its_cohort(toy_recipe: Path, toy_cohort: Path) -> None:
    inner = f"{{use: table, path: {toy_cohort}}}"
    text = f"cohort={{use: few-masks, of: [infection], masks: 1, cohort: {inner}}}"
    cases = load_recipe(toy_recipe, [text]).cohort.cases()
    assert ["infection" in case.masks for case in cases] == [True] + 5 * [False] + 2 * [True]
