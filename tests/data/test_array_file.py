"""Reading of `.npy` files: numbers of a possible shape, or an error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from wsseg.data.array_file import array_shape, read_array_file, read_array_labels
from wsseg.errors import InputError


@given(
    values=arrays.arrays(
        st.sampled_from(["u1", "i2", "u2", "f4", "?"]),
        st.one_of(
            st.tuples(st.integers(1, 5), st.integers(1, 5)),
            st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(5, 7)),
        ),
        elements={"allow_nan": False},
    )
)
def test_an_array_is_read_as_slices_of_rows_and_columns(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.generic]
) -> None:
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, values)
    stack = values if values.ndim == 3 else values[None]
    assert array_shape(path) == stack.shape
    assert np.array_equal(read_array_file(path), stack[None])
    assert np.array_equal(read_array_labels(path), stack[None])


def test_three_values_in_the_last_axis_are_colours(tmp_path: Path) -> None:
    values = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    np.save(tmp_path / "a.npy", values)
    assert array_shape(tmp_path / "a.npy") == (1, 4, 5)
    assert np.array_equal(read_array_file(tmp_path / "a.npy"), values.transpose(2, 0, 1)[:, None])
    with pytest.raises(InputError, match="the mask has 3 channels, but must have one"):
        read_array_labels(tmp_path / "a.npy")


def test_one_value_in_the_last_axis_is_grey(tmp_path: Path) -> None:
    values = np.arange(4 * 5, dtype=np.uint8).reshape(4, 5, 1)
    np.save(tmp_path / "a.npy", values)
    assert array_shape(tmp_path / "a.npy") == (1, 4, 5)
    assert np.array_equal(read_array_labels(tmp_path / "a.npy"), values.transpose(2, 0, 1)[:, None])


def objects(path: Path) -> None:
    np.save(path, np.array([[{"a": 1}]], object), allow_pickle=True)


def truncated(path: Path) -> None:
    np.save(path, np.zeros((50, 50)))
    path.write_bytes(path.read_bytes()[:1000])


def archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (objects, "the file is damaged, or not a .npy file of numbers"),
        (truncated, "the file is damaged, or not a .npy file of numbers"),
        (archive, "the file is damaged, or not a .npy file of numbers"),
        (lambda path: path.touch(), "the file is damaged, or not a .npy file of numbers"),
        (lambda path: np.save(path, np.zeros(5)), r"its shape is \(5,\); possible: \(H, W\)"),
        (lambda path: np.save(path, np.zeros((2, 2, 2, 2))), r"its shape is \(2, 2, 2, 2\)"),
        (lambda path: np.save(path, np.zeros((8, 8, 4))), r"its shape is \(8, 8, 4\); .* alpha"),
        (lambda path: np.save(path, np.zeros((8, 8, 2))), r"its shape is \(8, 8, 2\)"),
        (lambda path: np.save(path, np.zeros((0, 4))), r"the array is empty; .* \(0, 4\)"),
        (lambda path: np.save(path, np.zeros((2, 2), complex)), "its values have type complex128"),
        (lambda path: path.unlink(missing_ok=True), "file not found"),
    ],
)
def test_a_file_without_an_array_of_numbers_is_refused(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    write(tmp_path / "a.npy")
    with pytest.raises(InputError, match=rf"a\.npy: {message}"):
        read_array_file(tmp_path / "a.npy")
