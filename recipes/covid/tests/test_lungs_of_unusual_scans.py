"""Lungs without air, as thin as gas, or alone in a scan are found, or reported with a remedy."""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from typer.testing import CliRunner

from wsseg import Case, Grid, Volume, load_recipe, train
from wsseg.cli import app
from wsseg.data.region_check import implausibility
from wsseg.tools import write_nifti
from wsseg_covid.lung_threshold import LUNGS, LungThreshold
from wsseg_covid.phantom.patient import Phantom, Protocol, phantom
from wsseg_covid.phantom.scanner import SCANNERS

Mask = NDArray[np.bool_]
DENSE_HU = 40
RECIPE = """\
cohort: {use: table, path: cohort.csv}
regions: {lung: {use: lung-threshold}}
input: {slices: 1, size: 112, unit: HU, mask: lung}
stages:
  consolidation:
    learn: nothing
    classes: [consolidation]
    region: lung
    prior: {use: threshold, hu: -200}
"""


@lru_cache(maxsize=2)
def patient(seed: int = 0) -> Phantom:
    """Draw a scan of complete lungs, in slices of 5 or 10 mm."""
    protocol = Protocol(SCANNERS[seed], 112, (46, 24)[seed], (5.0, 10.0)[seed])
    return phantom(np.random.default_rng(seed), protocol, consolidation=False)


def lungs_of(scan: Phantom) -> Mask:
    z, height, width = scan.image.shape
    z_mm, row_mm, column_mm = scan.spacing_mm
    grid = Grid((width, height, z), np.diag([-column_mm, -row_mm, z_mm, 1.0]))
    return LungThreshold()(Case("a", "a", Path("a.nii.gz")), Volume(scan.image[None], grid))


def with_hu(scan: Phantom, where: Mask, hu: float) -> Phantom:
    """Replace voxels by a density with a noise of 15 HU."""
    noise = np.random.default_rng(9).normal(hu, 15, scan.image.shape)
    return replace(scan, image=np.where(where, np.rint(noise), scan.image).astype(np.int16))


def reason(scan: Phantom, found: Mask) -> str:
    return implausibility(found, scan.image, scan.spacing_mm, LUNGS)


def sensitivity(found: Mask, lung: Mask) -> float:
    return float((found & lung).sum() / lung.sum())


def dice(a: Mask, b: Mask) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def side_of(scan: Phantom, side: str) -> Mask:
    """Return one lung; columns go from the patient's right to the left."""
    columns = np.arange(scan.lung.shape[2]) < scan.lung.shape[2] / 2
    return np.asarray(scan.lung & (columns if side == "right" else ~columns))


def lower_lobes(scan: Phantom) -> Mask:
    """Return the lungs below a plane that rises by 45 degrees from front to back."""
    slices, rows = (np.flatnonzero(scan.lung.any(axis=axes)) for axes in ((1, 2), (0, 2)))
    z, y = np.ogrid[: scan.lung.shape[0], : scan.lung.shape[1]]
    above_mm = (z - slices.mean()) * scan.spacing_mm[0]
    behind_mm = (y - rows.mean()) * scan.spacing_mm[1]
    return np.asarray(scan.lung & (above_mm < behind_mm)[:, :, None])


def upper_third(scan: Phantom) -> Mask:
    slices = np.flatnonzero(scan.lung.any(axis=(1, 2)))
    z = np.arange(len(scan.lung))[:, None, None]
    return np.asarray(scan.lung & (z > slices[0] + 2 * (slices[-1] - slices[0]) / 3))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_lungs_of_an_ordinary_scan_are_plausible(seed: int) -> None:
    found = lungs_of(patient(seed))
    assert dice(found, patient(seed).lung) > 0.95
    assert reason(patient(seed), found) == ""


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("lobe", ["lung", "lower lobe", "upper lobe", "upper third"])
def test_a_dense_lung_or_lobe_is_reported_with_its_side(seed: int, side: str, lobe: str) -> None:
    lobes = {
        "lung": patient(seed).lung,
        "lower lobe": lower_lobes(patient(seed)),
        "upper lobe": ~lower_lobes(patient(seed)),
        "upper third": upper_third(patient(seed)),
    }
    scan = with_hu(patient(seed), lobes[lobe] & side_of(patient(seed), side), DENSE_HU)
    found = lungs_of(scan)
    assert sensitivity(found, scan.lung) < 0.92
    assert reason(scan, found).endswith(f"seen from the side, on the patient's {side}")


def middle_lobe(scan: Phantom) -> Mask:
    """Return the right lung in front of the lower lobe and below the middle of its height."""
    slices = np.flatnonzero(scan.lung.any(axis=(1, 2)))
    z = np.arange(len(scan.lung))[:, None, None]
    return np.asarray(side_of(scan, "right") & ~lower_lobes(scan) & (z < slices.mean()))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_dense_middle_lobe_is_reported_on_the_right(seed: int) -> None:
    lobe = middle_lobe(patient(seed))
    scan = with_hu(patient(seed), lobe, DENSE_HU)
    found = lungs_of(scan)
    assert sensitivity(found, lobe) < 0.6
    assert reason(scan, found).endswith("seen from the side, on the patient's right")


@pytest.mark.parametrize("seed", [0, 1])
def test_dense_lower_lobes_of_both_lungs_are_reported(seed: int) -> None:
    scan = with_hu(patient(seed), lower_lobes(patient(seed)), DENSE_HU)
    assert reason(scan, lungs_of(scan)).startswith("has its lower end ")
    assert "mm higher at the back than in front" in reason(scan, lungs_of(scan))


