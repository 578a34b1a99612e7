"""Scans and masks in memory, in the orientation of radiology, and the grid of their file."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, TypeAlias, TypeVar

import nibabel as nib
import numpy as np
from nibabel import orientations
from numpy.typing import NDArray

from wsseg.core.channels import ONE_CHANNEL, channel_index
from wsseg.core.weak_labels import Box
from wsseg.runtime.threads import run_in_threads

CANONICAL_AXES = "SPL"  # the directions of the axes of (Z, H, W)
CANONICAL = orientations.axcodes2ornt(CANONICAL_AXES)
SHEAR_TOLERANCE = 1e-5  # shift per spacing; less is a rounding error of the file's affine
T = TypeVar("T", bound=np.generic)
Range: TypeAlias = tuple[float, float]  # the start and the end along an axis, in voxels

VoxelMask: TypeAlias = NDArray[np.bool_]
"""The mask of a scan, (Z, H, W) bool.

Example:
    >>> import numpy as np
    >>> from wsseg import VoxelMask
    >>> nothing: VoxelMask = np.zeros((40, 512, 512), dtype=np.bool_)
"""

Spacing: TypeAlias = tuple[float, float, float]
"""The distances between slices, between rows and between columns, in mm; 1 each for pictures.

Example:
    >>> from wsseg import Spacing
    >>> spacing_mm: Spacing = (5.0, 0.75, 0.75)
"""


@dataclass(frozen=True)
class Grid:
    """The positions of a file's voxels.

    Example:
        >>> import numpy as np
        >>> from wsseg import Grid
        >>> grid = Grid((512, 512, 40), np.diag([0.75, 0.75, 5, 1]))
        >>> grid.spacing_mm, grid.canonical_shape
        ((5.0, 0.75, 0.75), (40, 512, 512))
    """

    shape: tuple[int, int, int]
    """The shape of the file's array."""
    affine: NDArray[np.float64]
    """From array indices to RAS millimetres (right, front, head), (4, 4)."""
    axes: str = ""
    """The directions of the axes, such as "LPS" (left, back, head), if the affine is wrong."""
    image_class: type[nib.Nifti1Image] = nib.Nifti1Image
    """The format of masks on this grid: NIfTI-2, with a float64 affine, for a scan in NIfTI-2."""
    unit: Literal["mm", "px"] = "mm"
    """The unit of lengths: px for pictures, whose size in millimetres is unknown."""

    def to_canonical(self, array: NDArray[T]) -> NDArray[T]:
        """Return the file's array as (Z, H, W); may reuse, and so change, the memory of `array`."""
        turned: NDArray[T] = orientations.apply_orientation(array, self._turn)
        return in_c_order(turned)

    def to_file(self, voxels: NDArray[T]) -> NDArray[T]:
        """Return an array (Z, H, W) in the order of the file's axes."""
        back = orientations.ornt_transform(CANONICAL, self._orientation)
        turned: NDArray[T] = orientations.apply_orientation(voxels, back)
        return turned

    @property
    def canonical_shape(self) -> tuple[int, int, int]:
        """The shape of the scan as (Z, H, W)."""
        z, row, column = (self.shape[axis] for axis in self._file_axes)
        return z, row, column

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """The distances between neighbouring slices, rows and columns.

        The distance of slices is measured along the normal of their planes, and that of rows at
        right angles to the rows. On a sheared grid, such as that of a tilted gantry, it is less
        than the distance between the centres of voxels (z, y, x) and (z + 1, y, x). On any grid the
        product of the three is the volume of a voxel, |det(affine)|. Those of a picture are 1.
        """
        z_mm, row_mm, column_mm = (float(np.linalg.norm(step)) for step in self._orthogonal_steps)
        return z_mm, row_mm, column_mm

    @property
    def steps_mm(self) -> NDArray[np.float64]:
        """The displacements to the next slice, row and column, as the rows of a (3, 3) matrix.

        Their coordinates are along the normal of the slices, in the slice at right angles to the
        rows, and along the rows. The diagonal is `spacing_mm`; the values above it are 0 unless the
        grid is sheared, as that of a tilted gantry is. The product of indices (z, row, column),
        (N, 3), and this matrix are positions in mm, from which distances can be computed.

        Example:
            >>> import numpy as np
            >>> from wsseg import Grid
            >>> drifting = np.array([[-1, 0, 0.5, 0], [0, -1, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]])
            >>> Grid((512, 512, 40), drifting).steps_mm.tolist()
            [[5.0, 0.0, -0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        """
        spacing_mm, across = np.array(self.spacing_mm), np.array(self._orthogonal_steps)
        directions = across / spacing_mm[:, None]
        shift_mm = np.triu(self._canonical_affine[:3, :3].T @ directions.T, 1)
        shift_mm[np.abs(shift_mm) <= SHEAR_TOLERANCE * spacing_mm] = 0
        return np.asarray(np.diag(spacing_mm) + shift_mm)

    def resampled(
        self,
        slices: tuple[float, float],
        shape: tuple[int, int, int],
        view: tuple[slice, slice],
    ) -> "Grid":
        """Return a grid of another `shape`, (Z, H, W).

        With `slices` = (first, step), its slices are at first, first + step, ..., in canonical
        slices of this grid. The rows and columns of `view` divide this grid's field of view evenly.
        """
        (first, step), (_, height, width), (rows, columns) = slices, self.canonical_shape, view
        row = height / (rows.stop - rows.start)
        column = width / (columns.stop - columns.start)
        to_own = np.diag([step, row, column, 1.0])
        to_own[:3, 3] = (
            first,
            row * (1 / 2 - rows.start) - 1 / 2,
            column * (1 / 2 - columns.start) - 1 / 2,
        )
        return replace(
            self, shape=shape, affine=self._canonical_affine @ to_own, axes=CANONICAL_AXES
        )

    def slice_in_file(self, z: int) -> int:
        """Return the number that slice `z` has in the file; both are counted from 0."""
        runs_down = self._turn[self._file_axes[0], 1] < 0
        return self.canonical_shape[0] - 1 - z if runs_down else z

    def canonical_ranges(self, box: Box) -> tuple[Range, Range, Range]:
        """Return the ranges of slices, rows and columns that a box covers in (Z, H, W)."""
        z_axis = self._file_axes[0]
        z_range = (0, self.shape[z_axis])
        if box.slices is not None:
            z_range = box.slices[0], box.slices[1] + 1
        in_slice = iter((box.x_range, box.y_range))
        ranges = [z_range if axis == z_axis else next(in_slice) for axis in range(3)]
        for axis in self._file_axes:
            if self._turn[axis, 1] < 0:
                low, high = ranges[axis]
                ranges[axis] = self.shape[axis] - high, self.shape[axis] - low
        z, row, column = (ranges[axis] for axis in self._file_axes)
        return z, row, column

    def shift_mm(self, other: "Grid") -> float:
        """Return the largest distance between matching corners of two grids of the same shape."""
        corners = np.array([(*c, 1) for c in product(*((0, n - 1) for n in self.canonical_shape))])
        shifts = corners @ (self._canonical_affine - other._canonical_affine).T  # noqa: SLF001
        return float(np.sqrt((shifts[:, :3] ** 2).sum(axis=1)).max())

    def index_from(self, other: "Grid") -> NDArray[np.float64]:
        """Return the matrix, (4, 4), from indices (z, row, column) of `other` to this grid's."""
        own, others = self._canonical_affine, other._canonical_affine  # noqa: SLF001
        return np.asarray(np.linalg.solve(own, others))

    @property
    def _orthogonal_steps(self) -> tuple[NDArray[np.float64], ...]:
        """The parts of the steps along z, row and column that are orthogonal to the next ones."""
        z, row, column = self._canonical_affine[:3, :3].T
        row = _across(row, column)
        return _across(_across(z, column), row), row, column

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
        """The axes of the file's array that become z, row and column."""
        return [int(axis) for axis in np.argsort(self._turn[:, 0])]

    @property
    def _canonical_affine(self) -> NDArray[np.float64]:
        back = orientations.inv_ornt_aff(self._turn, self.shape)
        return np.asarray(self.affine @ back)


