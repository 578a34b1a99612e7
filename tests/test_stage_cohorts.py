"""A stage with its own cohort: masks from one hospital, tags from another."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.config.recipe_files import load_recipe
from wsseg.suite.definition import load_suite, plan
from wsseg.suite.shared_stages import stage_trainings
from wsseg.training.preflight import lists_of_cases

if TYPE_CHECKING:
    from tests.conftest import Wsseg

HEAD = "case,patient,split,image,mask.infection,tag.consolidation"


@pytest.fixture
def elsewhere(toy_cohort: Path, tmp_path: Path) -> Path:
    """Return a cohort of other patients with scans of the toy cohort, one of them for testing."""
    here, lines = toy_cohort.parent, [HEAD]
    for number in range(3):
        split = "test" if number == 2 else "train"
        files = f"{here / f'{number}-image.nii.gz'},{here / f'{number}-infection.nii.gz'}"
        lines.append(f"other-{number},other-patient-{number},{split},{files},")
    (tmp_path / "elsewhere.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "elsewhere.csv"


@pytest.fixture
def own(elsewhere: Path) -> str:
    return f"stages.infection.cohort={{use: table, path: {elsewhere}}}"


@pytest.mark.usefixtures("undrawn_figures")
def test_a_stage_learns_from_its_own_cohort_and_other_stages_do_not(
    wsseg: "Wsseg", toy_recipe: Path, own: str, tmp_path: Path
) -> None:
    quick = ("stages.infection.epochs=1", "stages.consolidation.epochs=1")
    changes = [word for each in (own, *quick) for word in ("--set", each)]
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", *changes)
    assert ended.code == 0, ended.err
    about = json.loads((tmp_path / "run" / "manifest.json").read_text())
    read = {(each["stage"], each["case"]) for each in about["files"]}
    assert {case for stage, case in read if stage == "infection"} == {"other-0", "other-1"}
    assert {case for stage, case in read if stage == "consolidation"} == {
        f"case-{number}" for number in range(6)
    }
    assert about["train_by_stage"] == {"infection": ["other-0", "other-1"]}
    assert about["test"] == ["case-6", "case-7"]
    assert not [f for f in about["files"] if "consolidation" in f["path"]]
    assert wsseg("score", tmp_path / "run").code == 0
    assert wsseg("report", tmp_path / "run").code == 0


def test_a_patient_of_the_test_set_is_refused_in_the_cohort_of_a_stage(
    wsseg: "Wsseg", toy_recipe: Path, elsewhere: Path, own: str, tmp_path: Path
) -> None:
    elsewhere.write_text(elsewhere.read_text().replace("other-patient-1", "patient-7"))
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", "--set", own)
    ended.refused("patient 'patient-7' is in both the training set and the test set")


def test_an_invalid_scan_in_the_cohort_of_a_stage_is_reported_before_training(
    wsseg: "Wsseg", toy_recipe: Path, elsewhere: Path, own: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"no image")
    text = elsewhere.read_text()
    elsewhere.write_text(text.replace(str(text.splitlines()[1].split(",")[3]), str(bad)))
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", "--set", own)
    ended.refused("bad.nii.gz")
    assert not (tmp_path / "run" / "stages").exists()
    assert wsseg("data", "check", toy_recipe, "--set", own).code == 1


def test_a_stage_with_its_own_cohort_is_trained_once_for_all_folds(
    toy_recipe: Path, own: str
) -> None:
    text = f"recipes: {{em: toy.yaml}}\nset: {{{own.replace('=', ': ', 1)}}}\nfolds: 3\n"
    (toy_recipe.parent / "suite.yaml").write_text(text)
    jobs = plan(load_suite(toy_recipe.parent / "suite.yaml"), toy_recipe.parent)
    found = [(training.stage, len(training.jobs)) for training in stage_trainings(jobs)]
    assert found == [("infection", 3), *[("consolidation", 1)] * 3]


def test_each_cohort_is_checked_for_the_labels_that_its_stages_learn_from(
    toy_recipe: Path, own: str
) -> None:
    (shared, expected), (own_list, own_expected) = lists_of_cases(load_recipe(toy_recipe, [own]))
    assert (len(shared.cases), expected.tags, expected.masks) == (8, ("consolidation",), ())
    assert [case.name for case in own_list.cases] == ["other-0", "other-1", "case-6", "case-7"]
    assert (own_expected.tags, own_expected.masks) == ((), (("infection",),))


def test_masks_that_a_stage_reads_in_its_cohort_stay_hidden_in_others(
    toy_recipe: Path, own: str
) -> None:
    recipe = load_recipe(toy_recipe, [own])
    assert recipe.hidden_classes(recipe.own_stages.values()) == {"infection", "consolidation"}
    assert recipe.hidden_classes([recipe.stages["infection"]]) == {"consolidation"}


def test_a_copy_of_a_test_scan_in_the_cohort_of_a_stage_is_reported(
    wsseg: "Wsseg", toy_recipe: Path, elsewhere: Path, own: str, tmp_path: Path
) -> None:
    elsewhere.write_text(elsewhere.read_text().replace("1-image", "7-image"))
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", "--set", own)
    ended.refused("other-1", "case-7", "--accept duplicate-scan")
    checked = wsseg("data", "check", toy_recipe, "--set", own)
    assert checked.code == 1
    assert checked.out.endswith("10 scans: 1 error, 1 warning\n"), checked.out