@pytest.mark.parametrize("seed", [0, 1])
def test_dense_upper_lobes_of_both_lungs_are_reported(seed: int) -> None:
    scan = with_hu(patient(seed), patient(seed).lung & ~lower_lobes(patient(seed)), DENSE_HU)
    found = lungs_of(scan)
    assert sensitivity(found, scan.lung) < 0.6
    assert reason(scan, found).startswith("has its upper end ")
    assert "mm higher at the back than in front" in reason(scan, found)


@pytest.mark.parametrize("hu", [-950, -960, -970])
@pytest.mark.parametrize("seed", [0, 1])
def test_lungs_with_severe_emphysema_are_found(seed: int, hu: int) -> None:
    scan = with_hu(patient(seed), patient(seed).lung, hu)
    found = lungs_of(scan)
    assert sensitivity(found, scan.lung) > 0.97
    assert dice(found, scan.lung) > 0.95
    assert reason(scan, found) == ""


@pytest.mark.parametrize("side", ["right", "left"])
def test_emphysema_of_one_lung_is_found(side: str) -> None:
    scan = with_hu(patient(), side_of(patient(), side), -970)
    found = lungs_of(scan)
    assert sensitivity(found, scan.lung) > 0.97
    assert reason(scan, found) == ""


@pytest.mark.parametrize("part", ["both", "right", "left"])
def test_lungs_with_the_density_of_gas_are_found_or_reported(part: str) -> None:
    where = patient().lung if part == "both" else side_of(patient(), part)
    scan = with_hu(patient(), where, -990)
    found = lungs_of(scan)
    assert sensitivity(found, scan.lung) < 0.6
    assert reason(scan, found) != ""


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("lobes", "expected"),
    [
        ("lower", "litres that adjoin it inside the body"),
        ("upper", "has its upper end"),
    ],
)
def test_lobes_of_both_lungs_with_the_density_of_gas_are_reported(
    seed: int, lobes: str, expected: str
) -> None:
    lower = lower_lobes(patient(seed))
    where = lower if lobes == "lower" else patient(seed).lung & ~lower
    scan = with_hu(patient(seed), where, -980)
    found = lungs_of(scan)
    assert sensitivity(found, where) < 0.2
    assert expected in reason(scan, found)


@pytest.mark.parametrize("fill", [-1000, -1024, -2000, -3024])
@pytest.mark.parametrize("rim_pixels", [0, 1, 3])
def test_the_lungs_of_a_scan_whose_outside_was_replaced_are_found(
    fill: int, rim_pixels: int
) -> None:
    """A rim of up to 10 mm around the lungs is kept."""
    scan, disc = patient(), np.ones((1, 3, 3), np.bool_)
    kept = ndimage.binary_dilation(scan.lung, disc, rim_pixels) if rim_pixels else scan.lung
    alone = replace(scan, image=np.where(kept, scan.image, fill).astype(np.int16))
    found = lungs_of(alone)
    assert not (found & ~kept).any()
    assert sensitivity(found, scan.lung) > 0.93
    assert reason(alone, found) == ""


@pytest.mark.parametrize("fill", [-1000, -3024])
def test_a_scan_cropped_to_the_lungs_with_a_replaced_outside_has_lungs(fill: int) -> None:
    scan = patient()
    box = ndimage.find_objects(scan.lung.astype(np.uint8))[0]
    image = np.where(scan.lung, scan.image, fill).astype(np.int16)[box]
    found = lungs_of(replace(scan, image=image))
    assert sensitivity(found, scan.lung[box]) > 0.93
    assert not (found & ~scan.lung[box]).any()


@pytest.mark.parametrize("fill", [-1000, -2000])
def test_a_dense_lung_in_a_scan_whose_outside_was_replaced_is_reported(fill: int) -> None:
    scan = with_hu(patient(), side_of(patient(), "left"), DENSE_HU)
    alone = replace(scan, image=np.where(scan.lung, scan.image, fill).astype(np.int16))
    assert reason(alone, lungs_of(alone)).endswith("on the patient's left")


@pytest.mark.parametrize("fill", [-1000, -1024, -2000, -3024])
def test_air_around_the_body_that_was_replaced_changes_nothing(fill: int) -> None:
    scan = patient()
    body = np.stack([ndimage.binary_fill_holes(plane > -320) for plane in scan.image])
    found = lungs_of(replace(scan, image=np.where(body, scan.image, fill).astype(np.int16)))
    assert dice(found, lungs_of(scan)) > 0.999


def test_the_remedy_names_another_region_and_masks() -> None:
    assert "lungmask" in LUNGS.remedy
    assert "{use: file, mask: lung}" in LUNGS.remedy


def test_prediction_warns_of_a_dense_lung_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    dense = with_hu(patient(), side_of(patient(), "right"), DENSE_HU)
    z_mm, row_mm, column_mm = dense.spacing_mm
    affine = np.diag([-column_mm, -row_mm, z_mm, 1.0])
    for name, scan in (("ordinary", patient()), ("dense", dense)):
        write_nifti(tmp_path / f"{name}.nii.gz", scan.image.transpose(2, 1, 0), affine)
    (tmp_path / "cohort.csv").write_text(
        "case,image,split\nordinary,ordinary.nii.gz,train\ndense,dense.nii.gz,test\n"
    )
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    run = train(load_recipe(tmp_path / "recipe.yaml"), tmp_path / "run")
    assert run.predict(tmp_path / "ordinary.nii.gz").warnings == ()
    (warning,) = run.predict(tmp_path / "dense.nii.gz").warnings
    assert warning.startswith("its region lung lacks ")
    assert f"on the patient's right. {LUNGS.remedy}. [implausible-region]" in warning
    checked = CliRunner().invoke(app, ["data", "check", str(tmp_path / "recipe.yaml"), "--json"])
    assert [each["case"] for each in json.loads(checked.output)["findings"]] == ["dense"]
