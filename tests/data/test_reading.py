import struct
from pathlib import Path
from typing import final

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from wsseg.components.metrics import SurfaceDistance, VolumeError
from wsseg.core.case import Case
from wsseg.core.image_unit import AnyUnit, ImageUnit
from wsseg.core.volume import Grid, Volume
from wsseg.data.mask_files import write_mask
from wsseg.data.reading import read_case, read_case_mask, read_mask, read_volume
from wsseg.data.validation import check_unit
from wsseg.errors import InputError

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
ORIENTATIONS = ("RAS", "LPS", "LAS", "SRA", "PIL", "ASR")


def affine_of(axes: str, sizes: tuple[float, float, float] = (2, 3, 5)) -> np.ndarray:
    """Return an affine whose array axes point towards `axes`, with voxels of `sizes` along them."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (towards, size) in enumerate(zip(axes, sizes, strict=True)):
        row = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}[towards]
        affine[row, axis] = size if towards in "RAS" else -size
    affine[:3, 3] = (7, -11, 13)
    return affine


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def load(path: Path) -> nib.Nifti1Image:
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    return image


def test_voxels_are_in_canonical_orientation_whatever_the_orientation_of_the_file(
    tmp_path: Path,
) -> None:
    for axes in ORIENTATIONS:
        image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine_of(axes))
        array = np.asarray(image.dataobj)
        for name, value in (("S", 100), ("P", 10), ("L", 1)):  # mark what lies farthest that way
            along = next(
                i for i, a in enumerate(axes) if a in {"S": "SI", "P": "PA", "L": "LR"}[name]
            )
            far: list[slice | int] = [slice(None)] * 3
            far[along] = -1 if axes[along] == name else 0
            array[tuple(far)] += value
        voxels = read_volume(save(tmp_path / "a.nii.gz", array, affine_of(axes))).channel()
        assert voxels[-1, -1, -1] == 111, axes
        assert voxels[-1, 0, 0] == 100, axes
        assert voxels[0, -1, 0] == 10, axes
        assert voxels[0, 0, -1] == 1, axes


def test_spacing_is_in_the_order_slice_row_and_column(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((4, 5, 6), np.int16), affine_of("SRA", (2, 3, 5)))
    volume = read_volume(path)
    assert volume.spacing_mm == pytest.approx((2, 5, 3))
    assert volume.channel().shape == (4, 6, 5)
    assert volume.grid.canonical_shape == (4, 6, 5)


def test_metrics_use_the_distance_between_the_planes_of_a_sheared_grid() -> None:
    """The planes of slices 5 mm apart along an axis tilted by 30 degrees are 4.33 mm apart.

    The outer row is 2 slices, 10 mm, below the outer row of the other mask.
    """
    c, s = np.cos(np.pi / 6), 0.5
    affine = np.eye(4)
    affine[:3, :3] = np.transpose([[0.8, 0, 0], [0, 0.8 * c, 0.8 * s], [0, 0, 5]])
    grid = Grid((4, 5, 6), affine)
    assert grid.spacing_mm == pytest.approx((4.330127, 0.8, 0.8))
    here, two_above = np.zeros((2, 6, 5, 4), np.bool_)
    here[1], two_above[3] = True, True
    measured = SurfaceDistance()(here, two_above, grid, here)
    assert measured["hd95_mm"] == pytest.approx(10)
    volumes = VolumeError()(here, two_above, grid, here)
    assert volumes["volume_ml"] == pytest.approx(20 * 0.8 * 0.8 * 4.330127 / 1000)


@settings(max_examples=100)
@given(
    st.sampled_from(ORIENTATIONS),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.tuples(*[st.floats(-0.4, 0.4)] * 6),
)
def test_the_product_of_spacings_is_the_volume_of_a_voxel(
    axes: str, sizes: tuple[float, float, float], shear: tuple[float, ...]
) -> None:
    affine = affine_of(axes, sizes)
    mixed = np.eye(3)
    mixed[~np.eye(3, dtype=bool)] = shear
    affine[:3, :3] = mixed @ affine[:3, :3]
    x, y, z = affine[:3, :3].T
    volume_mm3 = abs(float(np.cross(x, y) @ z))
    spacing_mm = Grid((4, 5, 6), affine).spacing_mm
    assert np.prod(spacing_mm) == pytest.approx(volume_mm3, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("image_class", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_mask_of_a_sheared_scan_has_the_scans_affine_and_nifti_version(
    tmp_path: Path, image_class: type[nib.Nifti1Image]
) -> None:
    affine = np.diag([-0.7, -0.7, 5.0, 1])
    affine[:3, 2:] = np.array([[0.1, 184.1], [5 * np.tan(np.deg2rad(15)), 184.1], [5, -17.3]])
    nib.save(image_class(np.zeros((6, 5, 4), np.int16), affine), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    write_mask(tmp_path / "m.nii.gz", np.ones(volume.shape, np.uint8), volume.grid)
    scan, mask = load(tmp_path / "a.nii.gz"), load(tmp_path / "m.nii.gz")
    assert type(mask) is type(scan) is image_class
    assert np.array_equal(mask.affine, scan.affine)


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_a_mask_is_written_on_the_grid_of_the_scans_file(tmp_path: Path, axes: str) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6), dtype=np.int16)
    affine = affine_of(axes)
    affine[:3, :3] = affine[:3, :3] @ rotation(0.1)
    image = save(tmp_path / "image.nii.gz", array, affine)
    volume = read_volume(image)
    write_mask(tmp_path / "mask.nii.gz", (volume.channel() > 0).astype(np.uint8), volume.grid)
    written, given_ = load(tmp_path / "mask.nii.gz"), load(image)
    assert np.array_equal(written.affine, given_.affine)
    assert np.array_equal(np.asarray(written.dataobj) == 1, array > 0)
    assert np.array_equal(read_mask(tmp_path / "mask.nii.gz", volume.grid), volume.channel() > 0)


def rotation(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def test_the_affine_of_a_quaternion_is_copied_exactly(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4))
    image.set_sform(None, code=0)
    image.set_qform(np.diag([0.7, 0.7, 1.3, 1]) @ affine_rotation(0.3), code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    write_mask(tmp_path / "m.nii.gz", np.zeros(volume.shape, np.uint8), volume.grid)
    same = load(tmp_path / "m.nii.gz").affine == load(tmp_path / "a.nii.gz").affine
    assert same.all()


def affine_rotation(angle: float) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = rotation(angle)
    return affine


@settings(max_examples=30)
@given(
    st.sampled_from(ORIENTATIONS), st.tuples(*[st.integers(1, 5)] * 3), st.integers(0, 2**32 - 1)
)
def test_to_file_is_the_inverse_of_to_canonical(
    axes: str, shape: tuple[int, int, int], seed: int
) -> None:
    array = np.random.default_rng(seed).integers(0, 99, shape)
    grid = Grid(shape, affine_of(axes))
    assert np.array_equal(grid.to_file(grid.to_canonical(array.copy())), array)


def test_slice_numbers_are_those_of_the_file() -> None:
    up, down = Grid((2, 2, 7), affine_of("RAS")), Grid((2, 2, 7), affine_of("RAI"))
    assert [up.slice_in_file(z) for z in (0, 6)] == [0, 6]
    assert [down.slice_in_file(z) for z in (0, 6)] == [6, 0]


def test_given_axes_replace_the_orientation_of_the_affine(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    volume = read_volume(save(tmp_path / "a.nii.gz", array), axes="LPS")
    assert np.array_equal(volume.channel(), array.T)  # as an upright picture
    write_mask(tmp_path / "m.nii.gz", (volume.channel() > 9).astype(np.uint8), volume.grid)
    assert np.array_equal(np.asarray(load(tmp_path / "m.nii.gz").dataobj), array > 9)


def test_a_frame_is_read_as_one_slice_at_its_position(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    volume = read_volume(save(tmp_path / "a.nii.gz", array, affine_of("RAS")), frame=2)
    assert volume.grid.shape == (2, 3, 1)
    assert volume.grid.affine[:3, 3].tolist() == [7, -11, 13 + 2 * 5]
    assert np.array_equal(volume.grid.to_file(volume.channel())[..., 0], array[..., 2])
    with pytest.raises(InputError, match="there is no frame 4; possible: 0 to 3"):
        read_volume(tmp_path / "a.nii.gz", frame=4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_integer_values_are_read_as_int16(tmp_path: Path, dtype: type) -> None:
    array: np.ndarray = np.full((2, 2, 2), 200, dtype)
    assert read_volume(save(tmp_path / "a.nii", array)).channel().dtype == np.int16


def test_fractions_and_values_beyond_int16_are_read_as_float32(tmp_path: Path) -> None:
    arrays: list[np.ndarray] = [np.full((2, 2, 2), 0.5), np.full((2, 2, 2), 40000, np.uint16)]
    for array in arrays:
        voxels = read_volume(save(tmp_path / "a.nii", array)).channel()
        assert voxels.dtype == np.float32
        assert voxels[0, 0, 0] == array[0, 0, 0]


def test_a_fraction_in_the_last_slice_does_not_change_other_slices(tmp_path: Path) -> None:
    array = np.arange(8.0).reshape(2, 2, 2)
    array[1, 1, 1] = 0.25
    volume = read_volume(save(tmp_path / "a.nii", array))
    assert np.array_equal(volume.grid.to_file(volume.channel()), array)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.array([1024, 2024], np.uint16).reshape(2, 1, 1))
    content = bytearray(path.read_bytes())
    struct.pack_into("<2f", content, 112, 1, -1024)  # scl_slope, scl_inter
    path.write_bytes(content)
    for frame in (None, 0):
        voxels = read_volume(path, frame).channel()
        assert sorted(voxels.ravel().tolist()) == [0, 1000]
        assert voxels.dtype == np.int16


def test_a_trailing_axis_of_length_1_is_dropped(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4, 1)
    assert read_volume(save(tmp_path / "a.nii.gz", array)).grid.shape == (2, 3, 4)


def test_a_mask_has_the_voxels_whose_labels_are_among_the_values(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 3], np.uint8).reshape(4, 1, 1)
    path, grid = save(tmp_path / "m.nii.gz", labels), Grid((4, 1, 1), np.eye(4))
    assert grid.to_file(read_mask(path, grid, (1, 2))).ravel().tolist() == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("top", [1, 255])
def test_masks_of_0_and_1_and_of_0_and_255_are_read(tmp_path: Path, top: int) -> None:
    path = save(tmp_path / "m.nii.gz", np.array([0, top], np.uint8).reshape(2, 1, 1))
    assert read_mask(path, Grid((2, 1, 1), np.eye(4))).sum() == 1


@pytest.mark.parametrize(
    ("labels", "known", "said"),
    [
        ([0, 1, 7], None, "unknown labels 7; a mask has 0 and 1"),
        ([0, 0.5, 1], None, "unknown labels 0.5"),
        ([0, 0.9985, 1], None, "unknown labels 0.9985; a mask has 0 and 1"),
        ([0, 1.9999999, 1], None, "unknown labels 2;"),
        ([0, 1, -1], None, "unknown labels -1"),
        ([0, 1, 9], (0, 1, 2, 3), "unknown labels 9; possible: 0, 1, 2, 3"),
    ],
)
def test_unexpected_labels_are_refused_and_listed(
    tmp_path: Path, labels: list[float], known: tuple[int, ...] | None, said: str
) -> None:
    path = save(tmp_path / "m.nii.gz", np.array(labels, np.float32).reshape(3, 1, 1))
    with pytest.raises(InputError, match=said):
        read_mask(path, Grid((3, 1, 1), np.eye(4)), known=known)


@pytest.mark.parametrize("values", [None, (1,)])
@pytest.mark.parametrize("label", [0.999, 0.9999999, 1.0000001, 1.001])
def test_a_label_within_a_thousandth_of_an_integer_is_that_integer(
    tmp_path: Path, label: float, values: tuple[int, ...] | None
) -> None:
    path = save(tmp_path / "m.nii.gz", np.array([1e-7, label, -0.0009]).reshape(3, 1, 1))
    grid = Grid((3, 1, 1), np.eye(4))
    assert grid.to_file(read_mask(path, grid, values)).ravel().tolist() == [False, True, False]


def test_labels_of_a_mask_of_0_and_255_are_rounded_like_any_others(tmp_path: Path) -> None:
    path = save(tmp_path / "m.nii.gz", np.array([0.001, 254.9991]).reshape(2, 1, 1))
    assert read_mask(path, Grid((2, 1, 1), np.eye(4))).sum() == 1


def test_a_mask_with_another_shape_or_affine_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.nii.gz", np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(InputError, match=r"shape is \(3, 4, 5\), but its image has \(3, 4, 6\)"):
        read_mask(path, Grid((3, 4, 6), np.eye(4)))
    shifted = np.eye(4)
    shifted[:3, 3] = (3, 4, 0)
    with pytest.raises(InputError, match="lies up to 5 mm from its image"):
        read_mask(path, Grid((3, 4, 5), shifted))
    with pytest.raises(InputError, match="lies up to 4 mm"):  # the fifth slice, 2 mm thick
        read_mask(path, Grid((3, 4, 5), np.diag([1, 1, 2, 1])))


def test_a_mask_whose_affine_differs_by_rounding_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "m.nii.gz", np.ones((3, 4, 5), np.uint8))
    assert read_mask(path, Grid((3, 4, 5), np.eye(4) * 1.001)).all()


def test_a_mask_in_another_orientation_is_brought_to_that_of_its_scan(tmp_path: Path) -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[0] = 1
    save(tmp_path / "m.nii.gz", labels, affine_of("RAS", (1, 1, 1)))
    flipped = affine_of("LAS", (1, 1, 1))
    flipped[0, 3] += 2
    mask = read_mask(tmp_path / "m.nii.gz", Grid((3, 4, 5), flipped))
    assert Grid((3, 4, 5), flipped).to_file(mask)[2].all()
    assert mask.sum() == 20


@final
class Percent(ImageUnit):
    """A unit whose images have a value above 1; values below -10 are outside the field of view."""

    name = "percent"
    lowest_measured = -10.0

    @override
    def mismatch(self, lowest: float, highest: float) -> str:
        return "" if highest > 1 else f"a fraction from {lowest:g}. Multiply it by 100"


def volume(*values: float) -> Volume:
    voxels = np.array(values, np.float32).reshape(-1, 1, 1)
    return Volume(voxels[None], Grid((1, 1, len(values)), np.eye(4)))


def test_an_image_that_cannot_be_in_its_unit_is_refused_with_its_measured_range() -> None:
    message = r"^a.nii: the image is not in percent: its values go from -1 to 1, like a fraction"
    with pytest.raises(InputError, match=message):
        check_unit(volume(0, -1, -50, 1).channel(), Percent(), "a.nii")
    with pytest.raises(InputError, match="values go from 0 to 0"):
        check_unit(volume(-50, -50).channel(), Percent(), "a scan without any measured value")
    check_unit(volume(0, 1, 99).channel(), Percent(), "a.nii")
    check_unit(volume(0, 1).channel(), AnyUnit(), "a.nii")


def test_errors_of_a_case_start_with_its_name(tmp_path: Path) -> None:
    case = Case("p7", "p7", tmp_path / "no.nii.gz")
    with pytest.raises(InputError, match=r"^case p7: .*file not found"):
        read_case(case)
    with pytest.raises(InputError, match=r"^case p7: no mask is called 'lung'; possible: none"):
        read_case_mask(case, "lung", Grid((1, 1, 1), np.eye(4)))


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", ["example_ct_sm", "pulmonary_ct_cropped"])
def test_masks_of_real_scans_have_the_scans_grid(tmp_path: Path, name: str) -> None:
    path = SHARED / "ct-small" / f"{name}.nii.gz"
    volume = read_volume(path)
    write_mask(tmp_path / "m.nii.gz", (volume.channel() > -200).astype(np.uint8), volume.grid)
    given_, written = load(path), load(tmp_path / "m.nii.gz")
    assert np.array_equal(given_.affine, written.affine)
    assert np.array_equal(np.asarray(written.dataobj), np.asarray(given_.dataobj) > -200)
    bone = volume.channel() > 300
    assert bone[:, bone.shape[1] // 2 :].sum() > bone[:, : bone.shape[1] // 2].sum()  # the spine
