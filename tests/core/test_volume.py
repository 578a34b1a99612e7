"""Tests of scans in memory: views are brought into C order, in place where possible."""

from itertools import permutations, product
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsseg.core.volume import in_c_order
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
    first = read_volume(tmp_path / "a.nii").voxels
    assert (tmp_path / "a.nii").read_bytes() == before
    assert np.array_equal(read_volume(tmp_path / "a.nii").voxels, first)
    assert np.array_equal(first, values.T[:, ::-1, ::-1])
