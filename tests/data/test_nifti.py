"""Invalid NIfTI files raise one InputError that names the file; written affines are exact."""

import gzip
import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from wsseg.data import voxels
from wsseg.data.nifti import open_nifti, read_array, write_nifti
from wsseg.errors import InputError


def read(path: Path) -> NDArray[Any]:
    return read_array(path, open_nifti(path))


def check_refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) <= 3


def scan(
    path: Path, array: NDArray[Any] | None = None, affine: NDArray[np.float64] | None = None
) -> Path:
    noise = np.random.default_rng(0).integers(-999, 999, (20, 20, 20)).astype(np.int16)
    image = nib.Nifti1Image(
        noise if array is None else array, np.eye(4) if affine is None else affine
    )
    nib.save(image, path)
    return path


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    check_refused(tmp_path / "a.nii.gz", "file not found")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").mkdir()
    check_refused(tmp_path / "a.nii.gz", "is a folder")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    check_refused(tmp_path / name, "is empty")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_text_file_named_nii_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("case,image\n" * 100)
    check_refused(tmp_path / name, "cannot be read as NIfTI")


def test_a_file_with_another_suffix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM")
    check_refused(tmp_path / "a.dcm", r"possible: NIfTI \(.nii, .nii.gz\)")


@pytest.mark.parametrize("kept", [1, 15, 100, 3000, -200])
def test_a_truncated_gz_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = scan(tmp_path / "a.nii.gz")
    path.write_bytes(path.read_bytes()[:kept])
    check_refused(path, "truncated|cannot be read")


@pytest.mark.parametrize("kept", [10, 348, 360, -1])
def test_a_truncated_nii_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = scan(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:kept])
    check_refused(path, "truncated|cannot be read")


def test_a_gz_file_with_damaged_bytes_is_refused(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    content[3000:3100] = b"\xff" * 100
    path.write_bytes(content)
    check_refused(path, "truncated or damaged|cannot be read")


def test_a_wrong_check_sum_at_the_end_of_a_gz_file_is_refused(tmp_path: Path) -> None:
    """All voxels can be read; only the CRC-32, 8 bytes before the end, does not match them."""
    path = scan(tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    check_refused(path, "truncated or damaged")


@pytest.mark.parametrize("between", [b"", b"\0" * 700], ids=["joined", "padded"])
def test_a_gz_file_of_several_members_is_read_completely(tmp_path: Path, between: bytes) -> None:
    """Block-wise compressors write several members in a row; some pad them with zeros."""
    plain = scan(tmp_path / "a.nii")
    content = plain.read_bytes()
    members = [gzip.compress(content[:5000]), gzip.compress(content[5000:]), b""]
    (tmp_path / "b.nii.gz").write_bytes(between.join(members))
    assert np.array_equal(read(plain), read(tmp_path / "b.nii.gz"))


def test_bytes_after_the_voxels_are_ignored_unless_they_are_damaged(tmp_path: Path) -> None:
    plain = scan(tmp_path / "a.nii")
    compressed = gzip.compress(plain.read_bytes() + b"notes" * 1000)
    path = tmp_path / "b.nii.gz"
    path.write_bytes(compressed)
    assert np.array_equal(read(path), read(plain))
    path.write_bytes(compressed[:-8] + bytes(8))  # another check sum
    check_refused(path, "truncated or damaged")
    path.write_bytes(compressed + b"no gzip member")
    check_refused(path, "truncated or damaged")


def test_one_frame_of_a_gz_file_is_refused_if_its_check_sum_is_wrong(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.nii.gz")
    frame = read_array(path, open_nifti(path), frame=3)
    assert np.array_equal(frame[..., 0], read(path)[..., 3])
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(InputError, match="truncated or damaged"):
        read_array(path, open_nifti(path), frame=3)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5,), r"1-D \(5\), but must be 3-D, or 2-D if it is a single slice"),
        ((5, 5, 5, 2), r"4-D \(5 × 5 × 5 × 2\), but.* Split the series into volumes"),
        ((5, 5, 5, 1, 3), "5-D .* Split the series into volumes"),
    ],
)
def test_an_image_that_is_not_2d_or_3d_is_refused(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    check_refused(scan(tmp_path / "a.nii.gz", np.zeros(shape, np.int16)), message)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("frame", [None, 0])
def test_a_2d_image_is_a_single_slice(tmp_path: Path, name: str, frame: int | None) -> None:
    path = scan(tmp_path / name, np.arange(30, dtype=np.int16).reshape(5, 6))
    array = read_array(path, open_nifti(path), frame)
    assert np.array_equal(array, np.arange(30).reshape(5, 6, 1))


@pytest.mark.parametrize("dtype", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])])
def test_voxels_that_are_not_single_real_numbers_are_refused(
    tmp_path: Path, dtype: np.dtype[Any]
) -> None:
    check_refused(scan(tmp_path / "a.nii", np.zeros((4, 4, 4), dtype)), "must be one real number")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_nan_infinite_or_overflowing_voxels_are_refused(tmp_path: Path, value: float) -> None:
    array = np.zeros((4, 4, 4))
    array[3, 2, 1] = value
    check_refused(scan(tmp_path / "a.nii.gz", array), "NaN or infinite values")


