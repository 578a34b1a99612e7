from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from wsseg.components.regions import Everything, FileRegion, Foreground, Nonzero
from wsseg.core.case import Case
from wsseg.core.volume import Grid, Volume
from wsseg.errors import InputError


def volume(voxels: np.ndarray) -> Volume:
    z, height, width = voxels.shape
    grid = Grid((width, height, z), np.diag([-1.0, -1.0, 1.0, 1.0]))
    return Volume(voxels[None], grid)


CASE = Case("a", "a", Path("a.nii.gz"))


def test_the_region_everything_contains_all_voxels() -> None:
    assert Everything()(CASE, volume(np.zeros((2, 3, 4)))).all()


def test_nonzero_contains_holes_and_negative_values_but_not_the_background() -> None:
    voxels = np.zeros((2, 7, 7))
    voxels[0, 1:6, 1:6] = 50
    voxels[0, 3, 3] = 0  # enclosed
    voxels[0, 1, 3] = -2  # also other than 0
    mask = Nonzero()(CASE, volume(voxels))
    expected = np.zeros((2, 7, 7), bool)
    expected[0, 1:6, 1:6] = True
    assert np.array_equal(mask, expected)


def test_foreground_is_brighter_than_the_mean_and_has_no_holes() -> None:
    voxels = np.full((2, 7, 7), 3)  # air is not 0 in MRI; the mean is below 40
    voxels[0, 1:6, 1:6] = 90
    voxels[0, 2:5, 2:5] = 20  # a dark brain in a bright scalp
    expected = np.zeros((2, 7, 7), bool)
    expected[0, 1:6, 1:6] = True
    assert np.array_equal(Foreground()(CASE, volume(voxels)), expected)


def test_foreground_is_eroded_in_mm_slice_by_slice() -> None:
    voxels = np.zeros((3, 9, 9))
    voxels[1, 1:8, 1:8] = 90
    grid = Grid((9, 9, 3), np.diag([-2.0, -2.0, 1.0, 1.0]))  # the outermost voxel is 2 mm inside
    inside = Foreground(inward_mm=2)(CASE, Volume(voxels[None], grid))
    assert inside[1].sum() == 5 * 5
    assert not inside[[0, 2]].any()
    assert Foreground(inward_mm=1.9)(CASE, Volume(voxels[None], grid))[1].sum() == 7 * 7


def test_foreground_is_not_eroded_at_the_edge_of_the_image() -> None:
    voxels = np.zeros((2, 6, 6))
    voxels[0] = 90  # fills the view
    voxels[1, :, :3] = 90
    inside = Foreground(inward_mm=1)(CASE, volume(voxels))
    assert inside[0].all()
    assert inside[1, :, :2].all()
    assert not inside[1, :, 2:].any()


def test_the_foreground_of_a_constant_image_is_empty() -> None:
    assert not Foreground()(CASE, volume(np.full((2, 3, 3), 7))).any()


def test_a_file_region_is_the_mask_file_of_the_case(tmp_path: Path) -> None:
    voxels = np.zeros((2, 3, 4))
    scan = volume(voxels)
    labels = np.zeros((4, 3, 2), np.uint8)
    labels[0, 1, 1] = 1
    nib.save(nib.Nifti1Image(labels, scan.grid.affine), tmp_path / "lung.nii.gz")
    case = Case("a", "a", Path("a.nii.gz"), masks={"lung": tmp_path / "lung.nii.gz"})
    region = FileRegion(mask="lung")
    assert np.argwhere(region(case, scan)).tolist() == [[1, 1, 0]]
    assert region.files(case) == (tmp_path / "lung.nii.gz",)


def test_a_missing_mask_of_a_file_region_is_an_error_with_the_name_of_the_case() -> None:
    with pytest.raises(InputError, match=r"^case a: no mask is called 'lung'"):
        FileRegion(mask="lung")(CASE, volume(np.zeros((2, 3, 4))))
