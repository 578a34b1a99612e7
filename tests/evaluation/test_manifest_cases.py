"""The test and validation cases of a run, with the masks that they had in the run."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.picture_files import write_pictures
from wsseg import load_run
from wsseg.errors import InputError
from wsseg.evaluation.manifest_cases import held_out_cases, validation_cases
from wsseg.evaluation.rows import read_rows

if TYPE_CHECKING:
    from tests.conftest import Wsseg

RECIPE = """\
cohort: {use: few-masks, of: [crack], masks: 2, cohort: {use: folder, path: pictures}}
input: {slices: 1, size: 32, offset: 100, scale: 10}
stages:
  crack: {learn: nothing, classes: [crack], prior: {use: sigmoid, midpoint: 140, width: 10}}
"""


@pytest.fixture
def job(wsseg: "Wsseg", tmp_path: Path) -> Path:
    """Return a run of a fold of a suite, whose cohort hides masks of training pictures."""
    write_pictures(tmp_path / "pictures", 6)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "suite.yaml").write_text("recipes: [recipe.yaml]\nfolds: {n: 2, inner: 2}\n")
    ended = wsseg("bench", "run", tmp_path / "suite.yaml", "--out", tmp_path / "suite")
    assert ended.code == 0, ended.err
    return tmp_path / "suite" / "recipe" / "seed-0" / "fold-0"


def test_a_run_of_a_fold_is_scored_again_with_all_masks_of_its_test_cases(
    wsseg: "Wsseg", job: Path
) -> None:
    before = read_rows(job / "scores.csv")
    assert before["dice"].notna().sum() == 3
    ended = wsseg("score", job)
    assert ended.code == 0, ended.err
    after = read_rows(job / "scores.csv")
    assert list(after["case"]) == list(before["case"])
    assert after["dice"].equals(before["dice"])


def test_only_masks_of_training_cases_are_hidden(job: Path) -> None:
    run = load_run(job)
    for cases in (held_out_cases(run), validation_cases(run)):
        assert cases
        assert all(("crack" in case.masks) == case.tags["crack"] for case in cases)


def test_a_case_that_is_no_longer_in_the_cohort_is_named(job: Path, tmp_path: Path) -> None:
    run = load_run(job)
    [first, *_] = held_out_cases(run)
    for path in (tmp_path / "pictures").glob(f"*/{first.name.split('-')[-1]}*"):
        path.unlink()
    with pytest.raises(InputError, match=f"no longer contains test case {first.name}"):
        held_out_cases(run)