def nan_affine() -> NDArray[Any]:
    affine = np.eye(4)
    affine[0, 3] = np.nan
    return affine


def test_a_singular_affine_is_refused(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, 1] = affine[:3, 0]
    path = scan(tmp_path / "a.nii")
    _set_sform(path, affine)
    check_refused(path, "singular")
    _set_sform(path, np.diag([1, 1, 0, 1]))
    check_refused(path, "voxels are 1 × 1 × 0 mm")
    _set_sform(path, nan_affine())
    check_refused(path, "NaN")


def _set_sform(path: Path, affine: NDArray[Any]) -> None:
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, 252, 0, 1)  # qform_code, sform_code
    struct.pack_into("<12f", content, 280, *affine[:3].ravel())
    path.write_bytes(content)


@pytest.mark.parametrize("size", [1e-4, 500])
def test_a_spacing_that_no_scanner_has_is_refused(tmp_path: Path, size: float) -> None:
    check_refused(
        scan(tmp_path / "a.nii", affine=np.diag([1, 1, size, 1])), "possible: 0.01 to 100 mm"
    )


def declare(path: Path, shape: tuple[int, int, int]) -> Path:
    """Let the header declare another shape than the file has."""
    zipped = path.suffix == ".gz"
    content = bytearray(gzip.decompress(path.read_bytes()) if zipped else path.read_bytes())
    struct.pack_into("<4h", content, 40, 3, *shape)
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_with_1e12_voxels_is_refused_before_voxels_are_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = declare(scan(tmp_path / name), (10000, 10000, 10000))
    monkeypatch.setattr(nib.arrayproxy.ArrayProxy, "get_unscaled", None)  # reading would fail
    check_refused(path, "cannot hold 10000 × 10000 × 10000 voxels")


