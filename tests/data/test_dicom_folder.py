"""The scan of a study is found among all the files below a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, SecondaryCaptureImageStorage, generate_uid

from tests.dicom_files import COLUMNS, ROWS, SECRET, Change, header, save, series
from wsseg.data.dicom_folder import Skipped, choose_scans, find_series
from wsseg.data.dicom_series import open_series
from wsseg.data.reading import read_volume
from wsseg.errors import InputError

STUDY = "1.2.840.1"
CORONAL, SAGITTAL = (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)


def write(
    folder: Path, slices: int, change: Change = lambda _: None, identifier: str | None = None
) -> Path:
    """Write a series of the study, with slices along its normal; `change` modifies each."""
    identifier = identifier or generate_uid()
    for index in range(slices):
        tags = header(index, identifier)
        tags.StudyInstanceUID, tags.Modality = STUDY, "CT"
        change(tags)
        if "ImageOrientationPatient" in tags:
            along_row, along_column = np.reshape(tags.ImageOrientationPatient, (2, 3))
            position = index * np.cross(along_row, along_column)
            tags.ImagePositionPatient = [float(value) for value in position]
        save(folder / f"{index}.dcm", tags)
    return folder


def in_plane(orientation: tuple[int, ...]) -> Change:
    def turn(tags: pydicom.Dataset) -> None:
        tags.ImageOrientationPatient = list(orientation)

    return turn


def as_scout(tags: pydicom.Dataset) -> None:
    tags.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def of_modality(name: str) -> Change:
    def change(tags: pydicom.Dataset) -> None:
        tags.Modality = name

    return change


def as_colour(tags: pydicom.Dataset) -> None:
    tags.SamplesPerPixel = 3


def as_screenshot(tags: pydicom.Dataset) -> None:
    tags.SOPClassUID = SecondaryCaptureImageStorage
    del tags.ImageOrientationPatient, tags.ImagePositionPatient


def as_dose_report(tags: pydicom.Dataset) -> None:
    tags.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.88.67")


def as_directory(path: Path) -> None:
    """Write a DICOMDIR, which names the directory class only in its file header."""
    tags = pydicom.Dataset()
    tags.FileSetID, tags.FileSetConsistencyFlag = "X", 0
    tags.DirectoryRecordSequence = []
    tags.file_meta = pydicom.dataset.FileMetaDataset()
    tags.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.1.3.10")
    tags.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    tags.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    pydicom.dcmwrite(path, tags, enforce_file_format=True)


def as_damaged_directory(path: Path) -> None:
    as_directory(path)
    path.write_bytes(path.read_bytes()[:140] + b"\xff" * 40)


def write_side_file(path: Path) -> None:
    path.write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(4000))


def write_text(path: Path) -> None:
    path.write_text("anything")


@pytest.mark.parametrize(
    ("name", "write_file"),
    [
        ("DICOMDIR", as_directory),
        ("DICOMDIR", as_damaged_directory),
        ("dicomdir", as_damaged_directory),
        ("._a.dcm", write_side_file),
        ("._DICOMDIR", write_side_file),
        ("Thumbs.db", write_text),
        (".DS_Store", write_text),
        ("report.pdf", write_text),
    ],
)
def test_files_that_are_not_images_are_skipped_and_counted(
    tmp_path: Path, name: str, write_file: Callable[[Path], None]
) -> None:
    folder = series(tmp_path / "s")
    write_file(folder / name)
    (skipped,) = open_series(folder).skipped
    assert skipped.what.startswith("skipped 1 file: ")
    assert name not in str(skipped)
    assert read_volume(folder).channel().shape == (4, ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("slices", "change", "reason"),
    [
        (9, as_scout, "a scout"),
        (9, in_plane(CORONAL), "a reformat or another series with coronal slices"),
        (9, in_plane(SAGITTAL), "a reformat or another series with sagittal slices"),
        (9, as_colour, "no slices: its images have no position, or are in colour"),
        (9, as_screenshot, "a screenshot"),
        (1, as_dose_report, "a report or another object without an image"),
        (2, in_plane((1, 0, 0, 0, 1, 0)), "only 2 slices, as in a scout"),
        (4, in_plane((1, 0, 0, 0, 1, 0)), "another axial series of the study"),
    ],
)
def test_the_axial_series_with_the_most_slices_is_the_scan_of_a_study(
    tmp_path: Path, slices: int, change: Change, reason: str
) -> None:
    write(tmp_path / "a" / "b" / "scan", 5)
    other = write(tmp_path / "a" / "other", slices, change)
    scan = open_series(tmp_path)
    assert {path.parent.name for path in scan.files} == {"scan"}
    assert scan.shape == (COLUMNS, ROWS, 5)
    (skipped,) = scan.skipped
    assert skipped.folder == other
    assert skipped.files == slices
    assert reason in skipped.reason


def test_slices_that_a_program_saved_as_secondary_capture_are_read(tmp_path: Path) -> None:
    def as_capture(tags: pydicom.Dataset) -> None:
        tags.SOPClassUID = SecondaryCaptureImageStorage

    write(tmp_path, 4, as_capture)
    assert open_series(tmp_path).shape == (COLUMNS, ROWS, 4)


def test_a_tilted_series_is_axial(tmp_path: Path) -> None:
    c, s = np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))
    tilted = in_plane((1, 0, 0, 0, round(c, 9), round(s, 9)))
    write(tmp_path / "scan", 5, tilted)
    write(tmp_path / "other", 3)
    assert {path.parent.name for path in open_series(tmp_path).files} == {"scan"}


def test_a_series_in_several_folders_is_one_scan(tmp_path: Path) -> None:
    identifier = generate_uid()
    write(tmp_path / "x" / "a", 5, identifier=identifier)
    (tmp_path / "x" / "b").mkdir()
    for name in ("3.dcm", "4.dcm"):
        (tmp_path / "x" / "a" / name).rename(tmp_path / "x" / "b" / name)
    (found,), _ = find_series(tmp_path)
    assert found.folder == tmp_path / "x"
    assert read_volume(tmp_path).channel().shape == (5, ROWS, COLUMNS)


def test_a_single_series_is_the_scan_whatever_its_plane(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", 2, in_plane(CORONAL))
    assert open_series(tmp_path).shape == (COLUMNS, ROWS, 2)


def test_series_of_another_modality_are_skipped(tmp_path: Path) -> None:
    write(tmp_path / "pet", 9, of_modality("PT"))
    write(tmp_path / "scan", 5)
    found, _ = find_series(tmp_path)
    chosen, skipped = choose_scans(found, "CT")
    assert [scan.folder.name for scan in chosen] == ["scan"]
    assert skipped == [Skipped(tmp_path / "pet", 9, "its modality is not CT")]


def test_sequences_of_mr_do_not_replace_each_other(tmp_path: Path) -> None:
    """They show different quantities, so that the number of slices says nothing."""
    for name, slices in (("t1", 4), ("flair", 5)):
        write(tmp_path / name, slices, of_modality("MR"))
    chosen, skipped = choose_scans(find_series(tmp_path)[0])
    assert ([scan.folder.name for scan in chosen], skipped) == (["flair", "t1"], [])
    with pytest.raises(InputError, match=r"belong to 2 different series: 5 .* 4 ") as caught:
        open_series(tmp_path)
    assert "Put each series into its own folder" in str(caught.value)


def test_a_folder_without_any_suitable_series_is_refused_with_the_reasons(tmp_path: Path) -> None:
    write(tmp_path / "scout", 9, as_scout)
    write(tmp_path / "coronal", 9, in_plane(CORONAL))
    with pytest.raises(InputError, match="none of its 2 series is a scan") as caught:
        open_series(tmp_path)
    assert "coronal slices; a scout" in str(caught.value)


def test_an_unreadable_file_is_refused_and_not_skipped(tmp_path: Path) -> None:
    write(tmp_path / "scan", 5)
    write(tmp_path / "other", 3)
    (tmp_path / "scan" / "4.dcm").write_bytes(b"x" * 99)
    with pytest.raises(InputError, match=r"4.dcm: not a DICOM image"):
        find_series(tmp_path)


def test_reasons_quote_nothing_from_the_files(tmp_path: Path) -> None:
    write(tmp_path / "a", 5)

    def careless(tags: pydicom.Dataset) -> None:
        tags.Modality = tags.SeriesDescription = SECRET[:10]

    write(tmp_path / "b", 5, careless)
    _, skipped = choose_scans(find_series(tmp_path)[0], "CT")
    assert skipped
    assert not [each for each in skipped if SECRET[:10] in str(each)]


def test_a_folder_that_contains_a_link_to_itself_is_searched_once(tmp_path: Path) -> None:
    write(tmp_path / "scan", 5)
    (tmp_path / "scan" / "again").symlink_to(tmp_path)
    assert open_series(tmp_path).shape == (COLUMNS, ROWS, 5)


def test_a_scout_in_the_series_of_a_scan_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, 4, identifier="1.2.3")
    scout = header(0, "1.2.3")
    scout.StudyInstanceUID, scout.Modality = STUDY, "CT"
    scout.ImageOrientationPatient = list(CORONAL)
    as_scout(scout)
    save(tmp_path / "scout.dcm", scout)
    opened = open_series(tmp_path)
    assert opened.shape[2] == 4
    assert opened.skipped == (Skipped(tmp_path, 1, "a scout"),)


def test_files_that_may_be_lost_slices_are_listed_with_their_reason(tmp_path: Path) -> None:
    write(tmp_path, 4)
    (tmp_path / "IM4").touch()
    (tmp_path / "5.dcm").symlink_to(tmp_path / "nowhere.dcm")
    assert {each.what for each in open_series(tmp_path).skipped} == {
        "skipped 1 file: empty; if it was a slice, copy it again",
        "skipped 1 file: a link to a missing file",
    }


def test_an_empty_dicom_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 4)
    (tmp_path / "5.dcm").touch()
    with pytest.raises(
        InputError, match=r"5\.dcm: the file is empty\. Copy it again, or remove it\."
    ):
        open_series(tmp_path)
