from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg_covid.phantom.space import Space, doubled, smooth_noise

HEIGHTS = np.arange(6, dtype=np.float32) * 5


@pytest.fixture
def space() -> Space:
    return Space.centred(size=200, pixel_mm=1.5, z_mm=HEIGHTS)


def test_a_centred_space_has_the_given_size_and_spacing(space: Space) -> None:
    assert space.shape == (6, 200, 200)
    assert space.spacing_mm == (5, 1.5, 1.5)
    assert space.x_mm[0] == -space.x_mm[-1] == -149.25


def test_the_coarse_grid_has_pixels_of_twice_the_size_and_the_same_slices(space: Space) -> None:
    assert space.coarse.spacing_mm == (5, 3, 3)
    assert space.coarse.shape == (6, 101, 101)
    assert space.coarse.x_mm[[0, -1]].tolist() == [-150, 150]


@pytest.mark.parametrize("size", [129, 200, 256])
def test_refining_a_linear_field_is_exact(size: int) -> None:
    space = Space.centred(size, 1.5, HEIGHTS)

    def plane(s: Space) -> NDArray[np.floating[Any]]:
        return 0.5 * s.x - 2 * s.y + 3 * s.z

    assert space.refine(plane(space.coarse)) == pytest.approx(plane(space), abs=1e-2)


def test_doubling_interpolates_at_quarters() -> None:
    field = np.array([[[0.0, 4.0, 8.0]]])
    assert doubled(field, 2).tolist() == [[[1, 3, 5, 7]]]
    assert doubled(field.T, 0)[:, 0, 0].tolist() == [1, 3, 5, 7]


def test_a_small_grid_is_not_coarsened() -> None:
    small = Space.centred(64, 6.0, HEIGHTS)
    field = np.ones(small.shape, np.float32)
    assert small.refine(field) is field


def test_points_get_the_value_of_the_nearest_voxel(space: Space) -> None:
    field = np.broadcast_to(space.x, space.shape)
    points = np.array([[0.8, 0, 11], [-500, 0, 0]])  # the second lies outside: the edge's voxel
    assert space.at(field, points) == pytest.approx([0.75, -149.25])


@pytest.mark.parametrize("length_mm", [3, 9, 30])
def test_noise_has_mean_0_and_variance_1(length_mm: float) -> None:
    space = Space.centred(200, 1.5, np.arange(40, dtype=np.float32) * 5)
    noise = smooth_noise(np.random.default_rng(0), space, length_mm)
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 0.15
    assert noise.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("size", [16, 61, 129])
def test_noise_fits_any_grid(size: int) -> None:
    odd = Space.centred(size, 1.5, np.arange(7, dtype=np.float32))
    assert smooth_noise(np.random.default_rng(0), odd, 10).shape == (7, size, size)


def test_noise_with_a_larger_length_is_smoother(space: Space) -> None:
    rng = np.random.default_rng(0)
    fine, broad = smooth_noise(rng, space, 3), smooth_noise(rng, space, 30)
    assert np.abs(np.diff(broad, axis=2)).mean() < 0.2 * np.abs(np.diff(fine, axis=2)).mean()
