"""Images with several channels, from files to masks: sequences, and pictures in colours."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wsseg import load_run

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SIDE, SLICES = 32, 3
DISC = np.hypot(*(np.ogrid[:SIDE, :SIDE][axis] - 13.0 - axis for axis in (0, 1))) < 6
SEQUENCES = """\
cohort: {use: table, path: cohort.csv}
input: {slices: 1, size: 32, fill: 0, offset: [100, 300], scale: [50, 100]}
stages:
  lesion:
    learn: em
    classes: [lesion]
    backbone: {use: additive-unet, width: 4}
    prior: {use: sigmoid, midpoint: 400, width: 30, channel: flair}
    estep: {use: hard}
    loss: {use: batch-dice}
    epochs: 20
    batch_size: 4
    optimizer: {lr: {start: 0.01, end: 0.0001}}
"""
PICTURES = """\
cohort: {use: table, path: cohort.csv}
input: {slices: 1, size: 32, fill: 0, offset: 128, scale: 64}
stages:
  stain:
    learn: em
    classes: [stain]
    backbone: {use: additive-unet, width: 4}
    prior: {use: colour, property: saturation, midpoint: 0.4, width: 0.1}
    estep: {use: hard}
    loss: {use: batch-dice}
    epochs: 30
    batch_size: 4
    optimizer: {lr: {start: 0.01, end: 0.0001}}
"""


def dice(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return float(2 * (found & true).sum() / (found.sum() + true.sum()))


def save(path: Path, voxels: NDArray[np.float64]) -> None:
    """Write voxels (Z, H, W) with the axes of the file those of radiology."""
    affine = np.diag([-1.0, -1.0, 5.0, 1.0])
    nib.save(nib.Nifti1Image(np.rint(voxels).astype(np.int16).transpose(2, 1, 0), affine), path)


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """Write 8 cases whose lesion, a disc, only the sequence flair shows; t1 has a bright edge."""
    rows = ["case,split,image.t1,image.flair,mask.lesion,tag.lesion"]
    for number in range(8):
        noise = np.random.default_rng(number).normal(0, 20, (2, SLICES, SIDE, SIDE))
        tagged = number % 2 == 0
        t1, flair = 100 + noise[0], 300 + noise[1] + 200 * DISC * tagged
        t1[:, :4] += 400
        for name, voxels in (("t1", t1), ("flair", flair), ("lesion", tagged * DISC + 0 * t1)):
            save(tmp_path / f"{number}-{name}.nii", voxels)
        files = ",".join(f"{number}-{name}.nii" for name in ("t1", "flair", "lesion"))
        rows.append(f"{number},{'test' if number > 5 else 'train'},{files},{int(tagged)}")
    (tmp_path / "cohort.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "recipe.yaml").write_text(SEQUENCES)
    return tmp_path


def trained(wsseg: "Wsseg", folder: Path, *changes: str) -> Path:
    words = [word for each in changes for word in ("--set", each)]
    out = folder / f"run-{len(changes)}"
    ended = wsseg("train", folder / "recipe.yaml", "--out", out, *words)
    assert ended.code == 0, ended.err
    return out


@pytest.mark.slow
def test_a_lesion_in_one_sequence_is_learnt_by_a_prior_on_that_sequence(
    wsseg: "Wsseg", patients: Path
) -> None:
    run = trained(wsseg, patients)
    listed = json.loads((run / "manifest.json").read_text())["files"]
    assert {each["use"] for each in listed} == {"image.t1", "image.flair"}
    assert load_run(run).channels == ("t1", "flair")
    ended = wsseg("predict", run, patients / "cohort.csv", "--out", patients / "masks")
    assert ended.code == 0, ended.err
    mask = nib.Nifti1Image.from_filename(patients / "masks" / "6.nii.gz").get_fdata().T > 0
    assert dice(mask, np.broadcast_to(DISC, mask.shape)) > 0.7


def test_a_prior_judges_the_channel_that_it_names(wsseg: "Wsseg", patients: Path) -> None:
    true = np.broadcast_to(DISC, (SLICES, SIDE, SIDE))
    found = {}
    for channel in ("t1", "flair"):
        prior = f"{{use: sigmoid, midpoint: 400, width: 30, channel: {channel}}}"
        text = f"stages.lesion={{learn: nothing, classes: [lesion], prior: {prior}}}"
        (patients / channel).mkdir()
        out = patients / channel / "run"
        ended = wsseg("train", patients / "recipe.yaml", "--out", out, "--set", text)
        assert ended.code == 0, ended.err
        case = next(iter(load_run(out).recipe.cohort.cases()))
        found[channel] = dice(load_run(out).predict(case).masks["lesion"], true)
    assert found["flair"] > 0.95
    assert found["t1"] < 0.1


def test_a_prior_without_a_channel_is_refused_with_the_channels(
    wsseg: "Wsseg", patients: Path
) -> None:
    change = "stages.lesion.prior.channel=null"
    out = patients / "run"
    ended = wsseg("train", patients / "recipe.yaml", "--out", out, "--set", change)
    ended.refused("2 channels, t1, flair", "`channel`")


def test_a_single_file_is_refused_with_the_channels_that_the_run_needs(
    wsseg: "Wsseg", patients: Path
) -> None:
    prior = "{use: sigmoid, midpoint: 400, width: 30, channel: flair}"
    stage = f"stages.lesion={{learn: nothing, classes: [lesion], prior: {prior}}}"
    run = trained(wsseg, patients, stage)
    ended = wsseg("predict", run, patients / "6-t1.nii", "--out", patients / "masks")
    assert ended.code != 0
    for words in ("trained on t1, flair", "image.t1, image.flair"):
        assert words in ended.err


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Write 10 grey pictures of changing brightness; every second one has a red stain."""
    rows = ["case,split,image,mask.stain,tag.stain"]
    for number in range(10):
        random = np.random.default_rng(number)
        grey = random.uniform(90, 200) + random.normal(0, 10, (SIDE, SIDE, 1))
        tagged = number % 2 == 0
        share = np.where((DISC & tagged)[..., None], (1.0, 0.3, 0.3), 1.0)
        rgb = (grey * share).clip(0, 255).astype(np.uint8)
        Image.fromarray(rgb).save(tmp_path / f"{number}.png")
        Image.fromarray((DISC & tagged).astype(np.uint8) * 255).save(tmp_path / f"{number}-m.png")
        split = "test" if number > 7 else "train"
        rows.append(f"{number},{split},{number}.png,{number}-m.png,{int(tagged)}")
    (tmp_path / "cohort.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "recipe.yaml").write_text(PICTURES)
    return tmp_path


@pytest.mark.slow
def test_coloured_stains_are_learnt_from_tags(wsseg: "Wsseg", pictures: Path) -> None:
    assert len(PICTURES.splitlines()) <= 25
    run = load_run(trained(wsseg, pictures))
    assert run.channels == ("red", "green", "blue")
    prediction = run.predict(pictures / "8.png")
    assert dice(prediction.masks["stain"][0], DISC) > 0.7
    assert prediction.mask.voxels.shape == (1, SIDE, SIDE)


def test_a_run_on_colour_pictures_refuses_a_grey_picture(wsseg: "Wsseg", pictures: Path) -> None:
    prior = "{use: colour, property: grey, midpoint: 90, width: 9}"
    stage = f"stages.stain={{learn: nothing, classes: [stain], prior: {prior}}}"
    run = trained(wsseg, pictures, stage)
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(pictures / "grey.png")
    ended = wsseg("predict", run, pictures / "grey.png", "--out", pictures / "masks")
    assert "no channel red; this run was trained on red, green, blue" in ended.err
