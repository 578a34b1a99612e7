"""Calibrated probabilities: where temperatures come from, and what they change."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from wsseg.data.nifti import open_nifti
from wsseg.data.prepare import prepare_mask
from wsseg.evaluation.manifest_cases import held_out_cases
from wsseg.evaluation.reliability import read_reliability
from wsseg.evaluation.rows import read_rows
from wsseg.inference.calibration import ScaledNetwork, calibrated
from wsseg.inference.ensemble import load_ensemble
from wsseg.inference.folders import RunFolder
from wsseg.inference.run import Run, load_run
from wsseg.inference.stage_prediction import stage_probabilities

if TYPE_CHECKING:
    from tests.conftest import Wsseg


@pytest.fixture(scope="module")
def fitted(validated: Path, wsseg: "Wsseg", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with temperatures, next to the folder of its scans."""
    run = copied(validated, tmp_path_factory.mktemp("fitted"))
    ended = wsseg("calibrate", run)
    assert ended.code == 0, ended.err
    assert "infection: temperature " in ended.err + ended.out
    return run


def copied(run: Path, folder: Path) -> Path:
    """Copy a run and its scans."""
    shutil.copytree(run.parent, folder, dirs_exist_ok=True)
    recipe = folder / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(run.parent), str(folder)))
    return folder / "run"


def temperatures(run: Path) -> dict[str, float]:
    return {name: each["temperature"] for name, each in record(run).items()}


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "calibration.json").read_text())
    return found


def planes(run: Run, name: str, case_name: str = "case-6") -> NDArray[np.float64]:
    """Return the probabilities of a stage's only class, (Z, H, W)."""
    [case] = [each for each in held_out_cases(run) if each.name == case_name]
    prepared, trained = run.prepare(case), run.pipeline.stages[name]
    scan = run.pipeline.scan(trained.stage, prepared)
    found: NDArray[np.float64] = stage_probabilities(trained, scan, run.pipeline.fabric)[0].astype(
        np.float64
    )
    return found


def test_the_log_odds_are_divided_by_the_temperature_of_the_stage(fitted: Path) -> None:
    run = load_run(fitted)
    for name, temperature in temperatures(fitted).items():
        before, after = planes(run, name), planes(calibrated(run), name)
        moderate = (before > 1e-3) & (before < 1 - 1e-3)
        odds = (before / (1 - before))[moderate]
        expected = 1 / (1 + np.exp(-np.log(odds) / temperature))
        assert moderate.sum() > 20
        assert after[moderate] == pytest.approx(expected, abs=1e-3)
        assert np.array_equal(before > 0.5, after > 0.5)


def test_the_likelihood_of_the_validation_masks_is_higher_with_the_temperature(
    fitted: Path,
) -> None:
    found = record(fitted)
    assert set(found) == {"infection", "consolidation"}
    for each in found.values():
        assert each["calibrated_nll"] <= each["nll"]
        assert each["cases"] == 2


def test_masks_of_test_and_training_cases_are_not_read(
    fitted: Path, wsseg: "Wsseg", tmp_path: Path
) -> None:
    """All of these masks are replaced by bytes that are no image."""
    run = copied(fitted, tmp_path)
    for number in (0, 1, 2, 3, 6, 7):
        for name in ("infection", "consolidation"):
            (tmp_path / "scans" / f"{number}-{name}.nii.gz").write_bytes(b"no image")
    ended = wsseg("calibrate", run)
    assert ended.code == 0, ended.err
    assert temperatures(run) == temperatures(fitted)
    for name, each in record(run).items():
        read = [(file["case"], Path(file["path"]).name) for file in each["files"]]
        assert read == [(f"case-{n}", f"{n}-{name}.nii.gz") for n in (4, 5)]
    (tmp_path / "scans" / "4-infection.nii.gz").write_bytes(b"no image")
    wsseg("calibrate", run).refused("4-infection.nii.gz")


def test_predict_writes_the_same_mask_and_calibrated_probabilities(
    fitted: Path, wsseg: "Wsseg", tmp_path: Path
) -> None:
    scan, outs = fitted.parent / "scans" / "6-image.nii.gz", {}
    plain = copied(fitted, tmp_path / "copy")
    (plain / "calibration.json").unlink()
    for name, run in {"plain": plain, "fitted": fitted}.items():
        outs[name] = tmp_path / name
        ended = wsseg("predict", run, scan, "--out", outs[name], "--probabilities")
        assert ended.code == 0, ended.err
        words = "are not calibrated" if name == "plain" else "of pixels are calibrated"
        assert words in ended.out + ended.err
    masks = [(out / scan.name).read_bytes() for out in outs.values()]
    assert masks[0] == masks[1]
    name = "6-image.1-infection.nii.gz"
    before, after = (open_nifti(out / "probabilities" / name).get_fdata() for out in outs.values())
    assert np.abs(before - after).max() > 0.05
    rows = [read_rows(out / "scores.csv").iloc[0] for out in outs.values()]
    assert rows[0]["infection_ml"] == rows[1]["infection_ml"]
    assert rows[0]["infection_probability"] < rows[1]["infection_probability"]  # T is below 1


