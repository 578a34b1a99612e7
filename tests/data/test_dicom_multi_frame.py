"""A multi-frame DICOM file, whose geometry is in functional groups, is read as its frames."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, RLELossless

from tests.dicom_files import AXIAL, COLUMNS, ROWS, SECRET, header, save, stored_values
from wsseg.data import voxels
from wsseg.data.reading import read_grid, read_volume
from wsseg.errors import InputError

GEOMETRY = ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness")


def group(sequence: str, **values: object) -> tuple[str, pydicom.Sequence]:
    item = pydicom.Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return sequence, pydicom.Sequence([item])


def groups(*parts: tuple[str, pydicom.Sequence]) -> pydicom.Dataset:
    item = pydicom.Dataset()
    for name, sequence in parts:
        setattr(item, name, sequence)
    return item


def multi_frame(at: Sequence[float]) -> pydicom.Dataset:
    """Return a file whose frame k lies at z = at[k], with the stored values of number k."""
    tags = header(0, "1.2.3")
    tags.SOPClassUID = EnhancedCTImageStorage
    for name in (*GEOMETRY, "RescaleSlope", "RescaleIntercept"):
        delattr(tags, name)
    tags.NumberOfFrames = len(at)
    measures = group("PixelMeasuresSequence", PixelSpacing=[0.75, 0.5], SliceThickness=2.5)
    orientation = group("PlaneOrientationSequence", ImageOrientationPatient=list(AXIAL))
    hu = group("PixelValueTransformationSequence", RescaleSlope=2, RescaleIntercept=-1024)
    tags.SharedFunctionalGroupsSequence = [groups(measures, orientation, hu)]
    tags.PerFrameFunctionalGroupsSequence = [
        groups(group("PlanePositionSequence", ImagePositionPatient=[10, 20, z])) for z in at
    ]
    tags.PixelData = b"".join(stored_values(index).tobytes() for index in range(len(at)))
    return tags


def test_frames_are_sorted_by_position_and_rescaled(tmp_path: Path) -> None:
    save(tmp_path / "s" / "a.dcm", multi_frame([35, 30, 32.5]))
    volume = read_volume(tmp_path / "s")
    assert volume.channel().dtype == np.int16
    expected = [2 * stored_values(index) - 1024 for index in (1, 2, 0)]
    assert np.array_equal(volume.channel(), np.stack(expected))
    assert volume.spacing_mm == (2.5, 0.75, 0.5)
    grid = volume.grid
    assert (grid.affine @ [5, 3, 2, 1]).tolist() == [-12.5, -22.25, 35.0, 1.0]


def test_the_groups_of_a_frame_take_precedence_over_the_shared_ones(tmp_path: Path) -> None:
    tags = multi_frame([0, 1, 2])
    name, own = group("PixelValueTransformationSequence", RescaleSlope=3, RescaleIntercept=7)
    setattr(tags.PerFrameFunctionalGroupsSequence[1], name, own)
    save(tmp_path / "s" / "a.dcm", tags)
    read = read_volume(tmp_path / "s").channel()
    assert np.array_equal(read[0], 2 * stored_values(0) - 1024)
    assert np.array_equal(read[1], 3 * stored_values(1) + 7)


def test_files_of_one_frame_and_of_several_frames_are_one_series(tmp_path: Path) -> None:
    save(tmp_path / "s" / "a.dcm", multi_frame([2, 3]))
    save(tmp_path / "s" / "b.dcm", multi_frame([1]))
    read = read_volume(tmp_path / "s").channel()
    expected = [2 * stored_values(index) - 1024 for index in (0, 0, 1)]
    assert np.array_equal(read, np.stack(expected))


def test_compressed_frames_are_read(tmp_path: Path) -> None:
    tags = multi_frame([0, 1, 2])
    tags.file_meta = pydicom.dataset.FileMetaDataset()
    tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    tags.compress(RLELossless, encoding_plugin="pydicom")
    save(tmp_path / "s" / "a.dcm", tags, RLELossless)
    expected = [2 * stored_values(index) - 1024 for index in range(3)]
    assert np.array_equal(read_volume(tmp_path / "s").channel(), np.stack(expected))


def drop_positions(tags: pydicom.Dataset) -> None:
    del tags.PerFrameFunctionalGroupsSequence


def drop_one_position(tags: pydicom.Dataset) -> None:
    del tags.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def drop_a_group(tags: pydicom.Dataset) -> None:
    tags.PerFrameFunctionalGroupsSequence = tags.PerFrameFunctionalGroupsSequence[:2]


def drop_orientation(tags: pydicom.Dataset) -> None:
    del tags.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence


def repeat_a_position(tags: pydicom.Dataset) -> None:
    place = tags.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient = [10, 20, 0]


def truncate(tags: pydicom.Dataset) -> None:
    tags.PixelData = tags.PixelData[: ROWS * COLUMNS]


def declare_many_frames(tags: pydicom.Dataset) -> None:
    tags.NumberOfFrames = 10**8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_positions, "a.dcm: the header does not give a position for each of the 3 frames"),
        (drop_a_group, "a.dcm: the header does not give a position for each of the 3 frames"),
        (
            declare_many_frames,
            "a.dcm: the header does not give a position for each of the 100000000 frames",
        ),
        (drop_one_position, "a.dcm: the header has no ImagePositionPatient"),
        (drop_orientation, "a.dcm: the header has no ImageOrientationPatient"),
        (repeat_a_position, "a.dcm, frame 1 and a.dcm, frame 2 have the same position"),
        (truncate, "a.dcm: the file is "),
    ],
)
def test_frames_without_their_geometry_or_their_voxels_are_refused(
    tmp_path: Path, change: Callable[[pydicom.Dataset], None], message: str
) -> None:
    tags = multi_frame([0, 1, 2])
    change(tags)
    save(tmp_path / "s" / "a.dcm", tags)
    with pytest.raises(InputError, match=r"a\.dcm") as caught:
        read_volume(tmp_path / "s")
    assert message in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_frames_that_do_not_fit_into_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "s" / "a.dcm", multi_frame([0, 1, 2]))
    monkeypatch.setattr(voxels, "memory_bytes", lambda: 10.0 * 3 * ROWS * COLUMNS - 1)
    with pytest.raises(InputError, match="GiB of memory"):
        read_grid(tmp_path / "s")
