"""Prediction of single scans: the geometry of masks, scores, and errors."""

import csv
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import nibabel as nib
import numpy as np
import pytest
from nibabel import orientations
from numpy.typing import NDArray

from wsseg.data.nifti import open_nifti
from wsseg.inference.scans import case_of

if TYPE_CHECKING:
    from tests.conftest import Wsseg


def scan(
    path: Path, axes: str = "RAS", shape: tuple[int, int, int] = (40, 36, 5), z_mm: float = 5
) -> nib.Nifti1Image:
    """Write a scan with an off-centre disc and a brighter core, whose axes run to `axes`."""
    x, y = np.ogrid[: shape[0], : shape[1]]
    side = min(shape[:2]) / 36
    distance = np.hypot(x - 16 * side, y - 17 * side)[..., None] / side + np.zeros(shape[2])
    array = np.where(distance < 5, 0, np.where(distance < 11, -500, -900)).astype(np.int16)
    affine = np.diag([-2.0, -2.0, z_mm, 1.0])  # LPS
    affine[:3, 3] = 31.7, 12.3, -401.1
    image = nib.Nifti1Image(array, affine)
    have = orientations.io_orientation(affine)
    turn = orientations.ornt_transform(have, orientations.axcodes2ornt(axes))
    nib.save(image.as_reoriented(turn), path)
    return open_nifti(path)