@dataclass(frozen=True)
class Volume:
    """A scan, (C, Z, H, W), in the orientation of radiology.

    Slices run from feet to head, rows from front to back, and columns from the patient's right to
    left. A channel is a colour of a picture, or one of several sequences on the same grid.

    Example:
        >>> import numpy as np
        >>> from wsseg import Grid, Volume
        >>> grid = Grid((4, 3, 2), np.diag([1, 1, 5, 1]))
        >>> volume = Volume(np.zeros((2, 2, 3, 4), np.int16), grid, ("t1", "t2"))
        >>> volume.spacing_mm, volume.channel("t2").shape
        ((5.0, 1.0, 1.0), (2, 3, 4))
    """

    voxels: NDArray[Any]
    """The values, (C, Z, H, W): int16, or float32 if int16 would change them."""
    grid: Grid
    """The grid of the file that the scan was read from."""
    channels: tuple[str, ...] = ONE_CHANNEL
    """The names of the C channels."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """The distances between neighbouring slices, rows and columns."""
        return self.grid.spacing_mm

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a mask of the scan, (Z, H, W)."""
        z, height, width = self.voxels.shape[1:]
        return z, height, width

    def channel(self, name: str | None = None) -> NDArray[Any]:
        """Return the values of a channel, (Z, H, W); None: of the only one.

        Raises:
            InputError: There is no such channel, or `name` is None and there are several.
        """
        voxels: NDArray[Any] = self.voxels[channel_index(self.channels, name)]
        return voxels


@dataclass(frozen=True)
class LabelMap:
    """The labels of a scan's voxels, (Z, H, W), in the orientation of radiology.

    Example:
        >>> import numpy as np
        >>> from wsseg import Grid, LabelMap
        >>> labels = LabelMap(np.zeros((2, 3, 4), np.uint8), Grid((4, 3, 2), np.diag([1, 1, 5, 1])))
        >>> labels.spacing_mm
        (5.0, 1.0, 1.0)
    """

    voxels: NDArray[Any]
    """The labels, (Z, H, W)."""
    grid: Grid
    """The grid of their file."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """The distances between neighbouring slices, rows and columns."""
        return self.grid.spacing_mm


def in_c_order(view: NDArray[T]) -> NDArray[T]:
    """Return the values of a view, (Z, H, W), as an array in C order.

    If the view only flips axes of an array, the values are moved within the memory of that array.
    """
    flips = tuple(slice(None, None, -1 if step < 0 else 1) for step in view.strides)
    voxels = view[flips]  # in the order of the memory
    if not (voxels.flags.c_contiguous and voxels.flags.writeable):
        return np.ascontiguousarray(view)
    partner = range(len(voxels))[flips[0]]  # slices z and partner[z] are swapped

    def swap(z: int) -> None:
        first, second = voxels[z][flips[1:]].copy(), voxels[partner[z]][flips[1:]].copy()
        voxels[z], voxels[partner[z]] = second, first

    run_in_threads(swap, [z for z in partner if z <= partner[z]])
    return voxels


def _across(step: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the component of a vector that is orthogonal to `direction`."""
    return step - direction * ((step @ direction) / (direction @ direction))