def test_masks_that_are_not_cached_are_those_without_calibration(fitted: Path) -> None:
    run = load_run(fitted)
    other = calibrated(run)
    [case, _] = held_out_cases(run)
    found = run.predict(case)
    prepared = run.prepare(case)
    for path in prepared.folder.glob("stage-*"):
        path.unlink()
    again = other.predict(case)
    assert np.array_equal(found.mask.voxels, again.mask.voxels)
    assert found.scores == again.scores


def test_score_measures_how_often_pixels_with_a_probability_have_the_class(
    fitted: Path, wsseg: "Wsseg"
) -> None:
    ended = wsseg("score", fitted, "--probabilities")
    assert ended.code == 0, ended.err
    run = load_run(fitted)
    for reliability, source in (("uncalibrated", run), ("calibrated", calibrated(run))):
        pixels, present = np.zeros(10, int), np.zeros(10, int)
        for case in held_out_cases(run):
            p = planes(source, "consolidation", case.name)
            prepared = run.prepare(case)
            region = run.pipeline.region_map("infection", prepared)
            assert region is not None
            inside, true = np.load(region) > 0, prepare_mask(prepared, "consolidation")
            for value, has in zip(p[inside], true[inside], strict=True):
                pixels[min(int(value * 10), 9)] += 1
                present[min(int(value * 10), 9)] += has
        found = getattr(read_reliability(RunFolder(fitted))["consolidation"], reliability)
        assert found.pixels == tuple(pixels)
        assert found.present == tuple(present)
    rows = read_rows(fitted / "scores.csv").set_index("case")
    largest = planes(calibrated(run), "infection").max()
    assert rows["infection_probability"]["case-6"] == pytest.approx(largest)


def test_a_packed_run_has_the_temperatures_and_no_names(
    fitted: Path, wsseg: "Wsseg", tmp_path: Path
) -> None:
    out = tmp_path / "toy.wsseg"
    assert wsseg("pack", fitted, "--out", out).code == 0
    with ZipFile(out) as archive:
        shared = archive.read("calibration.json").decode()
    assert "case-" not in shared
    assert "nii.gz" not in shared
    own, packed = calibrated(load_run(fitted)), calibrated(load_run(out))
    [case, _] = held_out_cases(load_run(fitted))
    prepared = own.prepare(case)
    for run in (own, packed):
        assert isinstance(run.pipeline.stages["infection"].network, ScaledNetwork)
    scan = own.pipeline.scan(own.pipeline.stages["infection"].stage, prepared)
    one, two = (
        stage_probabilities(run.pipeline.stages["infection"], scan, run.pipeline.fabric)
        for run in (own, packed)
    )
    assert np.array_equal(one, two)


def test_temperatures_of_other_weights_and_damaged_ones_are_refused(
    fitted: Path, wsseg: "Wsseg", tmp_path: Path
) -> None:
    run = copied(fitted, tmp_path)
    stage = run / "stages" / "infection" / "stage.json"
    stage.write_text(stage.read_text() + "\n")
    out = tmp_path / "out"
    words = ("predict", run, tmp_path / "scans" / "6-image.nii.gz", "--out", out)
    wsseg(*words, "--probabilities").refused("stage infection has other weights", "calibrate")
    wsseg("pack", run, "--out", tmp_path / "a.wsseg").refused("other weights")
    (run / "calibration.json").write_text('{"infection": {"temperature": -1}}')
    wsseg(*words, "--probabilities").refused(
        "calibration.json: the file is damaged", "remove the file"
    )
    assert not out.exists()


def test_a_run_without_validation_cases_is_refused(trained: Path, wsseg: "Wsseg") -> None:
    wsseg("calibrate", trained).refused(
        "this run has no validation cases", "split of some cases to val"
    )
    assert not (trained / "calibration.json").exists()


def test_a_stage_without_masks_is_named_and_left_as_it_is(
    validated: Path, wsseg: "Wsseg", tmp_path: Path
) -> None:
    run, table = copied(validated, tmp_path), tmp_path / "scans" / "cohort.csv"
    text = table.read_text()
    for number in (4, 5):
        text = text.replace(f",{number}-consolidation.nii.gz", ",")
    table.write_text(text)
    ended = wsseg("calibrate", run)
    assert ended.code == 0, ended.err
    assert "stage consolidation is not calibrated: none of the 2 validation cases" in ended.err
    assert set(record(run)) == {"infection"}
    for number in (4, 5):
        text = text.replace(f",{number}-infection.nii.gz", ",")
    table.write_text(text)
    (run / "calibration.json").unlink()
    wsseg("calibrate", run).refused("none of the 2 validation cases has mask.infection")
    assert not (run / "calibration.json").exists()


def test_an_ensemble_of_calibrated_runs_is_not_calibrated(fitted: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        shutil.copytree(fitted, tmp_path / f"seed-{seed}")
    run = load_ensemble(tmp_path).run
    assert calibrated(run) is run


def test_a_temperature_of_1_changes_no_log_odds() -> None:
    torch.manual_seed(0)
    network, image = nn.Conv2d(1, 2, 3, padding=1), torch.randn(3, 1, 8, 8)
    assert torch.equal(ScaledNetwork(network, 1.0)(image), network(image))
