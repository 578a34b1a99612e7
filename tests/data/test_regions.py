from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from wsseg.data.case import Case
from wsseg.data.regions import Everything, FileRegion, Nonzero
from wsseg.data.volume import Grid, Volume
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
