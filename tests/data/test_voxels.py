"""Arrays of voxels have the smallest lossless type, and fit into memory."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg.data import voxels
from wsseg.data.voxels import check_memory, rescale, stack_slices
from wsseg.errors import InputError

PATH = Path("scan.nii")


@pytest.mark.parametrize(
    ("last", "dtype"),
    [
        (np.array([[-32768, 32767]], np.int32), np.int16),
        (np.array([[2.0, -3.0]]), np.int16),
        (np.array([[32768, 0]], np.int32), np.float32),
        (np.array([[0.5, 0.0]]), np.float32),
    ],
)
def test_a_volume_is_int16_only_if_all_its_slices_fit(
    last: NDArray[np.generic], dtype: type[np.generic]
) -> None:
    first = np.array([[7, -7]], np.int16)
    volume = stack_slices([first, last], (1, 2, 2))
    assert volume.dtype == dtype
    assert np.array_equal(volume[..., 0], first)
    assert np.array_equal(volume[..., 1], last)


def test_rescaled_voxels_are_slope_times_stored_plus_intercept() -> None:
    stored = np.array([0, 1, 2], np.int16)
    assert rescale(PATH, stored, 2, -1024).tolist() == [-1024, -1022, -1020]
    assert rescale(PATH, stored, 1, 0) is stored


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_beyond_float32_are_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"^scan\.nii: the image has NaN or infinite values"):
        rescale(PATH, np.array([0.0, value]), 1, 0)


def test_reading_may_use_all_available_memory_but_not_one_byte_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(voxels, "memory_bytes", lambda: 2.0**31)
    check_memory(PATH, 2**31)
    with pytest.raises(InputError, match=r"^scan\.nii: reading it needs 2 GiB of memory"):
        check_memory(PATH, 2**31 + 1)
