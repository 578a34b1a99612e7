"""A synthetic scan with a body and lungs, in the size of a real one."""

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

AIR_HU, TISSUE_HU, LUNG_HU, NOISE_HU = -1000, 40, -850, 20
PIXEL_MM, SLICE_MM = 0.75, 1.25


def write_scan(path: Path, size: int, slices: int) -> Path:
    """Write a compressed scan of `slices` slices of `size` x `size` pixels."""
    generator = np.random.default_rng(0)
    voxels = np.empty((size, size, slices), np.int16)
    for z in range(slices):
        noise = generator.normal(0, NOISE_HU, (size, size))
        voxels[:, :, z] = np.rint(_slice(size, z / slices) + noise)
    affine = np.diag([PIXEL_MM * 512 / size, PIXEL_MM * 512 / size, SLICE_MM, 1])
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def _slice(size: int, height: float) -> NDArray[np.float64]:
    """Draw a body and both lungs, which are largest at half of the height."""
    x, y = np.meshgrid(*2 * [np.linspace(-1, 1, size)], indexing="ij")
    hu = np.where(np.hypot(x / 0.8, y / 0.6) < 1, TISSUE_HU, AIR_HU)
    lung_size = np.sin(np.pi * height)
    for side in (-1, 1):
        lung = np.hypot((x - 0.38 * side) / 0.28, y / 0.42) < lung_size
        hu = np.where(lung, LUNG_HU + 150 * y, hu)
    return hu
