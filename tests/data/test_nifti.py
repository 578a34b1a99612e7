"""Bad input: each is one InputError that names the file."""

import gzip
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from wsseg.data import voxels as compact
from wsseg.data.nifti import open_nifti, read_array, write_nifti
from wsseg.errors import InputError


def read(path: Path) -> None:
    read_array(path, open_nifti(path))


def refused(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) <= 3


def scan(path: Path, array: np.ndarray | None = None, affine: np.ndarray | None = None) -> Path:
    voxels = np.random.default_rng(0).integers(-999, 999, (20, 20, 20)).astype(np.int16)
    image = nib.Nifti1Image(
        voxels if array is None else array, np.eye(4) if affine is None else affine
    )
    nib.save(image, path)
    return path


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "a.nii.gz", "there is no such file")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").mkdir()
    refused(tmp_path / "a.nii.gz", "is a folder")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    refused(tmp_path / name, "is empty")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_text_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("case,image\n" * 100)
    refused(tmp_path / name, "cannot be read as NIfTI")


def test_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM")
    refused(tmp_path / "a.dcm", r"is not NIfTI \(.nii, .nii.gz\)")


@pytest.mark.parametrize("kept", [1, 15, 100, 3000, -200])
def test_a_truncated_gz(tmp_path: Path, kept: int) -> None:
    path = scan(tmp_path / "a.nii.gz")
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, "cut short|cannot be read")


@pytest.mark.parametrize("kept", [10, 348, 360, -1])
def test_a_truncated_nii(tmp_path: Path, kept: int) -> None:
    path = scan(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, "cut short|cannot be read")


def test_a_damaged_gz(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    content[3000:3100] = b"\xff" * 100
    path.write_bytes(content)
    refused(path, "cut short or damaged|cannot be read")


@pytest.mark.parametrize("between", [b"", b"\0" * 700], ids=["joined", "padded"])
def test_a_gz_of_several_parts_is_read_whole(tmp_path: Path, between: bytes) -> None:
    """As block-wise compressors write, whose parts follow upon each other; some pad with zeros."""
    data = scan(tmp_path / "a.nii").read_bytes()
    parts = [gzip.compress(data[:5000]), gzip.compress(data[5000:]), b""]
    (tmp_path / "b.nii.gz").write_bytes(between.join(parts))
    one, other = (read_array(p, open_nifti(p)) for p in (tmp_path / "a.nii", tmp_path / "b.nii.gz"))
    assert np.array_equal(one, other)


def test_what_follows_the_voxels_is_checked_but_not_kept(tmp_path: Path) -> None:
    data = scan(tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(data + b"notes" * 1000))
    read(tmp_path / "b.nii.gz")


@pytest.mark.parametrize(
    ("shape", "said"),
    [((5, 5), "2-D"), ((5, 5, 5, 2), r"4-D \(5 × 5 × 5 × 2\)"), ((5, 5, 5, 1, 3), "5-D")],
)
def test_other_dimensions(tmp_path: Path, shape: tuple[int, ...], said: str) -> None:
    refused(scan(tmp_path / "a.nii.gz", np.zeros(shape, np.int16)), said)


@pytest.mark.parametrize("dtype", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])])
def test_more_than_one_number_a_voxel(tmp_path: Path, dtype: np.dtype) -> None:
    refused(scan(tmp_path / "a.nii", np.zeros((4, 4, 4), dtype)), "one number a voxel")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_voxel_that_is_no_number(tmp_path: Path, value: float) -> None:
    array = np.zeros((4, 4, 4))
    array[3, 2, 1] = value
    refused(scan(tmp_path / "a.nii.gz", array), "NaN or infinite voxels")


def nan_affine() -> np.ndarray:
    affine = np.eye(4)
    affine[0, 3] = np.nan
    return affine


def test_a_singular_affine(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, 1] = affine[:3, 0]
    path = scan(tmp_path / "a.nii")
    _set_sform(path, affine)
    refused(path, "singular")
    _set_sform(path, np.diag([1, 1, 0, 1]))
    refused(path, "voxels of 1 × 1 × 0 mm")
    _set_sform(path, nan_affine())
    refused(path, "NaN")


def _set_sform(path: Path, affine: np.ndarray) -> None:
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, 252, 0, 1)  # qform_code, sform_code
    struct.pack_into("<12f", content, 280, *affine[:3].ravel())
    path.write_bytes(content)


@pytest.mark.parametrize("size", [1e-4, 500])
def test_an_absurd_spacing(tmp_path: Path, size: float) -> None:
    refused(scan(tmp_path / "a.nii", affine=np.diag([1, 1, size, 1])), "possible: 0.01 to 100 mm")


