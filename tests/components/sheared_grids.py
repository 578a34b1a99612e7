"""Grids for tests of metrics, and the positions of voxels by the affine alone."""

import numpy as np
from hypothesis import strategies as st
from nibabel import orientations
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from wsseg.core.volume import Grid, Spacing, VoxelMask


def grid_of(spacing_mm: Spacing) -> Grid:
    """Return an orthogonal grid."""
    return Grid((1, 1, 1), np.diag([*spacing_mm[::-1], 1]))


def sheared_grid(
    shape: tuple[int, ...], spacing_mm: Spacing, shifts_mm: Spacing, axes: str = "SPL"
) -> Grid:
    """Return a turned grid for masks of `shape`, (Z, H, W), whose file has `axes`.

    `shifts_mm` is how far the next slice is shifted along rows and along columns, and the next row
    along columns.
    """
    steps = np.diag(spacing_mm).astype(float)
    steps[0, 1], steps[0, 2], steps[1, 2] = shifts_mm
    turn = Rotation.from_euler("xyz", [7, -5, 3], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]]) @ steps.T
    affine[:3, 3] = 120, -80, 900
    codes = (orientations.axcodes2ornt(each) for each in ("SPL", axes))
    to_file = orientations.ornt_transform(*codes)
    first, second, third = (shape[list(to_file[:, 0]).index(axis)] for axis in range(3))
    return Grid((first, second, third), affine @ orientations.inv_ornt_aff(to_file, shape))


@st.composite
def sheared_grids(draw: st.DrawFn, shape: tuple[int, ...]) -> Grid:
    """Draw grids as of tilted gantries (up to 30 degrees), drifting slices and sheared images."""
    spacing_mm = draw(st.sampled_from([(1.0, 1.0, 1.0), (5.0, 0.8, 0.7), (2.5, 1.0, 2.0)]))
    down, along, skew = draw(st.tuples(*[st.sampled_from([-0.57, -0.1, 0.0, 0.02, 0.3])] * 3))
    z_mm, row_mm, _ = spacing_mm
    shifts_mm = (down * z_mm, along * z_mm / 2, skew * row_mm)
    axes = draw(st.sampled_from(["SPL", "LPS", "RAS", "PIR"]))
    return sheared_grid(shape, spacing_mm, shifts_mm, axes)


def positions_mm(mask: VoxelMask, grid: Grid) -> NDArray[np.float64]:
    """Return the positions of the voxels of a mask in the patient, (N, 3), by the affine."""
    in_file = np.argwhere(grid.to_file(mask))
    return np.asarray(in_file @ grid.affine[:3, :3].T + grid.affine[:3, 3])
