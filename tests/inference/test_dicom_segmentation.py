"""Masks as DICOM segmentation objects, read back by highdicom and pydicom."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from tests.data.test_dicom_multi_frame import multi_frame
from tests.dicom_files import COLUMNS, ROWS, SECRET, header, save
from tests.markdown import DOCS, blocks, write_block
from wsseg.core.case import Case
from wsseg.core.volume import Grid
from wsseg.data.mask_files import write_mask
from wsseg.data.reading import read_case_grid, read_grid
from wsseg.errors import InputError
from wsseg.inference.dicom_segmentation import (
    SegmentationModel,
    SegmentCodes,
    check_dicom,
    read_codes,
    write_dicom_seg,
)
from wsseg.inference.folders import PredictionFolder

hd = pytest.importorskip("highdicom", reason="highdicom is not installed; extra: dicom-seg")

LPS_TO_RAS = np.diag([-1, -1, 1])
CLASSES = ("lésion", "core")
MODEL = SegmentationModel(CLASSES, "0123")
SLICES = 4


def complete(tags: pydicom.Dataset) -> pydicom.Dataset:
    """Add the identifiers that scanners write, and the name of a patient in Latin-1."""
    tags.StudyInstanceUID, tags.FrameOfReferenceUID = "1.2.3.4", "1.2.3.5"
    tags.SpecificCharacterSet, tags.PatientName = "ISO_IR 100", "Müller^Eva"
    tags.PatientID, tags.PatientSex, tags.StudyDate = "ID-1", "F", "20200102"
    return tags


def slices(folder: Path, positions: NDArray[np.float64], directions: list[float]) -> Path:
    """Write a slice at each position in a file whose name says nothing about its place."""
    for index, position in enumerate(positions):
        tags = complete(header(index, "1.2.3.6"))
        tags.ImagePositionPatient = [f"{each:.6f}" for each in position]
        tags.ImageOrientationPatient = directions
        save(folder / f"{'cadb'[index]}.dcm", tags)
    return folder


def axial(folder: Path) -> Path:
    return slices(
        folder, np.array([[10, 20, 30 + 2.5 * z] for z in range(SLICES)]), [1, 0, 0, 0, 1, 0]
    )


def descending(folder: Path) -> Path:
    return slices(
        folder, np.array([[10, 20, 30 - 2.5 * z] for z in range(SLICES)]), [1, 0, 0, 0, 1, 0]
    )


def tilted(folder: Path) -> Path:
    """Planes rotated by 20 degrees about x, stacked along z: a tilted gantry."""
    angle = np.deg2rad(20)
    down = [0, round(float(np.cos(angle)), 9), round(float(np.sin(angle)), 9)]
    return slices(
        folder, np.array([[10, 20, 30 + 2.5 * z] for z in range(SLICES)]), [1, 0, 0, *down]
    )


def left_handed(folder: Path) -> Path:
    """Rows from left to right: the normal of the planes points to the feet."""
    return slices(
        folder, np.array([[10, 20, 30 + 2.5 * z] for z in range(SLICES)]), [-1, 0, 0, 0, 1, 0]
    )


def sagittal(folder: Path) -> Path:
    return slices(
        folder, np.array([[10 + 3 * z, 20, 30] for z in range(SLICES)]), [0, 1, 0, 0, 0, -1]
    )


def frames_of_one_file(folder: Path) -> Path:
    save(folder / "a.dcm", complete(multi_frame([35, 30, 32.5, 37.5])))
    return folder


SERIES = (axial, descending, tilted, left_handed, sagittal, frames_of_one_file)


def labels(grid: Grid) -> NDArray[np.uint8]:
    """Return labels 0, 1 and 2 without any symmetry, and none in one slice of the file."""
    drawn = np.random.default_rng(0).integers(0, 3, grid.shape, dtype=np.uint8)
    drawn[:, :, 1] = 0
    return grid.to_canonical(drawn.copy())


def written(scan: Path, out: Path, model: SegmentationModel = MODEL) -> Path:
    """Write a NIfTI mask of labels and the segmentation object made from it."""
    case, folder = Case("a", "a", scan), PredictionFolder(out)
    grid = read_case_grid(case)
    out.mkdir(exist_ok=True)
    write_mask(folder.mask("a", ".nii.gz"), labels(grid), grid)
    return write_dicom_seg(case, model, folder)


def points(path: Path) -> dict[int, set[tuple[float, ...]]]:
    """Return the positions of the voxels of each segment, in RAS mm, by a loop over the frames."""
    tags = pydicom.dcmread(path)
    shared = tags.SharedFunctionalGroupsSequence[0]
    along = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    row_mm, column_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    found: dict[int, set[tuple[float, ...]]] = {}
    for frame, plane in zip(
        tags.PerFrameFunctionalGroupsSequence,
        tags.pixel_array.reshape(-1, ROWS, COLUMNS),
        strict=True,
    ):
        segment = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        corner = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        for row, column in np.argwhere(plane):
            place = corner + column * column_mm * along[:3] + row * row_mm * along[3:]
            found.setdefault(segment, set()).add(tuple(np.round(LPS_TO_RAS @ place, 3) + 0.0))
    return found


@pytest.mark.parametrize("series", SERIES)
def test_the_voxels_of_each_segment_lie_where_those_of_the_nifti_mask_lie(
    series: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = written(series(tmp_path / "scan"), tmp_path / "out")
    grid = read_grid(tmp_path / "out" / "a.nii.gz")
    in_file = grid.to_file(labels(read_grid(tmp_path / "scan")))
    expected = {
        value: {
            tuple(np.round((grid.affine @ [*voxel, 1])[:3], 3) + 0.0)
            for voxel in np.argwhere(in_file == value)
        }
        for value in (1, 2)
    }
    assert points(path) == expected


@pytest.mark.parametrize("series", SERIES)
def test_highdicom_reads_the_mask_slice_by_slice_of_the_source(
    series: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = written(series(tmp_path / "scan"), tmp_path / "out")
    read, grid = hd.seg.segread(path), read_grid(tmp_path / "scan")
    sources = [pydicom.dcmread(each) for each in sorted((tmp_path / "scan").iterdir())]
    in_file = grid.to_file(labels(grid))  # (X, Y, Z)
    if len(sources) == 1:
        (source,) = sources
        frames = [
            group.PlanePositionSequence[0].ImagePositionPatient
            for group in source.PerFrameFunctionalGroupsSequence
        ]
        found = read.get_pixels_by_source_frame(
            source.SOPInstanceUID, range(1, SLICES + 1), combine_segments=True
        )
    else:
        frames = [source.ImagePositionPatient for source in sources]
        found = read.get_pixels_by_source_instance(
            [source.SOPInstanceUID for source in sources],
            combine_segments=True,
            assert_missing_frames_are_empty=True,
        )
    for position, plane in zip(frames, found, strict=True):
        place = np.array([*(LPS_TO_RAS @ np.array(position, float)), 1])
        column, row, z = np.rint(np.linalg.solve(grid.affine, place))[:3].astype(int)
        assert (column, row) == (0, 0)
        assert np.array_equal(plane, in_file[:, :, z].T)


def test_the_object_refers_to_the_source_and_describes_its_segments(tmp_path: Path) -> None:
    codes = SegmentCodes(
        ("SCT", "49755003", "Morphologically Altered Structure"), ("SCT", "52988006", "Lesion")
    )
    model = SegmentationModel(CLASSES, "0123", {"lésion": codes})
    path = written(axial(tmp_path / "scan"), tmp_path / "out", model)
    tags, first = pydicom.dcmread(path), pydicom.dcmread(tmp_path / "scan" / "a.dcm")
    for name in (
        "StudyInstanceUID",
        "FrameOfReferenceUID",
        "PatientID",
        "PatientName",
        "StudyDate",
    ):
        assert tags[name].value == first[name].value
    (referenced,) = tags.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID != tags.SeriesInstanceUID
    instances = {each.ReferencedSOPInstanceUID for each in referenced.ReferencedInstanceSequence}
    assert instances == {
        pydicom.dcmread(each).SOPInstanceUID for each in (tmp_path / "scan").iterdir()
    }
    lesion, core = map(hd.seg.segread(path).get_segment_description, (1, 2))
    assert (lesion.segment_label, core.segment_label) == CLASSES
    assert lesion.segmented_property_type.meaning == "Lesion"
    assert core.segmented_property_type.meaning == "Tissue"
    assert core.segmented_property_category.value == "85756007"
    assert lesion.algorithm_type.value == "AUTOMATIC"
    assert lesion.algorithm_identification[0].AlgorithmName == "wsseg"
    assert tags.DeviceSerialNumber == "0123"


def test_an_empty_mask_is_written_with_empty_frames(tmp_path: Path) -> None:
    case, folder = Case("a", "a", axial(tmp_path / "scan")), PredictionFolder(tmp_path)
    grid = read_case_grid(case)
    write_mask(folder.mask("a", ".nii.gz"), np.zeros(grid.canonical_shape, np.uint8), grid)
    assert not pydicom.dcmread(write_dicom_seg(case, MODEL, folder)).pixel_array.any()


def test_codes_are_read_from_a_table_and_refused_with_the_line(tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("class,category,type\ncore,SCT:1:A,SCT:2:B: c\n")
    assert read_codes(table, CLASSES) == {
        "core": SegmentCodes(("SCT", "1", "A"), ("SCT", "2", "B: c"))
    }
    for row, problem in {
        "cores,SCT:1:A,SCT:2:B": "no class 'cores'; possible: core, lésion. Did you mean 'core'?",
        "core,SCT:1,SCT:2:B": "category is 'SCT:1'; write a code as SCHEME:VALUE:MEANING",
        "core,SCT:1:A,SCT:2:B\ncore,SCT:1:A,SCT:2:B": "'core' appears twice",
    }.items():
        table.write_text(f"class,category,type\n{row}\n")
        with pytest.raises(InputError, match="line") as error:
            read_codes(table, CLASSES)
        assert problem in str(error.value)


def test_the_codes_on_the_page_about_data_are_read(tmp_path: Path) -> None:
    (block,) = (each for each in blocks(DOCS / "own-data.md") if each.name == "codes.csv")
    write_block(block, tmp_path)
    codes = read_codes(tmp_path / "codes.csv", ("tumour",))
    assert codes["tumour"].type == ("SCT", "108369006", "Neoplasm")


@pytest.mark.parametrize("name", ["StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"])
def test_a_series_without_an_identifier_is_refused_before_it_is_predicted(
    name: str, tmp_path: Path
) -> None:
    for path in axial(tmp_path / "scan").iterdir():
        tags = pydicom.dcmread(path)
        del tags[name]
        tags.save_as(path)
    with pytest.raises(InputError, match=f"case a: .*has no {name}"):
        check_dicom([Case("a", "a", tmp_path / "scan")])


def test_several_multi_frame_files_are_refused(tmp_path: Path) -> None:
    for name, at in {"a": [30, 32.5], "b": [35, 37.5]}.items():
        save(tmp_path / "scan" / f"{name}.dcm", complete(multi_frame(at)))
    with pytest.raises(InputError, match="has 2 multi-frame files"):
        check_dicom([Case("a", "a", tmp_path / "scan")])


def test_an_invalid_header_is_refused_without_the_name_of_the_patient(tmp_path: Path) -> None:
    for path in axial(tmp_path / "scan").iterdir():
        tags = pydicom.dcmread(path)
        tags.PatientName, tags.PatientSex = SECRET, "UNKNOWN"
        tags.save_as(path)
    with pytest.raises(InputError, match="a DICOM segmentation cannot be made") as error:
        written(tmp_path / "scan", tmp_path / "out")
    assert SECRET not in str(error.value)
    assert not (tmp_path / "out" / "dicom-seg").exists()
