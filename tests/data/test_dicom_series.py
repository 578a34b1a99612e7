"""A folder of DICOM slices is read as one scan, or refused with one error."""

import warnings
from pathlib import Path
from shutil import copytree
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from tests.dicom_files import (
    COLUMNS,
    ROWS,
    SECRET,
    Change,
    header,
    save,
    series,
    stored_values,
)
from wsseg.components.cohorts import Table
from wsseg.core.case import Case
from wsseg.core.input import Input
from wsseg.data import dicom, dicom_file, dicom_pixels, voxels
from wsseg.data.dicom_series import open_series
from wsseg.data.mask_files import write_mask
from wsseg.data.prepare import prepare
from wsseg.data.reading import read_grid, read_volume
from wsseg.errors import InputError
from wsseg.inference.scans import find_scans

REAL = Path(__file__).resolve().parents[2] / "../shared/data/dicom-small"


def check_refused(folder: Path, *expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read_volume(folder)
    text = str(caught.value)
    assert all(words in text for words in expected), text
    assert len(text.splitlines()) <= 3
    assert "MUSTERMANN" not in text


def test_slices_are_sorted_by_position_and_rescaled(tmp_path: Path) -> None:
    volume = read_volume(series(tmp_path / "s"))
    assert volume.channel().shape == (4, ROWS, COLUMNS)
    assert volume.channel().dtype == np.int16
    for index, plane in enumerate(volume.channel()):
        assert np.array_equal(plane, 2 * stored_values(index) - 1024)
    assert volume.spacing_mm == (2.5, 0.75, 0.5)


def test_the_affine_is_that_of_the_standard_in_ras(tmp_path: Path) -> None:
    """Voxel (column 5, row 3, slice 2) lies at LPS (10 + 5 x 0.5, 20 + 3 x 0.75, 30 + 2 x 2.5)."""
    grid = read_grid(series(tmp_path / "s"))
    assert grid.shape == (COLUMNS, ROWS, 4)
    assert (grid.affine @ [5, 3, 2, 1]).tolist() == [-12.5, -22.25, 35.0, 1.0]
    assert nib.aff2axcodes(grid.affine) == ("L", "P", "S")


def test_coronal_slices_are_brought_to_the_axial_view(tmp_path: Path) -> None:
    """The rows of these slices run down, so that their normal points to the back."""
    identifier = generate_uid()
    for index in range(3):
        tags = header(index, identifier)
        tags.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        tags.ImagePositionPatient = [0, 2.5 * index, 0]
        save(tmp_path / "s" / f"{index}.dcm", tags)
    volume = read_volume(tmp_path / "s")
    assert volume.channel().shape == (ROWS, 3, COLUMNS)  # z, front to back, right to left
    assert volume.spacing_mm == (0.75, 2.5, 0.5)
    expected = [2 * stored_values(index)[::-1] - 1024 for index in range(3)]  # last row lowest
    assert np.array_equal(volume.channel(), np.stack(expected, axis=1))


def test_a_tilted_gantry_shears_the_affine(tmp_path: Path) -> None:
    identifier = generate_uid()
    for index in range(3):
        tags = header(index, identifier)
        tags.ImagePositionPatient = [0, 0.5 * index, 2.5 * index]
        save(tmp_path / "s" / f"{index}.dcm", tags)
    affine = read_grid(tmp_path / "s").affine
    assert affine[:3, 2].tolist() == [0, -0.5, 2.5]


def tilted_axes(degrees: float) -> tuple[list[float], list[float]]:
    """Return ImageOrientationPatient and the normal of a gantry tilted about the x axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return [1, 0, 0, 0, c, s], [0, -s, c]


@pytest.mark.parametrize(("degrees", "drift_mm"), [(1, 0), (30, 0), (-15, 0), (0, 0.02), (0, 0.2)])
def test_a_mask_of_a_tilted_or_drifting_series_gets_the_affine_of_the_series(
    tmp_path: Path, degrees: float, drift_mm: float
) -> None:
    identifier = generate_uid()
    axes, normal = tilted_axes(degrees)
    for index in range(4):
        tags = header(index, identifier)
        tags.ImageOrientationPatient = [f"{value:.9f}" for value in axes]
        tags.ImagePositionPatient = [-150 + drift_mm * index, -150, -100 + 2.5 * index]
        save(tmp_path / "s" / f"{index}.dcm", tags)
    volume = read_volume(tmp_path / "s")
    write_mask(tmp_path / "m.nii.gz", np.ones(volume.shape, np.uint8), volume.grid)
    mask = read_volume(tmp_path / "m.nii.gz")
    assert np.allclose(mask.grid.affine, volume.grid.affine, rtol=2.0**-24, atol=1e-30)
    z_mm = abs(np.dot([drift_mm, 0, 2.5], normal))  # from plane to plane
    for read in (volume, mask):
        assert read.spacing_mm == pytest.approx((z_mm, 0.75, 0.5))
        determinant = abs(np.linalg.det(read.grid.affine[:3, :3]))
        assert np.prod(read.spacing_mm) == pytest.approx(determinant)


def test_each_slice_is_rescaled_by_its_own_slope_and_intercept(tmp_path: Path) -> None:
    def other(tags: pydicom.Dataset) -> None:
        tags.RescaleSlope, tags.RescaleIntercept = 0.5, 10

    voxels = read_volume(series(tmp_path / "s", other)).channel()
    assert voxels.dtype == np.float32
    assert np.array_equal(voxels[1], 0.5 * stored_values(1) + 10)
    assert np.array_equal(voxels[2], 2 * stored_values(2) - 1024)


def without(*names: str) -> Change:
    def drop(tags: pydicom.Dataset) -> None:
        for name in names:
            delattr(tags, name)

    return drop


@pytest.mark.parametrize(
    "name", ["SliceThickness", "PhotometricInterpretation", "SamplesPerPixel", "BitsStored"]
)
def test_tags_with_only_one_possible_value_may_be_missing(tmp_path: Path, name: str) -> None:
    voxels = read_volume(series(tmp_path / "s", without(name))).channel()
    assert np.array_equal(voxels[1], 2 * stored_values(1) - 1024)


def test_without_rescale_tags_voxels_are_the_stored_values(tmp_path: Path) -> None:
    folder = series(tmp_path / "s", without("RescaleSlope", "RescaleIntercept"))
    assert np.array_equal(read_volume(folder).channel()[1], stored_values(1))


@pytest.mark.parametrize(
    "name",
    ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "PixelRepresentation"],
)
def test_a_missing_required_tag_is_named(tmp_path: Path, name: str) -> None:
    check_refused(series(tmp_path / "s", without(name)), "a.dcm", f"has no {name}")


def test_a_missing_slice_is_reported_with_its_neighbours(tmp_path: Path) -> None:
    check_refused(
        series(tmp_path / "s", at=(0, 1, 3, 4)), "a.dcm and d.dcm are 5 mm apart", "2.5 mm"
    )


def test_two_slices_at_one_position_are_named(tmp_path: Path) -> None:
    check_refused(series(tmp_path / "s", at=(0, 1, 1, 2)), "a.dcm and d.dcm have the same position")


def change_size(tags: pydicom.Dataset) -> None:
    tags.Rows, tags.Columns = COLUMNS, ROWS


def change_spacing(tags: pydicom.Dataset) -> None:
    tags.PixelSpacing = [0.75, 0.75]


def rotate(tags: pydicom.Dataset) -> None:
    tags.ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def move_sideways(tags: pydicom.Dataset) -> None:
    tags.ImagePositionPatient = [14, 20, 32.5]


def skew_axes(tags: pydicom.Dataset) -> None:
    tags.ImageOrientationPatient = [1, 0, 0, 0.7, 0.7, 0]


def make_colour(tags: pydicom.Dataset) -> None:
    tags.SamplesPerPixel = 3


def make_multi_frame(tags: pydicom.Dataset) -> None:
    tags.NumberOfFrames = 20


def cut_position(tags: pydicom.Dataset) -> None:
    tags.ImagePositionPatient = [0, 0]


def declare_huge_size(tags: pydicom.Dataset) -> None:
    tags.Rows, tags.Columns = 65535, 65535


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_size, "have 2 different slice sizes"),
        (change_spacing, "have 2 different pixel spacings"),
        (rotate, "are not parallel"),
        (move_sideways, "are not in a straight line"),
        (make_colour, "a.dcm: the image is in colour"),
        (make_multi_frame, "a.dcm: the header does not give a position for each of the 20 frames"),
        (cut_position, "a.dcm: the file is damaged"),
        (declare_huge_size, "cannot hold 65535 × 65535 voxels"),
    ],
)
def test_slices_that_are_not_one_scan_are_refused(
    tmp_path: Path, change: Change, message: str
) -> None:
    check_refused(series(tmp_path / "s", change), message)


def test_spacings_that_differ_by_rounding_in_the_header_are_equal(tmp_path: Path) -> None:
    def round_spacing(tags: pydicom.Dataset) -> None:
        tags.PixelSpacing = ["0.75", "0.50004"]

    folder = series(tmp_path / "s", round_spacing)
    assert read_grid(folder).spacing_mm == (2.5, 0.75, 0.5)


def test_spacings_that_differ_by_more_than_rounding_are_refused(tmp_path: Path) -> None:
    def change(tags: pydicom.Dataset) -> None:
        tags.PixelSpacing = ["0.75", "0.5001"]

    check_refused(series(tmp_path / "s", change), "have 2 different pixel spacings")


def test_copies_of_the_files_of_a_scan_are_skipped(tmp_path: Path) -> None:
    folder = series(tmp_path / "archive" / "ct")
    expected = read_volume(folder).voxels
    copytree(folder, tmp_path / "archive" / "ct (1)")
    opened = open_series(tmp_path / "archive")
    assert [each.what for each in opened.skipped] == [
        "skipped 4 files: the same content as another file of the series"
    ]
    np.testing.assert_array_equal(read_volume(tmp_path / "archive").voxels, expected)


def test_axes_that_are_not_perpendicular_are_refused(tmp_path: Path) -> None:
    tags = header(0, "1.2")
    skew_axes(tags)
    save(tmp_path / "s" / "a.dcm", tags)
    check_refused(tmp_path / "s", "must be two perpendicular unit vectors")


def test_the_spacing_of_a_single_slice_is_its_thickness(tmp_path: Path) -> None:
    assert read_grid(series(tmp_path / "s", at=(0,))).spacing_mm[0] == 2.5
    tags = header(0, "1.2")
    del tags.SliceThickness
    save(tmp_path / "s" / "c.dcm", tags)
    check_refused(tmp_path / "s", "has no SliceThickness")


def test_a_series_that_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voxels, "memory_bytes", lambda: 10.0 * 4 * ROWS * COLUMNS - 1)
    check_refused(series(tmp_path / "s"), "GiB of memory")


def test_rle_compressed_slices_are_read(tmp_path: Path) -> None:
    def compressed(tags: pydicom.Dataset) -> None:
        tags.file_meta = pydicom.dataset.FileMetaDataset()
        tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        tags.compress(RLELossless, encoding_plugin="pydicom")

    tags = header(1, "1.2")
    compressed(tags)
    save(tmp_path / "s" / "a.dcm", tags, RLELossless)
    assert np.array_equal(read_volume(tmp_path / "s").channel()[0], 2 * stored_values(1) - 1024)


def test_the_message_for_a_missing_decoder_names_the_compression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = header(1, "1.2")
    tags.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xf7" + bytes(60)])
    tags["PixelData"].VR = "OB"
    save(tmp_path / "s" / "a.dcm", tags, JPEGLSLossless)

    class NoDecoder:
        is_available = False

    monkeypatch.setattr(pydicom.pixels, "get_decoder", lambda _: NoDecoder)
    check_refused(tmp_path / "s", "a.dcm", "JPEG-LS Lossless", "pip install python-gdcm")
    monkeypatch.undo()
    check_refused(tmp_path / "s", "a.dcm")  # with or without a decoder: the data are invalid


def test_a_deflated_file_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "s" / "a.dcm", header(1, "1.2"), UID(dicom_file.DEFLATED))
    check_refused(tmp_path / "s", "deflated DICOM is not supported")


def test_files_without_a_preamble_are_recognised_by_their_suffix(tmp_path: Path) -> None:
    path = tmp_path / "s" / "a.ima"
    path.parent.mkdir()
    pydicom.dcmwrite(path, header(1, "1.2"), implicit_vr=True, little_endian=True)
    assert path.read_bytes()[128:132] != b"DICM"
    assert np.array_equal(read_volume(path.parent).channel()[0], 2 * stored_values(1) - 1024)


def test_other_files_and_dicom_objects_without_an_image_are_ignored(tmp_path: Path) -> None:
    folder = series(tmp_path / "s")
    report = pydicom.Dataset()
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"  # a dose report
    report.SOPInstanceUID = generate_uid()
    save(folder / "report.dcm", report)
    (folder / "notes.txt").write_text("seen")
    assert read_volume(folder).channel().shape == (4, ROWS, COLUMNS)


def test_files_that_only_look_like_dicom_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for content in (b"", bytes(128) + b"DICM", bytes(128) + b"DICM" + bytes(range(256)), b"x" * 99):
        (tmp_path / "s" / "a.dcm").write_bytes(content)
        check_refused(tmp_path / "s", "a.dcm")


def test_warnings_and_the_log_contain_nothing_from_a_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """pydicom quotes values that violate the standard: here an identifier and a character set."""

    def careless(tags: pydicom.Dataset) -> None:
        tags.SpecificCharacterSet = SECRET
        tags.PixelData += bytes(10)

    folder = tmp_path / "s"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from writing the file
        for index in range(2):
            tags = header(index, SECRET)
            careless(tags)
            save(folder / f"{index}.dcm", tags)
    caplog.clear()
    assert len(read_volume(folder).channel()) == 2
    assert caplog.messages == []
    assert [str(each.message) for each in recwarn] == []


def test_more_voxels_than_the_header_declares_are_refused(tmp_path: Path) -> None:
    def twice(tags: pydicom.Dataset) -> None:
        tags.PixelData *= 2

    check_refused(
        series(tmp_path / "s", twice), "a.dcm: the file has more voxels than its header declares"
    )


def test_a_damaged_compressed_slice_raises_one_error_and_logs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tags = header(0, "1.2.3")
    tags.PixelData = pydicom.encaps.encapsulate([bytes(500)])
    tags["PixelData"].VR, tags["PixelData"].is_undefined_length = "OB", True
    save(tmp_path / "s" / "a.dcm", tags, JPEG2000Lossless)
    check_refused(tmp_path / "s", "a.dcm")
    assert caplog.messages == []  # pydicom logs a traceback


def test_a_text_file_with_the_suffix_of_dicom_is_refused_because_it_is_not_an_image(
    tmp_path: Path,
) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.dcm").write_text("case,image\n" * 100)
    check_refused(tmp_path / "s", "a.dcm: not a DICOM image")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_slice_is_refused(tmp_path: Path, kept: float) -> None:
    folder = series(tmp_path / "s")
    content = (folder / "a.dcm").read_bytes()
    (folder / "a.dcm").write_bytes(content[: int(kept * len(content))])
    check_refused(folder, "a.dcm")


def test_a_folder_without_dicom_files_is_refused(tmp_path: Path) -> None:
    check_refused(tmp_path, "contains no DICOM slices")


def test_without_pydicom_the_message_names_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = series(tmp_path / "s")
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    check_refused(folder, "pip install 'wsseg[dicom]'")


def test_only_tags_of_pixels_and_geometry_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[pydicom.Dataset] = []
    original = pydicom.dcmread

    def record(*words: Any, **options: Any) -> pydicom.Dataset:
        tags = original(*words, **options)
        read.append(tags)
        return tags

    monkeypatch.setattr(pydicom, "dcmread", record)
    read_volume(series(tmp_path / "s"))
    names = {element.keyword for tags in read for element in tags}
    header = {*dicom.REQUIRED, *dicom.OPTIONAL, *dicom.DESCRIBING}
    assert names <= {*header, *dicom_pixels.DECODING}
    assert not [name for name in names if "Patient" in name and name not in dicom.GEOMETRY]


def test_a_mask_of_a_series_is_written_as_nifti_on_the_same_grid(tmp_path: Path) -> None:
    volume = read_volume(series(tmp_path / "s"))
    bright = (volume.channel() > -500).astype(np.uint8)
    write_mask(tmp_path / "m.nii.gz", bright, volume.grid)
    written = read_volume(tmp_path / "m.nii.gz")
    assert np.array_equal(written.grid.affine, volume.grid.affine)
    assert np.array_equal(written.channel(), bright)


def test_the_image_of_a_case_may_be_a_folder_of_slices(tmp_path: Path) -> None:
    series(tmp_path / "s")
    (tmp_path / "cohort.csv").write_text("case,image\na,s\n")
    (case,) = Table(path=tmp_path / "cohort.csv").cases()
    assert read_volume(case.image).channel().shape == (4, ROWS, COLUMNS)


def test_the_cache_key_of_a_series_depends_on_contents_and_not_on_file_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    folder = series(tmp_path / "s")
    settings = Input(size=8, slices=1, thick=None)
    first = prepare(Case("a", "a", folder), settings)
    (folder / "a.dcm").rename(folder / "z.dcm")
    assert prepare(Case("a", "a", folder), settings).key == first.key
    tags = pydicom.dcmread(folder / "z.dcm")
    tags.RescaleIntercept = 0
    tags.save_as(folder / "z.dcm")
    assert prepare(Case("a", "a", folder), settings).key != first.key


def test_cases_are_found_in_a_series_and_in_a_folder_of_series(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for name in ("b", "a"):
        series(tmp_path / "scans" / name)
    assert [case.name for case in find_scans([tmp_path / "scans"]).cases] == ["a", "b"]
    (case,) = find_scans([tmp_path / "scans" / "a"]).cases
    assert (case.name, case.image) == ("a", tmp_path / "scans" / "a")


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data")
def test_two_real_slices_are_read_with_their_geometry() -> None:
    volume = read_volume(REAL)
    assert volume.channel().shape == (2, 512, 512)
    assert (volume.channel().min(), volume.channel().max()) == (-2048, 1502)
    assert volume.spacing_mm == (1, 0.625, 0.625)
    assert nib.aff2axcodes(volume.grid.affine) == ("L", "P", "S")
    first = pydicom.dcmread(REAL / "0.dcm").pixel_array
    assert np.array_equal(volume.channel()[0], first)


def test_implicit_little_endian_syntax_is_read(tmp_path: Path) -> None:
    save(tmp_path / "s" / "a.dcm", header(1, "1.2"), ImplicitVRLittleEndian)
    assert np.array_equal(read_volume(tmp_path / "s").channel()[0], 2 * stored_values(1) - 1024)