def test_a_scan_that_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scan(tmp_path / "a.nii.gz")
    monkeypatch.setattr(voxels, "memory_bytes", lambda: 8000 * (2 + 8) - 1)
    check_refused(path, "GiB of memory")
    monkeypatch.setattr(voxels, "memory_bytes", lambda: 8000 * (2 + 8))
    read(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_file_with_one_slice_less_than_its_header_declares_is_refused(
    tmp_path: Path, name: str
) -> None:
    check_refused(declare(scan(tmp_path / name), (20, 20, 21)), "truncated|cannot be read")


def test_a_negative_dimension_is_refused(tmp_path: Path) -> None:
    check_refused(declare(scan(tmp_path / "a.nii"), (20, -20, 20)), "no voxels|cannot be read")


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(image: nib.Nifti1Image, path: Path) -> None:  # noqa: ARG001 - as nibabel's
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(nib, "save", half)
    with pytest.raises(OSError, match="disk full"):
        write_nifti(tmp_path / "m.nii.gz", np.zeros((2, 2, 2), np.uint8), np.eye(4))
    assert list(tmp_path.iterdir()) == []


COLUMN_MM = st.floats(0.1, 20)
SHEAR = st.floats(-1, 1)
ANGLE = st.floats(-np.pi, np.pi)
ORIGIN_MM = st.floats(-5000, 5000)


@st.composite
def affines(draw: st.DrawFn) -> NDArray[np.float64]:
    """Draw rotation x shear x signed voxel sizes, with a distant origin."""
    turn = Rotation.from_euler("xyz", draw(st.tuples(ANGLE, ANGLE, ANGLE))).as_matrix()
    shear = np.eye(3)
    shear[0, 1], shear[0, 2], shear[1, 2] = draw(st.tuples(SHEAR, SHEAR, SHEAR))
    sign = draw(st.sampled_from([-1, 1]))
    sizes = draw(st.tuples(COLUMN_MM, COLUMN_MM, COLUMN_MM.map(lambda size: sign * size)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ shear @ np.diag(sizes)
    affine[:3, 3] = draw(st.tuples(ORIGIN_MM, ORIGIN_MM, ORIGIN_MM))
    return affine


def write_and_reopen(
    affine: NDArray[np.float64], image_class: type[nib.Nifti1Image]
) -> nib.Nifti1Image:
    """Return the header that nibabel reads from a mask that was written with `affine`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.nii.gz"
        write_nifti(path, np.zeros((40, 30, 20), np.uint8), affine, image_class)
        return open_nifti(path)


def test_half_a_turn_whose_quaternion_is_longer_than_1_by_rounding_is_stored() -> None:
    affine = np.eye(4)
    affine[:3, :3] = [
        [-0.6460491826199332, -0.4048321255608509, 0.6470945864014004],
        [-0.40483212556085046, -0.5369722519664787, -0.7401160386938874],
        [0.6470945864014006, -0.7401160386938872, 0.18302143458641196],
    ]
    image = write_and_reopen(affine, nib.Nifti2Image)
    assert np.array_equal(image.affine, affine)


@settings(max_examples=200)
@given(affines())
def test_nifti_2_stores_any_double_precision_affine_exactly(
    affine: NDArray[np.float64],
) -> None:
    image = write_and_reopen(affine, nib.Nifti2Image)
    assert isinstance(image, nib.Nifti2Image)
    assert np.array_equal(image.affine, affine)


@settings(max_examples=200)
@given(affines())
def test_nifti_1_stores_any_single_precision_affine_exactly(
    affine: NDArray[np.float64],
) -> None:
    single = affine.astype(np.float32).astype(np.float64)
    image = write_and_reopen(single, nib.Nifti1Image)
    assert not isinstance(image, nib.Nifti2Image)
    assert np.array_equal(image.affine, single)


@settings(max_examples=200)
@given(affines())
def test_nifti_1_rounds_a_double_precision_affine_to_single_precision(
    affine: NDArray[np.float64],
) -> None:
    """The relative rounding error of float32 is at most 2 ** -24."""
    assert np.allclose(
        write_and_reopen(affine, nib.Nifti1Image).affine, affine, rtol=2.0**-24, atol=1e-30
    )


@settings(max_examples=200)
@given(affines(), st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]))
def test_the_qform_of_a_written_file_agrees_with_its_affine_or_has_code_0(
    affine: NDArray[np.float64], image_class: type[nib.Nifti1Image]
) -> None:
    image = write_and_reopen(affine, image_class)
    qform, code = image.get_qform(coded=True)
    if code > 0:
        last = np.array([39, 29, 19, 1])
        assert np.linalg.norm((qform - affine) @ last) < 0.02
    else:
        assert image.get_sform(coded=True)[1] > 0


def test_a_grid_without_shear_gets_both_forms_and_a_sheared_grid_only_the_sform() -> None:
    upright, sheared = np.diag([-0.75, -0.75, 5, 1.0]), np.diag([-0.75, -0.75, 5, 1.0])
    sheared[1, 2] = 5 * np.tan(np.deg2rad(1))  # a gantry tilted by 1 degree
    codes = [
        (int(image.get_sform(coded=True)[1]), int(image.get_qform(coded=True)[1]))
        for image in (
            write_and_reopen(upright, nib.Nifti1Image),
            write_and_reopen(sheared, nib.Nifti1Image),
        )
    ]
    assert codes == [(2, 2), (2, 0)]


@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_header_with_more_slices_than_the_file_can_hold_is_refused_before_voxels_are_read(
    tmp_path: Path, image_class: type[nib.Nifti1Image]
) -> None:
    path = tmp_path / "a.nii"
    nib.save(image_class(np.zeros((4, 4, 3), np.int16), np.eye(4)), path)
    header = open_nifti(path).header.copy()
    header.set_data_shape((4, 4, 30_000))
    path.write_bytes(header.binaryblock + path.read_bytes()[len(header.binaryblock) :])
    with pytest.raises(InputError, match=r"is truncated: .* cannot hold 4 × 4 × 30000 voxels"):
        open_nifti(path)
