"""The commands train, predict, score and report."""

import json
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from wsseg.data.nifti import open_nifti
from wsseg.evaluation.rows import read_rows, warnings_by_case

if TYPE_CHECKING:
    from tests.conftest import Wsseg


def test_a_recipe_is_trained_scored_reported_and_used_for_prediction(
    wsseg: "Wsseg", toy_cohort: Path, toy_recipe: Path, tmp_path: Path
) -> None:
    run, masks = tmp_path / "runs" / "toy", tmp_path / "masks"
    trained = wsseg("train", toy_recipe, "--out", run, "--set", "seed=3")
    assert (trained.code, trained.out) == (0, "")
    assert f"wsseg score {run}" in trained.err.replace("\n", "")

    reported_too_early = wsseg("report", run)
    assert reported_too_early.code == 2
    assert f"wsseg score {run}" in reported_too_early.error

    scored = wsseg("score", run)
    assert scored.code == 0
    assert "Dice" in scored.out
    rows = read_rows(run / "scores.csv")
    assert list(rows["case"]) == ["case-6", "case-7"]
    assert list(rows["method"]) == ["toy", "toy"]
    assert list(rows["seed"]) == [3, 3]

    reported = wsseg("report", run)
    assert (reported.code, reported.out) == (0, "")
    assert (run / "report.html").stat().st_size > 10_000

    predicted = wsseg("predict", run, toy_cohort.parent / "7-image.nii.gz", "--out", masks)
    assert predicted.code == 0
    assert "1 infection, 2 consolidation" in predicted.err
    assert {path.name for path in masks.iterdir()} == {
        "7-image.nii.gz",
        "predicted.jsonl",
        "scores.csv",
    }
    assert open_nifti(masks / "7-image.nii.gz").shape == (40, 36, 5)


def test_train_does_not_overwrite_a_run(wsseg: "Wsseg", toy_recipe: Path, trained: Path) -> None:
    ended = wsseg("train", toy_recipe, "--out", trained)
    assert ended.code == 2
    assert "already contains a run" in ended.error


def test_diverged_training_has_exit_code_1(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    change = "stages.infection.optimizer.lr=1.0e+30"
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", "--set", change)
    assert ended.code == 1
    assert "stage infection, step 1 (epoch 1): the weights exploded" in ended.error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_interrupted_before_the_first_stage_leaves_no_folder(
    wsseg: "Wsseg",
    toy_recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setattr("wsseg.training.run.prepare_all", lambda *_: signal.raise_signal(number))
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run")
    assert ended.code == 1
    assert ended.error == (
        "interrupted; finished stages are saved. To continue, run the same command with --resume"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("undrawn_figures")
def test_a_run_without_annotated_test_cases_has_a_warning_and_pictures_of_its_predictions(
    wsseg: "Wsseg", toy_cohort: Path, trained: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    lines = toy_cohort.read_text().splitlines()
    for number, line in enumerate(lines):
        if ",test," in line:
            case, patient, split, image, _, _, tag = line.split(",")
            lines[number] = f"{case},{patient},{split},{image},,,{tag}"
    table = tmp_path / "cohort.csv"
    table.write_text(re.sub(r"(\d-\w+\.nii\.gz)", rf"{toy_cohort.parent}/\1", "\n".join(lines)))
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(toy_cohort), str(table)))

    scored = wsseg("score", run)
    assert scored.code == 0, scored.err
    printed = " ".join(scored.err.split())
    for name in ("infection", "consolidation"):
        assert f"no test case has mask.{name}, so the predicted {name} is not" in printed

    assert wsseg("report", run).code == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "case-6, consolidation not annotated, slice" in page
    captions = re.findall(r'alt="case-6, consolidation not annotated[^:]*: (\w+)', page)
    assert captions == ["image", "run"]


@pytest.mark.usefixtures("undrawn_figures")
def test_pictures_of_a_report_have_cases_with_and_without_annotation(
    wsseg: "Wsseg", toy_cohort: Path, trained: Path, tmp_path: Path
) -> None:
    """Only case-7, which has no consolidation, loses its annotation."""
    run = shutil.copytree(trained, tmp_path / "renamed")
    assert wsseg("score", run).code == 0
    text = toy_cohort.read_text().replace("7-infection.nii.gz,7-consolidation.nii.gz", ",")
    table = tmp_path / "cohort.csv"
    table.write_text(re.sub(r"(\d-\w+\.nii\.gz)", rf"{toy_cohort.parent}/\1", text))
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(toy_cohort), str(table)))
    assert wsseg("score", run).code == 0
    run = run.rename(tmp_path / "run")
    assert wsseg("report", run).code == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h4>(.*?), slice", page)
    assert headings[:2] == ["case-6, best case of renamed", "case-7, consolidation not annotated"]


@pytest.mark.usefixtures("undrawn_figures")
def test_scores_and_report_have_the_geometry_warnings_of_test_scans(
    wsseg: "Wsseg", toy_cohort: Path, trained: Path, tmp_path: Path
) -> None:
    cohort = shutil.copytree(toy_cohort.parent, tmp_path / "cohort") / toy_cohort.name
    for path in cohort.parent.glob("7-*.nii.gz"):
        voxels = np.asarray(open_nifti(path).dataobj)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    run = shutil.copytree(trained, tmp_path / "run")
    recipe = run / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(toy_cohort), str(cohort)))
    assert wsseg("score", run).code == 0
    warning = "7-image.nii.gz: its header has no orientation, and its voxel size may be wrong. "
    assert list(warnings_by_case(read_rows(run / "scores.csv"))) == ["case-7"]
    assert wsseg("report", run).code == 0
    assert f"case-7: {warning}" in (run / "report.html").read_text(encoding="utf-8")


def test_annotated_classes_have_no_warning(wsseg: "Wsseg", trained: Path, tmp_path: Path) -> None:
    assert "no test case" not in wsseg("score", shutil.copytree(trained, tmp_path / "run")).err


def test_a_damaged_manifest_is_reported(wsseg: "Wsseg", trained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    (copy / "manifest.json").write_text(json.dumps([1, 2]))
    wsseg("score", copy).refused("manifest.json")
