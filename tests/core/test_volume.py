"""Tests of scans in memory: views are brought into C order, in place where possible."""

from itertools import permutations, product
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from wsseg.core.volume import Grid, in_c_order
from wsseg.data.reading import read_volume

ORDERS: tuple[Literal["C", "F"], ...] = ("C", "F")
FLIPS = [tuple(slice(None, None, step) for step in steps) for steps in product((1, -1), repeat=3)]


@given(
    st.tuples(*[st.integers(1, 5)] * 3),
    st.sampled_from(list(permutations(range(3)))),
    st.sampled_from(FLIPS),
    st.sampled_from(ORDERS),
)
def test_any_view_becomes_an_array_of_equal_values_in_c_order(
    shape: tuple[int, int, int],
    axes: tuple[int, int, int],
    flips: tuple[slice, ...],
    order: Literal["C", "F"],
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).copy(order)
    turned = array.transpose(axes)[flips]
    expected = turned.copy(order="C")
    found = in_c_order(turned)
    assert np.array_equal(found, expected)
    assert found.flags.c_contiguous


@pytest.mark.parametrize("flips", FLIPS)
def test_a_flipped_array_keeps_its_memory(flips: tuple[slice, ...]) -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert np.shares_memory(in_c_order(array[flips]), array)


def test_a_read_only_array_is_copied() -> None:
    array = np.arange(8).reshape(2, 2, 2)
    array.flags.writeable = False
    assert in_c_order(array[::-1]).ravel().tolist() == [4, 5, 6, 7, 0, 1, 2, 3]
    assert array.ravel().tolist() == list(range(8))


def test_reading_does_not_change_a_memory_mapped_file(tmp_path: Path) -> None:
    """An uncompressed file is read through a memory map, whose slices are flipped in memory."""
    values = np.arange(4 * 3 * 2, dtype=np.int16).reshape(4, 3, 2)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii")
    before = (tmp_path / "a.nii").read_bytes()
    first = read_volume(tmp_path / "a.nii").channel()
    assert (tmp_path / "a.nii").read_bytes() == before
    assert np.array_equal(read_volume(tmp_path / "a.nii").channel(), first)
    assert np.array_equal(first, values.T[:, ::-1, ::-1])


def test_steps_of_an_orthogonal_grid_are_its_spacing_and_exactly_0_elsewhere() -> None:
    turned = Rotation.from_euler("xyz", [9, -4, 12], degrees=True).as_matrix()
    for turn in (np.eye(3), turned, turned.astype(np.float32)):
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag([-0.7, -0.8, 5])
        grid = Grid((6, 5, 4), affine)
        assert np.array_equal(grid.steps_mm, np.diag(grid.spacing_mm))


def test_steps_have_the_lengths_and_angles_of_the_affine() -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.array([[-0.7, 0.1, 0.4], [0, -0.8, 1.5], [0, 0, 5]])
    z, row, column = affine[:3, 2], affine[:3, 1], affine[:3, 0]
    steps = Grid((6, 5, 4), affine).steps_mm
    products = np.array([[a @ b for b in (z, row, column)] for a in (z, row, column)])
    assert steps @ steps.T == pytest.approx(products)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR", "PIL"])
def test_a_resampled_grid_has_the_same_field_of_view(axes: str) -> None:
    codes = nib.orientations.axcodes2ornt(axes)
    affine = nib.orientations.inv_ornt_aff(codes, (6, 9, 8)) @ np.diag([0.7, 0.8, 5, 1])
    affine[0, :3] += 0.01
    grid = Grid((6, 9, 8), affine)
    z, height, width = grid.canonical_shape
    small = grid.resampled((0.5, 2), (z // 2, 3, 2), (slice(0, 3), slice(0, 2)))
    assert small.canonical_shape == small.shape == (z // 2, 3, 2)
    expected = np.multiply(grid.steps_mm.T, [2, height / 3, width / 2]).T
    assert small.steps_mm == pytest.approx(expected)
    padded = grid.resampled((0.5, 2), (z // 2, 7, 6), (slice(2, 5), slice(3, 5)))
    assert padded.affine @ [1, 2, 3, 1] == pytest.approx(small.affine @ [1, 0, 0, 1])
    assert padded.affine @ [0, 4, 4, 1] == pytest.approx(small.affine @ [0, 2, 1, 1])
    own = grid.resampled((0, 1), (z, height, width), (slice(0, height), slice(0, width)))
    for corner in product((-0.5, 2.5), (-0.5, height - 0.5), (-0.5, width - 0.5)):
        of_small = ((corner[0] - 0.5) / 2, *(c for c in corner[1:]))
        rows, columns = (of_small[1] + 0.5) * 3 / height, (of_small[2] + 0.5) * 2 / width
        at = small.affine @ [of_small[0], rows - 0.5, columns - 0.5, 1]
        assert at == pytest.approx(own.affine @ [*corner, 1])
