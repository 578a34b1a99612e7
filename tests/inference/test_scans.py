"""The scans at the paths that a user names are found, and named by a rule."""

from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.dicom_files import SECRET, header, save, series
from wsseg.data.file_digests import image_digest
from wsseg.data.reading import read_case
from wsseg.errors import InputError
from wsseg.inference.scans import find_scans, pseudonyms_of

PATIENTS = {"p1": "ID-4711", "p2": "ID-4712"}
CT = "CT"


def write(folder: Path, slices: int, **values: str) -> None:
    identifier = generate_uid()
    for index in range(slices):
        tags = header(index, identifier)
        for name, value in values.items():
            setattr(tags, name, value)
        save(folder / f"{index}.dcm", tags)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two patients whose studies have folders of the same names, with a thin and a thick series."""
    root = tmp_path / "archive"
    for number, (patient, identifier) in enumerate(PATIENTS.items(), 1):
        values = {"StudyInstanceUID": f"1.2.{number}", "PatientID": identifier, "Modality": CT}
        values["AccessionNumber"] = f"A-{number}"
        for name, slices in (("thin", 5), ("thick", 3)):
            write(root / patient / "CT_Thorax_nativ" / name, slices, **values)
    return root


def names_in(root: Path, rule: str = "path") -> list[str]:
    return [case.name for case in find_scans([root], CT, pseudonyms_of(rule)).cases]


def test_scans_are_named_after_their_folders_below_the_path(archive: Path) -> None:
    assert names_in(archive) == ["p1_CT_Thorax_nativ_thin", "p2_CT_Thorax_nativ_thin"]
    assert names_in(archive / "p1") == ["CT_Thorax_nativ_thin"]
    assert names_in(archive / "p1" / "CT_Thorax_nativ" / "thick") == ["thick"]


def test_skipped_series_are_listed_with_their_reason(archive: Path) -> None:
    found = find_scans([archive], CT)
    assert [(each.folder.name, each.files) for each in found.skipped] == [("thick", 3)] * 2
    assert {each.reason for each in found.skipped} == {
        "another axial series of the study has at least as many slices"
    }


@pytest.mark.parametrize(
    ("column", "rows"),
    [
        ("PatientID", {"ID-4711": "anna", "ID-4712": "bert"}),
        ("AccessionNumber", {"A-1": "anna", "A-2": "bert", "A-3": "cleo"}),
    ],
)
def test_scans_are_named_by_a_table_of_pseudonyms(
    archive: Path, tmp_path: Path, column: str, rows: dict[str, str]
) -> None:
    table = tmp_path / "names.csv"
    lines = [f"{identifier},{name}" for identifier, name in rows.items()]
    table.write_text("\n".join((f"{column},case", *lines)))
    assert names_in(archive, str(table)) == ["anna", "bert"]


def test_several_scans_of_a_pseudonym_are_numbered(archive: Path, tmp_path: Path) -> None:
    table = tmp_path / "names.csv"
    table.write_text("PatientID,case\nID-4711,anna\nID-4712,anna\n")
    cases = find_scans([archive], CT, pseudonyms_of(str(table))).cases
    assert [(case.name, case.patient) for case in cases] == [("anna-1", "anna"), ("anna-2", "anna")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PatientID,case\nID-4711,anna\n", "has no row for the PatientID of this scan"),
        ("case\nanna\n", "must have exactly one of the columns PatientID and AccessionNumber"),
        ("PatientID,case\nID-4711,a\nID-4711,b\n", "line 3: the PatientID appears twice"),
        ("PatientID,case\n,a\n", "line 2: the PatientID is empty"),
        ("PatientID,case\nID-4711,a/b\n", "cannot be used as a file name"),
    ],
)
def test_an_invalid_table_of_pseudonyms_is_refused_without_an_identifier(
    archive: Path, tmp_path: Path, text: str, message: str
) -> None:
    table = tmp_path / "names.csv"
    table.write_text(text)
    with pytest.raises(InputError) as caught:
        names_in(archive, str(table))
    assert message in str(caught.value)
    assert "ID-47" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_unknown_rule_for_names_is_refused() -> None:
    with pytest.raises(InputError, match="--name-by folder: must be path, or a CSV file"):
        pseudonyms_of("folder")


def test_series_in_one_folder_are_different_scans_with_numbered_names(tmp_path: Path) -> None:
    """A flat export: the studies of two patients in one folder."""
    for study in ("1", "2"):
        write(tmp_path / study, 4, StudyInstanceUID=f"1.2.{study}", Modality=CT)
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in [*tmp_path.glob("?/*.dcm")]:
        path.rename(flat / f"{path.parent.name}-{path.name}")
    first, second = find_scans([flat], CT).cases
    assert (first.name, second.name) == ("flat-1", "flat-2")
    assert len(first.files) == len(second.files) == 4
    assert image_digest(first) != image_digest(second)
    changed = pydicom.dcmread(second.files[0])
    changed.RescaleIntercept = 0
    changed.save_as(second.files[0])
    assert (read_case(first).channel() != read_case(second).channel()).any()


def test_shortened_names_of_long_paths_stay_unique(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / ("x" * 80) / ("y" * 80), 4)
    first, second = names_in(tmp_path)
    assert first != second
    assert len(first) == len(second) == 100


def test_the_scans_of_a_real_exported_disc_are_found() -> None:
    """pydicom ships a disc with a DICOMDIR, radiographs, scouts, MR and PET, and two CT scans."""
    disc = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
    found = find_scans([disc], CT)
    scans = {case.name: len(case.files) for case in found.cases}
    assert scans == {"77654033_CT2": 4, "98892001_CT5N": 5}
    reasons = {each.folder.name: each.reason for each in found.skipped}
    assert reasons["CT2N"] == "a scout"
    assert reasons["CR1"] == reasons["MR1"] == "its modality is not CT"
    assert {each.reason for each in found.skipped if each.folder == disc} == {
        "not an image",  # DICOMDIR and the text file
        "a report or another object without an image",  # directories with other names
    }


def test_metadata_files_of_macos_are_neither_nifti_nor_dicom(
    tmp_path: Path, toy_cohort: Path
) -> None:
    scan = (toy_cohort.parent / "7-image.nii.gz").read_bytes()
    (tmp_path / "scan.nii.gz").write_bytes(scan)
    (tmp_path / "._scan.nii.gz").write_bytes(b"\x00\x05\x16\x07" + bytes(4000))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    found = find_scans([tmp_path])
    assert [case.name for case in found.cases] == ["scan"]
    assert [str(each) for each in found.skipped] == [f"{tmp_path}: skipped 2 files: not an image"]


def test_a_folder_without_a_scan_is_refused_with_the_reasons(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, 2)
    with pytest.raises(InputError, match="no images found") as caught:
        find_scans([tmp_path])
    assert "a: skipped 2 files: only 2 slices, as in a scout" in str(caught.value)


@pytest.mark.parametrize("name", ["DICOMDIR", "._scan.nii.gz"])
def test_a_file_that_belongs_to_others_is_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x" * 100)
    with pytest.raises(InputError, match=r"contains no image\. Give the folder of the images"):
        find_scans([tmp_path / name])


@pytest.mark.parametrize(("on_disk", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_scans_are_found_in_both_unicode_forms_of_a_path(
    tmp_path: Path, on_disk: Literal["NFC", "NFD"], asked: Literal["NFC", "NFD"]
) -> None:
    write(tmp_path / normalize(on_disk, "Müller"), 4)
    (case,) = find_scans([tmp_path / normalize(asked, "Müller")]).cases
    assert case.name == normalize("NFC", "Müller")


def test_folders_with_the_same_name_get_different_names_below_their_common_folder(
    tmp_path: Path,
) -> None:
    folders = [series(tmp_path / patient / "CT_nativ") for patient in ("p1", "p2")]
    remedy = "give the folder that contains both, to name them after their folders"
    with pytest.raises(InputError, match=f"are both named CT_nativ; {remedy}"):
        find_scans(folders)
    names = [case.name for case in find_scans([tmp_path]).cases]
    assert names == ["p1_CT_nativ", "p2_CT_nativ"]
