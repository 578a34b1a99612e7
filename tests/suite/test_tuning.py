"""Choosing settings: by validation cases, per seed and fold, resumed, and used by the runs."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.undrawn_figures import leave_figures_undrawn
from wsseg.components.registry import registry
from wsseg.config.recipe_files import recipe_of_run
from wsseg.errors import InputError
from wsseg.suite import tuner
from wsseg.suite.definition import Folds, load_suite, plan
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job import split_of_job
from wsseg.suite.tuning import Tuning
from wsseg.training.trainer import Trainer

if TYPE_CHECKING:
    from tests.conftest import Ended, Wsseg

HU = "stages.consolidation.prior.hu"
THRESHOLD = """\
extends: em.yaml
stages:
  consolidation:
    learn: nothing
    classes: [consolidation]
    region: null
    prior: {use: threshold, hu: 100}
"""
RECIPES = "recipes: {threshold: threshold.yaml, em: em.yaml}\n"
TUNE = f"tune: {{threshold: {{settings: {{{HU}: [-500, 0]}}, trials: 6}}}}\n"


@pytest.fixture(scope="module")
def folder(toy_cohort: Path, toy_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recipes on the toy cohort with two validation cases, whose masks can be read."""
    folder = tmp_path_factory.mktemp("tuning")
    data = Path(shutil.copytree(toy_cohort.parent, folder / "data"))
    table = data / "cohort.csv"
    text = table.read_text()
    for number in (4, 5):
        text = text.replace(
            f"case-{number},patient-{number},train", f"case-{number},patient-{number},val"
        )
    table.write_text(text)
    (folder / "em.yaml").write_text(toy_text.replace(str(toy_cohort), str(table)))
    (folder / "threshold.yaml").write_text(THRESHOLD)
    return folder


def suite_of(folder: Path, text: str) -> Path:
    path = folder / "own.yaml"
    path.write_text(text)
    return path


def tuned(wsseg: "Wsseg", suite: Path, out: Path) -> "Ended":
    return wsseg("bench", "tune", suite, "--out", out)


def tuning_of(settings: dict[str, list[Any]]) -> Tuning:
    return Tuning(settings=settings)


def chosen(out: Path, job: str = "threshold/seed-0") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "tuning" / job / "chosen.json").read_text())
    return found


@pytest.fixture(scope="module")
def tuned_suite(wsseg: "Wsseg", folder: Path) -> Path:
    """The folder of a suite whose threshold was tuned, and which then ran."""
    (folder / "suite.yaml").write_text(RECIPES + TUNE)
    out = folder / "tuned"
    with pytest.MonkeyPatch.context() as patch:
        leave_figures_undrawn(patch)
        for command in ("tune", "run"):
            ended = wsseg("bench", command, folder / "suite.yaml", "--out", out)
            assert ended.code == 0, ended.err
    return out


def test_a_threshold_between_tissue_and_core_is_chosen_on_validation_masks(
    tuned_suite: Path,
) -> None:
    """The tissue has -500 HU and the core 0 HU, each with a standard deviation of 30 HU."""
    found = chosen(tuned_suite)
    assert -450 < found["settings"][HU] < -50
    assert found["value"] > 0.9
    assert (found["criterion"], found["chosen_from"]) == ("dice_pooled", "validation masks")
    assert found["cases"] == ["case-4", "case-5"]
    assert found["trials"] == 6


def test_the_runs_use_the_chosen_settings_and_state_how_they_were_chosen(tuned_suite: Path) -> None:
    run, found = tuned_suite / "threshold/seed-0", chosen(tuned_suite)
    recipe = registry().describe(recipe_of_run(run / "recipe.yaml"))
    assert recipe["stages"]["consolidation"]["prior"]["hu"] == found["settings"][HU]
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["chosen"]["settings"] == found["settings"]
    assert manifest["chosen"]["tried"] == {HU: [-500, 0]}
    read = [each for each in manifest["files"] if each["use"] == "choice of settings"]
    assert [Path(each["path"]).name for each in read] == [
        "4-consolidation.nii.gz",
        "5-consolidation.nii.gz",
    ]
    assert "chosen" not in json.loads((tuned_suite / "em/seed-0/manifest.json").read_text())


def test_the_page_shows_how_settings_were_chosen(tuned_suite: Path) -> None:
    page = (tuned_suite / "report.html").read_text()
    assert "Choice of settings" in page
    assert "validation masks of 2 cases" in page
    assert "threshold †" not in page


