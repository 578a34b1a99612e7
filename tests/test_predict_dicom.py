"""Prediction and preparation of DICOM series with the command line."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from wsseg.data.reading import read_volume

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SECRETS = ("MUSTERMANN", "19700101", "ID-4711")
UP = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS to RAS


def as_dicom(nifti: Path, folder: Path, tilt_degrees: float = 0) -> Path:
    """Write a scan as unordered DICOM slices of HU + 1200, with the identity of a patient.

    With a tilt, the planes are rotated about the x axis around their first pixel.
    """
    tilt = np.deg2rad(tilt_degrees)
    volume = read_volume(nifti)
    z_mm, row_mm, column_mm = volume.spacing_mm
    canonical = volume.grid.affine.copy()
    corner = UP @ canonical @ [*(n - 1 for n in volume.grid.shape[:2]), 0, 1]  # right, front, feet
    series = generate_uid()
    folder.mkdir(parents=True)
    for z, plane in enumerate(volume.channel()):
        tags = pydicom.Dataset()
        tags.PatientName, tags.PatientBirthDate, tags.PatientID = "MUSTERMANN^E", *SECRETS[1:]
        tags.SOPClassUID, tags.SOPInstanceUID = CTImageStorage, generate_uid()
        tags.SeriesInstanceUID = series
        tags.Rows, tags.Columns = plane.shape
        tags.SamplesPerPixel, tags.PhotometricInterpretation = 1, "MONOCHROME2"
        tags.BitsAllocated = tags.BitsStored = 16
        tags.HighBit, tags.PixelRepresentation = 15, 0
        tags.PixelSpacing = [row_mm, column_mm]
        tags.ImageOrientationPatient = [1, 0, 0, 0, f"{np.cos(tilt):.9f}", f"{np.sin(tilt):.9f}"]
        tags.ImagePositionPatient = [*corner[:2], corner[2] + z * z_mm]
        tags.RescaleSlope, tags.RescaleIntercept = 1, -1200
        tags.PixelData = (plane + 1200).astype(np.uint16).tobytes()
        tags.file_meta = pydicom.dataset.FileMetaDataset()
        tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(folder / f"{(7 * z) % 5}.dcm", tags, enforce_file_format=True)
    return folder


@pytest.fixture
def folder(toy_cohort: Path, tmp_path: Path) -> Path:
    return as_dicom(toy_cohort.parent / "6-image.nii.gz", tmp_path / "scans" / "scan-6")


def test_the_mask_of_a_dicom_series_equals_that_of_the_same_scan_as_nifti(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path, folder: Path, tmp_path: Path
) -> None:
    nifti, out = toy_cohort.parent / "6-image.nii.gz", tmp_path / "out"
    ended = wsseg("predict", trained, folder.parent, nifti, "--out", out)
    assert ended.code == 0, ended.err
    series, file = read_volume(out / "scan-6.nii.gz"), read_volume(out / "6-image.nii.gz")
    assert file.channel().any()
    assert np.array_equal(series.channel(), file.channel())
    assert np.array_equal(series.grid.affine, read_volume(folder).grid.affine)
    right_front_feet = [0, 0, 0, 1], [39, 35, 0, 1]  # voxels of the series (LPS) and the file (RAS)
    places = [
        read_volume(out / name).grid.affine @ voxel
        for name, voxel in zip(("scan-6.nii.gz", "6-image.nii.gz"), right_front_feet, strict=True)
    ]
    assert np.allclose(places[0], places[1])


def test_the_mask_of_a_tilted_series_has_the_affine_and_volume_of_the_scan(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    nifti, tilt = toy_cohort.parent / "6-image.nii.gz", np.deg2rad(30)
    folder, out = as_dicom(nifti, tmp_path / "tilted", tilt_degrees=30), tmp_path / "out"
    ended = wsseg("predict", trained, folder, "--out", out)
    assert ended.code == 0, ended.err
    mask, (z_mm, row_mm, column_mm) = (
        read_volume(out / "tilted.nii.gz"),
        read_volume(nifti).spacing_mm,
    )
    expected = np.zeros((3, 3))  # steps of a column, a row and a slice in RAS
    expected[:, 0] = -column_mm, 0, 0
    expected[:, 1] = 0, -row_mm * np.cos(tilt), row_mm * np.sin(tilt)
    expected[:, 2] = 0, 0, z_mm
    assert np.allclose(mask.grid.affine[:3, :3], expected, rtol=1e-6, atol=1e-8)
    scan = read_volume(folder).grid.affine
    assert np.allclose(mask.grid.affine, scan, rtol=2.0**-24, atol=1e-30)
    with (out / "scores.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    voxel_ml = z_mm * row_mm * column_mm * np.cos(tilt) / 1000
    infection = (mask.channel() > 0).sum()
    assert infection > 0
    assert float(row["infection_ml"]) == pytest.approx(voxel_ml * infection)


def test_no_output_contains_the_identity_of_the_patient(
    wsseg: "Wsseg", trained: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = wsseg("predict", trained, folder, "--out", out)
    texts = [ended.out, ended.err, *(path.name for path in out.rglob("*"))]
    texts += [path.read_bytes().decode("latin-1") for path in out.rglob("*") if path.is_file()]
    assert not [text for text in texts for secret in SECRETS if secret in text]


def with_identifiers(folder: Path) -> Path:
    """Add the identifiers that a segmentation refers to."""
    for path in folder.iterdir():
        tags = pydicom.dcmread(path)
        tags.StudyInstanceUID, tags.FrameOfReferenceUID = "1.2.3", "1.2.4"
        tags.save_as(path)
    return folder


def test_the_mask_of_a_series_is_also_written_as_dicom_segmentation(
    wsseg: "Wsseg", trained: Path, folder: Path, tmp_path: Path
) -> None:
    hd = pytest.importorskip("highdicom", reason="highdicom is not installed; extra: dicom-seg")
    out, codes = tmp_path / "out", tmp_path / "codes.csv"
    codes.write_text("class,category,type\ninfection,SCT:1:Altered,SCT:2:Opacity\n")
    words = ("predict", trained, with_identifiers(folder), "--out", out, "--write", "dicom-seg")
    ended = wsseg(*words, "--codes", codes)
    assert ended.code == 0, ended.err
    read, mask = (
        hd.seg.segread(out / "dicom-seg" / "scan-6.dcm"),
        read_volume(out / "scan-6.nii.gz"),
    )
    sources = sorted(
        map(pydicom.dcmread, folder.iterdir()), key=lambda s: s.ImagePositionPatient[2]
    )
    planes = read.get_pixels_by_source_instance(
        [source.SOPInstanceUID for source in sources],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    assert set(np.unique(planes)) == {0, 1, 2}
    assert np.array_equal(planes, mask.channel())
    infection, consolidation = map(read.get_segment_description, (1, 2))
    assert (infection.segment_label, consolidation.segment_label) == ("infection", "consolidation")
    assert infection.segmented_property_type.meaning == "Opacity"
    assert consolidation.segmented_property_type.meaning == "Tissue"
    assert str(read.PatientName) == "MUSTERMANN^E"
    texts = [ended.out, ended.err, *(path.name for path in out.rglob("*"))]
    assert not [text for text in texts for secret in SECRETS if secret in text]


def test_dicom_segmentations_of_nifti_scans_are_refused_before_anything_is_predicted(
    wsseg: "Wsseg", trained: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    scan, out = toy_cohort.parent / "6-image.nii.gz", tmp_path / "out"
    ended = wsseg("predict", trained, scan, "--out", out, "--write", "dicom-seg")
    ended.refused("6-image.nii.gz is a NIfTI file", "needs a DICOM series", "Give the folder")
    assert not out.exists()
    ended = wsseg("predict", trained, scan, "--out", out, "--codes", "codes.csv")
    ended.refused("add --write dicom-seg")


def test_a_series_with_a_missing_slice_is_refused(
    wsseg: "Wsseg", trained: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "4.dcm").unlink()  # the third of five
    ended = wsseg("predict", trained, folder, "--out", tmp_path / "out")
    ended.refused("case scan-6: ", "are 10 mm apart")
    assert not (tmp_path / "out").exists()


def test_a_cohort_of_dicom_series_is_prepared(
    wsseg: "Wsseg", toy_cohort: Path, toy_text: str, tmp_path: Path
) -> None:
    rows = toy_cohort.read_text().splitlines()
    for number in range(8):
        as_dicom(toy_cohort.parent / f"{number}-image.nii.gz", tmp_path / "s" / str(number))
    lines = [row.replace("mask.infection,mask.consolidation,", "") for row in rows[:1]]
    for number, row in enumerate(rows[1:]):
        case, patient, split, *_, tag = row.split(",")
        lines.append(f"{case},{patient},{split},s/{number},{tag}")
    (tmp_path / "cohort.csv").write_text("\n".join(lines) + "\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(toy_text.replace(str(toy_cohort), str(tmp_path / "cohort.csv")))
    ended = wsseg("data", "prepare", recipe)
    assert ended.code == 0, ended.err
    assert "8 scans prepared" in ended.out


@pytest.fixture
def archive(toy_cohort: Path, tmp_path: Path) -> Path:
    """Return a folder as a hospital exports it: two patients with a scan each and other files."""
    root = tmp_path / "archive"
    for patient in ("p1", "p2"):
        study = root / patient / "CT_Thorax_nativ"
        as_dicom(toy_cohort.parent / "6-image.nii.gz", study / "axial")
        scout = as_dicom(toy_cohort.parent / "6-image.nii.gz", study / "scout")
        for path in scout.iterdir():
            tags = pydicom.dcmread(path)
            tags.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            tags.save_as(path)
        (study / "axial" / "._0.dcm").write_bytes(b"\x00\x05\x16\x07" + bytes(99))
    (root / ".DS_Store").write_bytes(b"x")
    return root


def test_all_scans_of_an_archive_are_predicted_and_the_other_files_listed(
    wsseg: "Wsseg", trained: Path, archive: Path, tmp_path: Path
) -> None:
    ended = wsseg("predict", trained, archive, "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    names = [f"{patient}_CT_Thorax_nativ_axial.nii.gz" for patient in ("p1", "p2")]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == names
    assert f"{archive}: skipped 3 files: not an image" in ended.err
    for patient in ("p1", "p2"):
        scout = archive / patient / "CT_Thorax_nativ" / "scout"
        assert f"{scout}: skipped 5 files: a scout" in ended.err


def test_an_archive_is_predicted_and_checked_under_pseudonyms(
    wsseg: "Wsseg", trained: Path, archive: Path, tmp_path: Path
) -> None:
    names, out = tmp_path / "names.csv", tmp_path / "out"
    names.write_text("PatientID,case\nID-4711,anna\n")
    ended = wsseg("predict", trained, archive, "--out", out, "--name-by", names)
    assert ended.code == 0, ended.err
    masks = sorted(path.name for path in out.glob("*.nii.gz"))
    assert masks == ["anna-1.nii.gz", "anna-2.nii.gz"]
    checked = wsseg("data", "check", archive, "--name-by", names, "--json")
    assert "anna-1" in checked.out
    assert "skipped 5 files: a scout" in checked.out
    texts = [ended.out, ended.err, checked.out, checked.err]
    assert not [text for text in texts for secret in SECRETS if secret in text]


def test_names_for_the_cases_of_a_table_are_refused(wsseg: "Wsseg", toy_cohort: Path) -> None:
    ended = wsseg("data", "check", toy_cohort, "--name-by", "names.csv")
    ended.refused("not a folder of images")


def test_a_row_of_a_table_may_name_the_folder_of_a_study(
    wsseg: "Wsseg", trained: Path, archive: Path, tmp_path: Path
) -> None:
    table, out = archive / "cohort.csv", tmp_path / "out"
    table.write_text("case,image\nanna,p1/CT_Thorax_nativ\nbert,p2\n")
    ended = wsseg("predict", trained, table, "--out", out)
    assert ended.code == 0, ended.err
    assert "skipped 5 files: a scout" in ended.err
    anna, bert = (read_volume(out / f"{name}.nii.gz") for name in ("anna", "bert"))
    assert np.array_equal(anna.channel(), bert.channel())
    checked = wsseg("data", "check", table, "--accept", "duplicate-scan")
    assert checked.code == 0, checked.out
    assert "skipped-files" in checked.out


def test_studies_whose_files_differ_only_in_subfolders_have_different_masks(
    wsseg: "Wsseg", trained: Path, archive: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    """The keys of the cache depend on the files at any depth below the folder of a case."""
    other = as_dicom(toy_cohort.parent / "7-image.nii.gz", tmp_path / "other")
    axial = archive / "p2" / "CT_Thorax_nativ" / "axial"
    for path in axial.iterdir():
        path.unlink()
    for path in other.iterdir():
        path.rename(axial / path.name)
    table, out = archive / "cohort.csv", tmp_path / "out"
    table.write_text("case,image\nanna,p1\nbert,p2\n")
    ended = wsseg("predict", trained, table, "--out", out)
    assert ended.code == 0, ended.err
    single = wsseg("predict", trained, axial, "--out", tmp_path / "single")
    assert single.code == 0, single.err
    bert = read_volume(out / "bert.nii.gz").channel()
    assert np.array_equal(bert, read_volume(tmp_path / "single" / "axial.nii.gz").channel())
    assert not np.array_equal(bert, read_volume(out / "anna.nii.gz").channel())
