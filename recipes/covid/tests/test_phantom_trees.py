import numpy as np
import pytest

from wsseg_covid.phantom.mediastinum import HILA
from wsseg_covid.phantom.shapes import ellipsoid
from wsseg_covid.phantom.space import Space
from wsseg_covid.phantom.strewn import filled_share
from wsseg_covid.phantom.trees import Pipes, _fork, joined, lung_trees


def pipe(start: tuple[float, ...], end: tuple[float, ...], radius_mm: float) -> Pipes:
    return Pipes(
        np.array([start], np.float32),
        np.array([end], np.float32),
        np.array([radius_mm], np.float32),
    )


@pytest.mark.parametrize("radius_mm", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("slice_mm", [1.0, 5.0])
def test_the_filled_volume_is_that_of_the_pipe(radius_mm: float, slice_mm: float) -> None:
    space = Space.centred(64, 1.5, np.arange(16, dtype=np.float32) * slice_mm)
    middle = slice_mm * 8
    thread = pipe((-20, 3, middle - 4), (20, -9, middle + 4), radius_mm)
    share = filled_share(np.random.default_rng(0), space, thread)
    length = np.sqrt(40**2 + 12**2 + 8**2)
    filled_mm3 = float(share.sum()) * 1.5 * 1.5 * slice_mm
    assert filled_mm3 == pytest.approx(np.pi * radius_mm**2 * length, rel=0.1)
    assert 0 <= share.min() < share.max() <= 1


def test_voxels_inside_a_thick_pipe_are_full() -> None:
    space = Space.centred(64, 1.5, np.arange(16, dtype=np.float32) * 2)
    share = filled_share(np.random.default_rng(0), space, pipe((0, -30, 15), (0, 30, 15), 6))
    assert share[7:9, 20:44, 31:33].mean() > 0.95


def test_pipes_outside_the_scan_fill_nothing() -> None:
    space = Space.centred(32, 1.5, np.arange(8, dtype=np.float32) * 2)
    far = pipe((500, 0, 0), (510, 0, 0), 2)
    assert not filled_share(np.random.default_rng(0), space, far).any()


def test_forks_follow_murrays_law() -> None:
    radius = np.array([3.0, 1.0, 0.5], np.float32)
    way = np.eye(3, dtype=np.float32)
    _, ways, radii = _fork(np.random.default_rng(0), np.zeros((3, 3), np.float32), way, radius)
    assert radii[:3] ** 3 + radii[3:] ** 3 == pytest.approx(radius**3, rel=1e-5)
    assert np.linalg.norm(ways, axis=1) == pytest.approx(1, abs=1e-6)
    assert (np.einsum("ij,ij->i", ways, np.tile(way, (2, 1))) > 0.5).all()  # never backwards


def test_trees_stay_in_the_lung_and_reach_far_into_it() -> None:
    space = Space.centred(64, 6.0, np.arange(0, 200, 5, dtype=np.float32))
    right, left = (ellipsoid(space, (side * 70, 0, 90), (60, 90, 95)) for side in HILA)
    lung = np.minimum(right, left)
    trees = lung_trees(np.random.default_rng(0), space, lung)
    beyond_hilum = trees.vessels.radius_mm < 1
    assert (space.at(lung, trees.vessels.end[beyond_hilum]) < 0).all()
    assert len(trees.vessels.radius_mm) > 1000
    depth = -space.at(lung, trees.vessels.end)
    assert (depth < 8).sum() > 100  # twigs just below the pleura
    assert trees.airways.radius_mm.min() > 0.3
    assert (trees.airway_walls.radius_mm > trees.airways.radius_mm).all()


def test_joined_pipes_are_concatenated_in_order() -> None:
    both = joined(pipe((0, 0, 0), (1, 0, 0), 1), pipe((0, 0, 0), (0, 1, 0), 2))
    assert both.radius_mm.tolist() == [1, 2]
