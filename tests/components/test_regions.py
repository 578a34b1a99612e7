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
    return Volume(voxels, grid)


CASE = Case("a", "a", Path("a.nii.gz"))


def test_everything_is_everything() -> None:
    assert Everything()(CASE, volume(np.zeros((2, 3, 4)))).all()


def test_nonzero_is_the_head_with_its_ventricles_and_without_the_background() -> None:
    voxels = np.zeros((2, 7, 7))
    voxels[0, 1:6, 1:6] = 50
    voxels[0, 3, 3] = 0  # enclosed
    voxels[0, 1, 3] = -2  # a value below the background's is a value
    mask = Nonzero()(CASE, volume(voxels))
    expected = np.zeros((2, 7, 7), bool)
    expected[0, 1:6, 1:6] = True
    assert np.array_equal(mask, expected)


def test_foreground_is_brighter_than_the_mean_with_what_it_encloses() -> None:
    voxels = np.full((2, 7, 7), 3)  # air is not 0 on MRI; the mean is below 40
    voxels[0, 1:6, 1:6] = 90
    voxels[0, 2:5, 2:5] = 20  # a dark brain in a bright scalp
    expected = np.zeros((2, 7, 7), bool)
    expected[0, 1:6, 1:6] = True
    assert np.array_equal(Foreground()(CASE, volume(voxels)), expected)


def test_foreground_further_inward_leaves_the_scalp_out_slice_by_slice_in_mm() -> None:
    voxels = np.zeros((3, 9, 9))
    voxels[1, 1:8, 1:8] = 90
    grid = Grid((9, 9, 3), np.diag([-2.0, -2.0, 1.0, 1.0]))  # the outermost voxel is 2 mm inside
    inside = Foreground(inward_mm=2)(CASE, Volume(voxels, grid))
    assert inside[1].sum() == 5 * 5
    assert not inside[[0, 2]].any()
    assert Foreground(inward_mm=1.9)(CASE, Volume(voxels, grid))[1].sum() == 7 * 7


def test_the_images_own_edge_is_no_border_of_the_foreground() -> None:
    voxels = np.zeros((2, 6, 6))
    voxels[0] = 90  # fills the view
    voxels[1, :, :3] = 90
    inside = Foreground(inward_mm=1)(CASE, volume(voxels))
    assert inside[0].all()
    assert inside[1, :, :2].all()
    assert not inside[1, :, 2:].any()


def test_of_an_image_without_contrast_nothing_is_foreground() -> None:
    assert not Foreground()(CASE, volume(np.full((2, 3, 3), 7))).any()


def test_a_file_region_is_the_cases_mask(tmp_path: Path) -> None:
    voxels = np.zeros((2, 3, 4))
    scan = volume(voxels)
    labels = np.zeros((4, 3, 2), np.uint8)
    labels[0, 1, 1] = 1
    nib.save(nib.Nifti1Image(labels, scan.grid.affine), tmp_path / "lung.nii.gz")
    case = Case("a", "a", Path("a.nii.gz"), masks={"lung": tmp_path / "lung.nii.gz"})
    region = FileRegion(mask="lung")
    assert np.argwhere(region(case, scan)).tolist() == [[1, 1, 0]]
    assert region.files(case) == (tmp_path / "lung.nii.gz",)


def test_a_file_region_names_the_case_that_lacks_the_mask() -> None:
    with pytest.raises(InputError, match=r"^case a: has no mask 'lung'"):
        FileRegion(mask="lung")(CASE, volume(np.zeros((2, 3, 4))))
