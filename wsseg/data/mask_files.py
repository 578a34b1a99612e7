"""Masks and probabilities as files, in the format that belongs to their image."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsseg.core.volume import Grid
from wsseg.data.nifti import write_nifti, write_nifti_shares
from wsseg.data.pictures import write_picture_labels
from wsseg.data.tiff import write_tiff_labels

NIFTI, PNG, TIFF = ".nii.gz", ".png", ".tif"


def mask_suffix(grid: Grid) -> str:
    """Return the suffix of masks: .png for pictures, .tif for stacks of them, or .nii.gz."""
    if grid.unit == "mm":
        return NIFTI
    return PNG if grid.canonical_shape[0] == 1 else TIFF


def write_mask(path: Path, voxels: NDArray[np.uint8], grid: Grid) -> None:
    """Write labels, (Z, H, W), in the format of the suffix of `path`.

    A NIfTI file has the array axes and the affine of `grid`. A picture is oriented as its image is
    displayed, and its grey levels are the labels.
    """
    if path.name.endswith(PNG):
        write_picture_labels(path, voxels)
    elif path.name.endswith(TIFF):
        write_tiff_labels(path, voxels)
    else:
        write_nifti(path, grid.to_file(voxels), grid.affine, grid.image_class)


def write_shares(path: Path, shares: NDArray[np.float32], grid: Grid) -> None:
    """Write numbers from 0 to 1, (Z, H, W), in the format of the suffix of `path`.

    A NIfTI file stores them in steps of 2^-15, a picture as grey levels from 0 to 255.
    """
    if path.name.endswith((PNG, TIFF)):
        write_mask(path, np.rint(255 * shares).astype(np.uint8), grid)
    else:
        write_nifti_shares(path, grid.to_file(shares), grid.affine, grid.image_class)