def test_a_second_tuning_does_nothing_and_a_larger_budget_adds_trials(
    wsseg: "Wsseg", tuned_suite: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuner, "choose_settings", None)  # not called
    again = tuned(wsseg, folder / "suite.yaml", tuned_suite)
    assert again.code == 0, again.err
    assert "1 of 1 jobs are already chosen" in again.err
    monkeypatch.undo()
    out = Path(shutil.copytree(tuned_suite, folder / "larger"))
    more = suite_of(folder, RECIPES + TUNE.replace("trials: 6", "trials: 8"))
    assert tuned(wsseg, more, out).code == 0
    assert chosen(out)["trials"] == 8


def test_an_interrupted_tuning_chooses_the_same_as_an_uninterrupted_one(
    wsseg: "Wsseg", tuned_suite: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, value, calls = folder / "interrupted", tuner._Trials._value, []

    def stop(trials: tuner._Trials, values: dict[str, Any]) -> float:
        calls.append(values)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return value(trials, values)

    monkeypatch.setattr(tuner._Trials, "_value", stop)
    assert tuned(wsseg, folder / "suite.yaml", out).code != 0
    assert not (out / "tuning/threshold/seed-0/chosen.json").exists()
    ended = tuned(wsseg, folder / "suite.yaml", out)
    assert ended.code == 0, ended.err
    assert calls[3] == calls[4]  # the interrupted trial is repeated
    assert chosen(out) == chosen(tuned_suite)


def test_trials_of_a_threshold_train_no_network(
    wsseg: "Wsseg", tuned_suite: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages from the suite's folder are used."""
    out = Path(shutil.copytree(tuned_suite, folder / "again"))
    shutil.rmtree(out / "tuning")
    monkeypatch.setattr(Trainer, "__init__", None)  # not called
    ended = tuned(wsseg, folder / "suite.yaml", out)
    assert ended.code == 0, ended.err


def test_a_suite_does_not_run_before_its_settings_are_chosen(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    suite = suite_of(folder, RECIPES + TUNE)
    ended = wsseg("bench", "run", suite, "--out", tmp_path / "new")
    ended.refused("threshold/seed-0: no settings are chosen yet", "wsseg bench tune")


def test_settings_that_another_definition_chose_are_not_used(
    wsseg: "Wsseg", tuned_suite: Path, folder: Path
) -> None:
    out = Path(shutil.copytree(tuned_suite, folder / "changed"))
    suite = suite_of(folder, RECIPES + TUNE.replace("-500", "-400"))
    wsseg("bench", "run", suite, "--out", out).refused("the suite has changed", "bench tune")


def test_settings_that_other_code_tried_are_neither_used_nor_continued(
    wsseg: "Wsseg", tuned_suite: Path, folder: Path
) -> None:
    """The code file has the fingerprint of the code that ran the trials."""
    out, suite = Path(shutil.copytree(tuned_suite, folder / "older")), folder / "suite.yaml"
    words = (
        "tuning/threshold/seed-0: these settings were chosen with other code",
        "delete that folder",
    )
    code = SuiteFolder(out).tuning(Path("threshold/seed-0")).code
    code.write_text("of another version\n")
    tuned(wsseg, suite, out).refused(*words)
    wsseg("bench", "run", suite, "--out", out).refused(*words)
    planned = wsseg("bench", "run", suite, "--out", out, "--dry-run")
    planned.refused("1 of 2 jobs would be refused, so none would run")
    assert "1 done, 0 to do, 1 refused" in planned.out
    assert words[0] in planned.out
    shutil.rmtree(code.parent)
    assert (
        "no settings are chosen yet" in wsseg("bench", "run", suite, "--out", out, "--dry-run").out
    )


def test_each_fold_chooses_on_its_own_validation_cases(folder: Path) -> None:
    suite = load_suite(suite_of(folder, RECIPES + TUNE + "folds: {n: 2, inner: 2}\n"))
    assert suite.folds == Folds(n=2, inner=2)
    splits = [split_of_job(job) for job in plan(suite, folder) if job.method == "threshold"]
    assert [len(split.validation) for split in splits] == [2, 2]
    for split in splits:
        parts = [
            {c.patient for c in cases} for cases in (split.train, split.validation, split.test)
        ]
        assert len(set.union(*parts)) == sum(map(len, parts)) == 8


def test_without_an_inner_part_a_fold_has_no_validation_case(folder: Path) -> None:
    suite = load_suite(suite_of(folder, RECIPES + "folds: 2\n"))
    assert [split_of_job(job).validation for job in plan(suite, folder)] == [()] * 4


def test_a_fold_without_validation_cases_cannot_be_tuned(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    suite = suite_of(folder, RECIPES + TUNE + "folds: 2\n")
    ended = tuned(wsseg, suite, tmp_path / "out")
    assert ended.code != 0
    assert "there are no validation cases to choose settings on" in ended.err
    assert "inner: 4" in ended.err


def test_a_threshold_may_be_chosen_on_training_masks_and_is_marked_so(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    tune = TUNE.replace("trials: 6", "trials: 3, on: training")
    suite = suite_of(folder, RECIPES + tune + "folds: 2\n")
    assert load_suite(suite).chosen_from == {"threshold": "training masks"}
    assert tuned(wsseg, suite, tmp_path).code == 0
    for fold in (0, 1):
        found = chosen(tmp_path, f"threshold/seed-0/fold-{fold}")
        assert found["chosen_from"] == "training masks"
        assert len(found["cases"]) == 4


@pytest.mark.parametrize("criterion", ["tag_auc", "target_agreement"])
def test_settings_of_em_can_be_chosen_from_tags_alone(
    wsseg: "Wsseg", folder: Path, tmp_path: Path, criterion: str
) -> None:
    """The masks of the validation cases are no valid files."""
    data = Path(shutil.copytree(folder / "data", tmp_path / "data"))
    for number in (4, 5):
        for name in ("infection", "consolidation"):
            (data / f"{number}-{name}.nii.gz").write_text("not a mask")
    recipe = (folder / "em.yaml").read_text().replace(str(folder / "data"), str(data))
    (tmp_path / "em.yaml").write_text(recipe)
    key = "stages.consolidation.prior.midpoint_hu"
    tune = f"{{settings: {{{key}: [-300, 0]}}, criterion: {criterion}, trials: 2}}"
    suite = suite_of(tmp_path, f"recipes: {{em: em.yaml}}\ntune: {{em: {tune}}}\n")
    ended = tuned(wsseg, suite, tmp_path / "out")
    assert ended.code == 0, ended.err
    found = chosen(tmp_path / "out", "em/seed-0")
    assert (found["chosen_from"], found["files"]) == ("tags", [])
    assert 0 <= found["value"] <= 1


@pytest.mark.parametrize(
    ("tune", "words"),
    [
        ("other: {settings: {a: [0, 1]}}", ["stages.", "NAME"]),
        (f"none: {{settings: {{{HU}: [0, 1]}}}}", ["tune", "no method is called 'none'"]),
        (f"threshold: {{settings: {{{HU}: [5, 1]}}}}", ["lower"]),
        (f"threshold: {{settings: {{{HU}x: [0, 1]}}}}", ["tune.threshold", "hux"]),
        (f"threshold: {{settings: {{{HU}: [a, b]}}}}", ["tune.threshold", "hu"]),
        (f"threshold: {{settings: {{{HU}: [0, 1]}}, criterion: dise}}", ["dise", "dice"]),
        (f"threshold: {{settings: {{{HU}: [0, 1]}}, criterion: infection.dice}}", ["infection"]),
        (f"threshold: {{settings: {{{HU}: [0, 1]}}, criterion: target_agreement}}", ["EM"]),
        ("em: {settings: {stages.consolidation.epochs: [1, 9]}, on: training}", ["network"]),
    ],
)
def test_an_impossible_tuning_is_refused_before_anything_runs(
    wsseg: "Wsseg", folder: Path, tmp_path: Path, tune: str, words: list[str]
) -> None:
    suite = suite_of(folder, f"{RECIPES}tune: {{{tune}}}\n")
    tuned(wsseg, suite, tmp_path / "out").refused(*words)
    assert not (tmp_path / "out").exists()


def test_a_suite_without_tune_has_nothing_to_choose(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    tuned(wsseg, suite_of(folder, RECIPES), tmp_path / "out").refused("nothing to choose")


def test_a_statement_about_settings_that_contradicts_their_tuning_is_refused(folder: Path) -> None:
    text = RECIPES + TUNE + "settings_from: {threshold: paper}\n"
    with pytest.raises(InputError, match="validation masks, not paper"):
        load_suite(suite_of(folder, text))


def test_numbers_are_tried_in_their_type_and_rounded_and_lists_by_their_choices() -> None:
    tuning = tuning_of(
        {"stages.a.epochs": [1, 9], "stages.a.x": [0.0, 1.0], "stages.a.lr": [[1], [2], [3]]}
    )
    values = tuner._values(tuning, {"stages.a.epochs": 4, "stages.a.x": 0.123456, "stages.a.lr": 2})
    assert values == {"stages.a.epochs": 4, "stages.a.x": 0.123, "stages.a.lr": [3]}
    assert isinstance(values["stages.a.epochs"], int)
    narrow = tuning_of({"stages.a.x": [0.12341, 0.12349]})
    assert tuner._values(narrow, {"stages.a.x": 0.12345}) == {"stages.a.x": 0.12341}