def claim(path: Path, shape: tuple[int, int, int]) -> Path:
    """Make a header claim another shape than the file has."""
    zipped = path.suffix == ".gz"
    content = bytearray(gzip.decompress(path.read_bytes()) if zipped else path.read_bytes())
    struct.pack_into("<4h", content, 40, 3, *shape)
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_of_1e12_voxels_is_refused_before_anything_is_allocated(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = claim(scan(tmp_path / name), (10000, 10000, 10000))
    monkeypatch.setattr(nib.arrayproxy.ArrayProxy, "get_unscaled", None)  # reading would fail
    refused(path, "cannot hold 10000 × 10000 × 10000 voxels")


def test_more_voxels_than_memory_holds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = scan(tmp_path / "a.nii.gz")
    monkeypatch.setattr(compact, "memory_bytes", lambda: 8000 * (2 + 8) - 1)
    refused(path, "GiB of memory")
    monkeypatch.setattr(compact, "memory_bytes", lambda: 8000 * (2 + 8))
    read(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_a_little_more_than_the_file_has(tmp_path: Path, name: str) -> None:
    refused(claim(scan(tmp_path / name), (20, 20, 21)), "cut short|cannot be read")


def test_a_negative_length(tmp_path: Path) -> None:
    refused(claim(scan(tmp_path / "a.nii"), (20, -20, 20)), "no voxels|cannot be read")


def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    """Rotation x shear x voxel sizes of either sign, with an origin far away."""
    turn = Rotation.from_euler("xyz", draw(st.tuples(ANGLE, ANGLE, ANGLE))).as_matrix()
    shear = np.eye(3)
    shear[0, 1], shear[0, 2], shear[1, 2] = draw(st.tuples(SHEAR, SHEAR, SHEAR))
    sign = draw(st.sampled_from([-1, 1]))
    sizes = draw(st.tuples(COLUMN_MM, COLUMN_MM, COLUMN_MM.map(lambda size: sign * size)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ shear @ np.diag(sizes)
    affine[:3, 3] = draw(st.tuples(ORIGIN_MM, ORIGIN_MM, ORIGIN_MM))
    return affine


def written(affine: NDArray[np.float64], image_class: type[nib.Nifti1Image]) -> nib.Nifti1Image:
    """What nibabel reads of a mask that was written with `affine`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.nii.gz"
        write_nifti(path, np.zeros((40, 30, 20), np.uint8), affine, image_class)
        return open_nifti(path)


@settings(max_examples=200, deadline=None)
@given(affines())
def test_any_affine_of_double_precision_is_written_exactly_to_nifti_2(
    affine: NDArray[np.float64],
) -> None:
    image = written(affine, nib.Nifti2Image)
    assert isinstance(image, nib.Nifti2Image)
    assert np.array_equal(image.affine, affine)


@settings(max_examples=200, deadline=None)
@given(affines())
def test_any_affine_of_single_precision_is_written_exactly_to_nifti_1(
    affine: NDArray[np.float64],
) -> None:
    single = affine.astype(np.float32).astype(np.float64)
    image = written(single, nib.Nifti1Image)
    assert not isinstance(image, nib.Nifti2Image)
    assert np.array_equal(image.affine, single)


@settings(max_examples=200, deadline=None)
@given(affines())
def test_any_affine_of_double_precision_is_rounded_in_nifti_1_only_to_single_precision(
    affine: NDArray[np.float64],
) -> None:
    """Half a unit in the last place of float32 is 2 ** -24 of a number."""
    assert np.allclose(written(affine, nib.Nifti1Image).affine, affine, rtol=2.0**-24, atol=1e-30)


@settings(max_examples=200, deadline=None)
@given(affines(), st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]))
def test_a_qform_of_a_written_file_agrees_with_its_affine_or_has_code_0(
    affine: NDArray[np.float64], image_class: type[nib.Nifti1Image]
) -> None:
    image = written(affine, image_class)
    qform, code = image.get_qform(coded=True)
    if code > 0:
        last = np.array([39, 29, 19, 1])
        assert np.linalg.norm((qform - affine) @ last) < 0.02
    else:
        assert image.get_sform(coded=True)[1] > 0


def test_a_grid_without_shear_gets_both_forms_and_a_sheared_one_the_sform_alone() -> None:
    upright, sheared = np.diag([-0.75, -0.75, 5, 1.0]), np.diag([-0.75, -0.75, 5, 1.0])
    sheared[1, 2] = 5 * np.tan(np.deg2rad(1))  # a gantry tilted by 1 degree
    codes = [
        (int(image.get_sform(coded=True)[1]), int(image.get_qform(coded=True)[1]))
        for image in (written(upright, nib.Nifti1Image), written(sheared, nib.Nifti1Image))
    ]
    assert codes == [(2, 2), (2, 0)]
