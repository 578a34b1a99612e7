"""The recipes on synthetic heads: reading, training and prediction."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import wsseg
from wsseg.cli import app
from wsseg.tools import read_case_mask
from wsseg_glioma.lgg import LggFlair

SIDE, SLICES, PATIENTS = 48, 4, 4
BACKBONE = "stages.tumour.backbone={use: additive-unet, width: 2}"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """Write round heads with a bright scalp, a gain per patient, and a tumour in two slices."""
    rng = np.random.default_rng(0)
    row, column = np.ogrid[:SIDE, :SIDE]
    radius = np.hypot(row - 24, column - 24)
    tumour = np.hypot(row - 20, column - 28) < 4
    plain = np.select([radius < 16, radius < 21], [50, 120], 2)
    stacks = [
        (gain * (np.where(tumour & has, 90, plain) + rng.normal(0, 2, (SIDE, SIDE)))).clip(0, 255)
        for gain in (1, 0.6, 1.4, 2)
        for has in (False, True, True, False)
    ]
    np.savez(
        tmp_path / "heads.npz",
        flair=np.stack(stacks).astype(np.uint8),
        mask=np.stack([tumour & has for has in (False, True, True, False)] * PATIENTS),
        patient=np.repeat([f"TCGA_CS_{n}_0" for n in range(PATIENTS)], SLICES),
        slice=np.tile(np.arange(SLICES), PATIENTS),
    )
    return tmp_path / "heads.npz"


def train(recipe: str, heads: Path, *changes: str) -> wsseg.Run:
    out = heads.parent / recipe
    sets = [f"cohort.path={heads}", "input.size=48", *changes]
    words = ["train", f"glioma/{recipe}", "--out", str(out)]
    done = CliRunner().invoke(app, words + [word for each in sets for word in ("--set", each)])
    assert done.exit_code == 0, done.output
    return wsseg.load_run(out)


def test_one_threshold_fits_patients_scanned_with_different_gains(heads: Path) -> None:
    run = train("threshold", heads)
    for case in LggFlair(path=heads).cases():
        prediction = run.predict(case)
        found = prediction.masks["tumour"]
        true = read_case_mask(case, "tumour", prediction.mask.grid)
        assert 2 * (found & true).sum() > 0.9 * (found.sum() + true.sum())


@pytest.mark.parametrize("recipe", ["em", "em-mixture", "mil", "cam"])
def test_training_from_tags_reads_no_mask(heads: Path, recipe: str) -> None:
    train(recipe, heads, "stages.tumour.epochs=1", BACKBONE)
    manifest = json.loads((heads.parent / recipe / "manifest.json").read_text(encoding="utf-8"))
    assert {file["use"] for file in manifest["files"]} == {"image"}
    known = manifest["tags"]["tumour"]["TCGA_CS_0_0"]["slices"]
    assert [known[str(z)]["tumour"] for z in range(SLICES)] == [False, True, True, False]


@pytest.mark.slow
def test_em_learns_the_tumour_of_synthetic_heads_from_tags(heads: Path) -> None:
    run = train("em", heads, "stages.tumour.epochs=40", "stages.tumour.batch_size=4")
    case = LggFlair(path=heads).cases()[0]
    prediction = run.predict(case)
    found = prediction.masks["tumour"]
    true = read_case_mask(case, "tumour", prediction.mask.grid)
    assert 2 * (found & true).sum() > 0.5 * (found.sum() + true.sum())


def test_supervised_training_reads_the_masks(heads: Path) -> None:
    train("supervised", heads, "stages.tumour.epochs=1", BACKBONE)
    manifest = json.loads((heads.parent / "supervised/manifest.json").read_text(encoding="utf-8"))
    assert {file["use"] for file in manifest["files"]} == {"image", "label"}