def predicted(wsseg: "Wsseg", run: Path, out: Path, *scans: Path) -> Path:
    ended = wsseg("predict", run, *scans, "--out", out)
    assert ended.code == 0, ended.err
    return out


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "scores.csv").open(newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def voxels(path: Path) -> NDArray[Any]:
    return np.asarray(open_nifti(path).dataobj)


def canonical(path: Path) -> NDArray[Any]:
    return np.asarray(nib.as_closest_canonical(open_nifti(path)).dataobj)


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize(
    ("axes", "shape", "z_mm"),
    [
        ("RAS", (40, 36, 5), 5),
        ("LPS", (40, 36, 5), 5),
        ("PIR", (40, 36, 5), 5),
        ("ASL", (40, 36, 5), 5),
        ("LPS", (40, 36, 17), 1.25),
        ("RAI", (71, 53, 3), 8),
    ],
)
def test_a_mask_has_the_grid_and_the_location_of_its_scan(
    wsseg: "Wsseg",
    trained: Path,
    tmp_path: Path,
    axes: str,
    shape: tuple[int, int, int],
    z_mm: float,
) -> None:
    image = scan(tmp_path / "a scan.nii.gz", axes, shape, z_mm)
    path = predicted(wsseg, trained, tmp_path / "out", tmp_path / "a scan.nii.gz") / "a scan.nii.gz"
    mask = open_nifti(path)
    assert mask.shape == image.shape
    assert np.array_equal(mask.affine, image.affine)
    assert mask.header.get_zooms() == image.header.get_zooms()
    assert nib.aff2axcodes(mask.affine) == tuple(axes)
    assert mask.get_data_dtype() == np.uint8
    found, truth = voxels(path), np.asarray(image.dataobj)
    assert set(np.unique(found)) == {0, 1, 2}
    assert dice(found > 0, truth > -700) > 0.9
    assert dice(found == 2, truth > -250) > 0.8


def test_the_mask_does_not_depend_on_the_orientation_of_the_file(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for axes in ("RAS", "LPS", "PIR"):
        scan(tmp_path / "in" / f"{axes}.nii.gz", axes)
    out = predicted(wsseg, trained, tmp_path / "out", tmp_path / "in")
    ras = canonical(out / "RAS.nii.gz")
    assert (ras == 2).any()
    for axes in ("LPS", "PIR"):
        assert np.array_equal(canonical(out / f"{axes}.nii.gz"), ras)


def test_an_affine_given_only_by_the_qform_is_kept(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    """Rotated by 10 degrees, with a qform and no sform, as some scanners write it."""
    image = scan(tmp_path / "other.nii.gz")
    angle = np.deg2rad(10)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    tilted = nib.Nifti1Image(np.asarray(image.dataobj), None)
    tilted.set_qform(turn @ image.affine, code="scanner")
    nib.save(tilted, tmp_path / "tilted.nii.gz")
    read = open_nifti(tmp_path / "tilted.nii.gz")
    out = predicted(wsseg, trained, tmp_path / "out", tmp_path / "tilted.nii.gz")
    assert np.array_equal(open_nifti(out / "tilted.nii.gz").affine, read.affine)


@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
def test_the_mask_of_a_sheared_scan_has_its_affine_and_true_volumes(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, image_class: type[nib.Nifti1Image]
) -> None:
    """As if the gantry had been tilted by 15 degrees. Voxels are 2 x 2 x 5 mm: 0.02 ml."""
    image = scan(tmp_path / "straight.nii.gz")
    affine = np.array(image.affine)
    affine[1, 2] = 5 * np.tan(np.deg2rad(15))
    nib.save(image_class(np.asarray(image.dataobj), affine), tmp_path / "sheared.nii.gz")
    read = open_nifti(tmp_path / "sheared.nii.gz")
    out = predicted(wsseg, trained, tmp_path / "out", tmp_path / "sheared.nii.gz")
    mask = open_nifti(out / "sheared.nii.gz")
    assert type(mask) is image_class
    assert np.array_equal(mask.affine, read.affine)
    infection = (voxels(out / "sheared.nii.gz") > 0).sum()
    assert infection > 0
    assert float(table(out)["sheared"]["infection_ml"]) == pytest.approx(0.02 * infection)


def test_scores_and_volumes_agree_with_the_voxels_of_the_mask(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    """Voxels of 2 x 2 x 2.5 mm are 0.01 ml. Classes are nested: 2 lies inside 1."""
    scan(tmp_path / "thin.nii.gz", "LPS", (40, 36, 9), 2.5)
    out = predicted(wsseg, trained, tmp_path / "out", tmp_path / "thin.nii.gz")
    found, row = voxels(out / "thin.nii.gz"), table(out)["thin"]
    consolidation, infection = (found == 2).sum(), (found > 0).sum()
    assert set(row) == {"case", "share", "infection_ml", "consolidation_ml"}
    assert float(row["consolidation_ml"]) == pytest.approx(0.01 * consolidation)
    assert float(row["infection_ml"]) == pytest.approx(0.01 * infection)
    assert float(row["share"]) == pytest.approx(consolidation / infection)


def test_all_scans_of_a_folder_are_predicted(wsseg: "Wsseg", trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("b.nii.gz", "a.nii", "c.nii.gz"):
        scan(folder / name)
    (folder / "c.nii.gz").rename(folder / "c.NII.GZ")
    (folder / "notes.txt").write_text("not a scan")
    out = predicted(wsseg, trained, tmp_path / "out", folder)
    assert {path.name for path in out.iterdir()} == {
        "a.nii.gz", "b.nii.gz", "c.nii.gz", "predicted.jsonl", "scores.csv"
    }  # fmt: skip
    assert list(table(out)) == ["a", "b", "c"]


def test_predicting_a_scan_twice_writes_equal_files(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    scan(tmp_path / "scan.nii.gz")
    first = predicted(wsseg, trained, tmp_path / "first", tmp_path / "scan.nii.gz")
    again = predicted(wsseg, trained, tmp_path / "again", tmp_path / "scan.nii.gz")
    for name in ("scan.nii.gz", "scores.csv"):
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_an_invalid_header_is_refused_before_the_first_prediction(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    scan(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").write_bytes(b"")
    ended = wsseg("predict", trained, tmp_path / "a.nii.gz", tmp_path / "b.nii.gz",
                  "--out", tmp_path / "out")  # fmt: skip
    assert ended.code == 2
    assert ended.error.startswith("case b: ")
    assert not (tmp_path / "out").exists()


def test_an_invalid_scan_does_not_prevent_the_other_masks(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "c"):
        scan(folder / f"{name}.nii.gz")
    nib.save(nib.Nifti1Image(np.full((8, 8, 4), np.nan, np.float32), np.eye(4)), folder / "b.nii")
    ended = wsseg("predict", trained, folder, "--out", tmp_path / "out")
    assert ended.code == 2
    assert ended.error.startswith("1 of 3 scans have no mask; case b: ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a.nii.gz", "c.nii.gz", "predicted.jsonl", "scores.csv"
    }  # fmt: skip
    assert list(table(tmp_path / "out")) == ["a", "c"]


def test_a_scan_is_not_overwritten_by_its_mask(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    scan(tmp_path / "scan.nii.gz")
    before = (tmp_path / "scan.nii.gz").read_bytes()
    ended = wsseg("predict", trained, tmp_path, "--out", tmp_path)
    assert ended.code == 2
    assert "would overwrite it" in ended.error
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]
    assert (tmp_path / "scan.nii.gz").read_bytes() == before


def test_two_scans_with_the_same_name_are_refused(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    scan(tmp_path / "scan.nii.gz")
    scan(tmp_path / "scan.nii")
    ended = wsseg("predict", trained, tmp_path, "--out", tmp_path / "out")
    assert ended.code == 2
    assert "are both named scan" in ended.error


def test_a_folder_without_scans_is_refused(wsseg: "Wsseg", trained: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    ended = wsseg("predict", trained, tmp_path / "in", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "no images found" in ended.error


def test_a_file_name_that_is_too_long_is_an_input_error(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    ended = wsseg("predict", trained, f"{'x' * 300}.nii.gz", "--out", tmp_path / "out")
    assert ended.code == 2
    assert "File name too long" in ended.error


def test_a_cycle_of_links_is_refused_as_output_folder(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    scan(tmp_path / "scan.nii.gz")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    ended = wsseg("predict", trained, tmp_path / "scan.nii.gz", "--out", tmp_path / "a")
    assert ended.code == 2
    assert "give a folder" in ended.error


def test_a_file_is_refused_as_output_folder(wsseg: "Wsseg", trained: Path, tmp_path: Path) -> None:
    scan(tmp_path / "scan.nii.gz")
    (tmp_path / "taken").write_text("")
    for out in ("taken", "taken/masks"):
        ended = wsseg("predict", trained, tmp_path / "scan.nii.gz", "--out", tmp_path / out)
        assert ended.code == 2
        assert "give a folder" in ended.error


def test_a_run_is_refused_as_output_folder_since_its_scores_would_be_overwritten(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path
) -> None:
    scan = toy_cohort.parent / "0-image.nii.gz"
    before = sorted(path.name for path in trained.iterdir())
    wsseg("predict", trained, scan, "--out", trained).refused(
        "is the folder of a run", "another --out"
    )
    assert sorted(path.name for path in trained.iterdir()) == before


def test_a_run_predicts_without_the_files_that_show_data_of_patients(
    wsseg: "Wsseg", toy_cohort: Path, trained: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    for pattern in ("recipe.yaml", "stages/*/stage.json", "stages/*/weights.safetensors"):
        for path in trained.glob(pattern):
            copy = shared / path.relative_to(trained)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    recipe = (shared / "recipe.yaml").read_text().replace(str(toy_cohort), "cohort.csv")
    (shared / "recipe.yaml").write_text(recipe)
    scan(tmp_path / "a.nii.gz")
    for run, out in ((trained, "complete"), (shared, "partial")):
        predicted(wsseg, run, tmp_path / out, tmp_path / "a.nii.gz")
    first, second = (tmp_path / out / "a.nii.gz" for out in ("complete", "partial"))
    assert first.read_bytes() == second.read_bytes()
    assert voxels(first).any()
    texts = [path.read_bytes() for path in shared.rglob("*") if path.is_file()]
    assert not [text for text in texts if b"case-0" in text or bytes(toy_cohort.parent) in text]


def test_a_scan_is_named_in_one_unicode_form(tmp_path: Path) -> None:
    assert case_of(tmp_path / normalize("NFD", "Müller.nii.gz")).name == "Müller"


def test_predict_gives_the_geometry_warnings_of_data_check(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    image = scan(tmp_path / "good.nii.gz")
    array = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "none.nii.gz")
    nib.save(nib.Nifti1Image(array, np.diag([-1, -1, 1, 1])), tmp_path / "itk.nii.gz")
    spacing_only = nib.Nifti1Image(array, image.affine)
    spacing_only.set_sform(None, code=0)
    spacing_only.set_qform(image.affine, code=0)
    nib.save(spacing_only, tmp_path / "spacing.nii.gz")
    two = nib.Nifti1Image(array, image.affine)
    moved = image.affine.copy()
    moved[0, 3] += 195
    two.set_qform(moved, code="scanner")
    nib.save(two, tmp_path / "two.nii.gz")

    checked = json.loads(wsseg("data", "check", tmp_path, "--json").out)["findings"]
    warnings = {
        each["case"]: f"{each['what']}. {each['remedy']}. [{each['name']}]"
        for each in checked
        if each["name"] in ("no-geometry", "two-affines")
    }
    assert set(warnings) == {"none", "itk", "spacing", "two"}
    assert "lie 195 mm apart" in warnings["two"]

    for _ in range(2):  # the second time, masks are kept
        ended = wsseg("predict", trained, tmp_path, "--out", tmp_path / "out")
        assert ended.code == 0, ended.err
        for name, text in warnings.items():
            assert f"warning: case {name}: {text}" in ended.err
        found = {name: row["warnings"] for name, row in table(tmp_path / "out").items()}
        assert found == {"good": ""} | warnings


def test_without_a_warning_the_scores_have_no_column_of_warnings(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    scan(tmp_path / "good.nii.gz")
    folder = predicted(wsseg, trained, tmp_path / "out", tmp_path / "good.nii.gz")
    assert "warnings" not in table(folder)["good"]
