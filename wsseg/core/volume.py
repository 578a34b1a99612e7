"""Scans in memory: voxels as a radiologist views them, and the file grid they came from."""

from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias, TypeVar

import nibabel as nib
import numpy as np
from nibabel import orientations
from numpy.typing import NDArray

from wsseg.runtime.threads import run_in_threads

CANONICAL = orientations.axcodes2ornt("SPL")  # what the axes of (Z, H, W) run towards
VoxelMask: TypeAlias = NDArray[np.bool_]  # (Z, H, W)
Spacing: TypeAlias = tuple[float, float, float]  # mm between slices, rows and columns
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Grid:
    """Where a file's voxels lie: its array's shape, and its affine to RAS millimetres.

    `axes` overrules the affine where that is known to be wrong: what the array's axes run
    towards, such as "LPS" (to the patient's left, back and head). Masks are written as
    `image_class`: NIfTI-2, whose affine has double precision, for a scan in NIfTI-2, else NIfTI-1.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]  # (4, 4)
    axes: str = ""
    image_class: type[nib.Nifti1Image] = nib.Nifti1Image

    def to_canonical(self, array: NDArray[T]) -> NDArray[T]:
        """Turn an array of the file into (Z, H, W); its memory may be taken for that."""
        turned: NDArray[T] = orientations.apply_orientation(array, self._turn)
        return upright(turned)

    def to_file(self, voxels: NDArray[T]) -> NDArray[T]:
        """Turn (Z, H, W) into an array of the file."""
        back = orientations.ornt_transform(CANONICAL, self._orientation)
        turned: NDArray[T] = orientations.apply_orientation(voxels, back)
        return turned

    @property
    def canonical_shape(self) -> tuple[int, int, int]:
        """The shape of (Z, H, W)."""
        z, row, column = (self.shape[axis] for axis in self._file_axes)
        return z, row, column

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between neighbouring slices, between rows and between columns.

        Slices are as far apart as their planes, measured along the normal, and rows as their lines.
        On a sheared grid, such as that of a tilted gantry, this is less than the distance between
        the centres of voxels (z, y, x) and (z + 1, y, x). The product of the three is the volume of
        a voxel, |det(affine)|, on any grid.
        """
        z, row, column = (self.affine[:3, axis] for axis in self._file_axes)
        row = _across(row, column)
        z = _across(_across(z, column), row)
        z_mm, row_mm, column_mm = (float(np.linalg.norm(step)) for step in (z, row, column))
        return z_mm, row_mm, column_mm

    def slice_in_file(self, z: int) -> int:
        """Return the number in the file of canonical slice `z`, both counted from 0."""
        runs_down = self._turn[self._file_axes[0], 1] < 0
        return self.canonical_shape[0] - 1 - z if runs_down else z

    def shift_mm(self, other: "Grid") -> float:
        """Return how far apart the corners of two canonical grids of one shape are, at most."""
        corners = np.array([(*c, 1) for c in product(*((0, n - 1) for n in self.canonical_shape))])
        apart = corners @ (self._canonical_affine - other._canonical_affine).T  # noqa: SLF001
        return float(np.sqrt((apart[:, :3] ** 2).sum(axis=1)).max())

    @property
    def _orientation(self) -> NDArray[np.float64]:
        if self.axes:
            return np.asarray(orientations.axcodes2ornt(self.axes))
        return np.asarray(orientations.io_orientation(self.affine))

    @property
    def _turn(self) -> NDArray[np.float64]:
        return np.asarray(orientations.ornt_transform(self._orientation, CANONICAL))

    @property
    def _file_axes(self) -> list[int]:
        """The file's axis of each of z, row and column."""
        return [int(axis) for axis in np.argsort(self._turn[:, 0])]

    @property
    def _canonical_affine(self) -> NDArray[np.float64]:
        back = orientations.inv_ornt_aff(self._turn, self.shape)
        return np.asarray(self.affine @ back)


@dataclass(frozen=True)
class Volume:
    """Voxels (Z, H, W): z from feet to head, rows from front to back, columns from right to left.

    Right and left are the patient's, so that a slice looks as in radiology.
    """

    voxels: NDArray[Any]  # int16, or float32 where that would lose something
    grid: Grid  # of the file it came from

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between neighbouring slices, between rows and between columns."""
        return self.grid.spacing_mm


def upright(turned: NDArray[T]) -> NDArray[T]:
    """Return what a view shows, (Z, H, W), in C order.

    If it was only flipped, its memory is used for that, and what it was a view of is no more.
    """
    flips = tuple(slice(None, None, -1 if step < 0 else 1) for step in turned.strides)
    voxels = turned[flips]  # as they lie in memory
    if not (voxels.flags.c_contiguous and voxels.flags.writeable):
        return np.ascontiguousarray(turned)
    partner = range(len(voxels))[flips[0]]  # slice z comes to where its partner lies

    def swap(z: int) -> None:
        first, second = voxels[z][flips[1:]].copy(), voxels[partner[z]][flips[1:]].copy()
        voxels[z], voxels[partner[z]] = second, first

    run_in_threads(swap, [z for z in partner if z <= partner[z]])
    return voxels


def _across(step: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of a vector at right angles to `direction`."""
    return step - direction * ((step @ direction) / (direction @ direction))
