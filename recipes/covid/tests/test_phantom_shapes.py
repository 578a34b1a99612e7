import numpy as np
import pytest

from wsseg_covid.phantom.shapes import blended, column, ellipsoid, inside, paint, tube, without
from wsseg_covid.phantom.space import Field, Space

SPACE = Space.centred(41, 2.0, np.arange(-20, 21, 2, dtype=np.float32))  # -40 to 40 mm


def far(distance: Field, point: tuple[float, float, float]) -> float:
    """Read a distance at a point that is a voxel's centre."""
    return float(SPACE.at(np.broadcast_to(distance, SPACE.shape), np.array([point]))[0])


@pytest.mark.parametrize(
    ("point", "expected"),
    [((0, 0, 10), 0), ((20, 0, 0), 10), ((0, -6, 8), 0), ((6, 0, 0), -4)],
)
def test_the_distance_to_a_sphere_is_exact(
    point: tuple[float, float, float], expected: float
) -> None:
    assert far(ellipsoid(SPACE, (0, 0, 0), (10, 10, 10)), point) == pytest.approx(
        expected, abs=1e-3
    )


def test_the_distance_to_an_ellipsoid_is_0_at_its_radii() -> None:
    egg = ellipsoid(SPACE, (4, 0, 0), (20, 10, 6))
    for point in [(24, 0, 0), (4, 10, 0), (4, -10, 0), (4, 0, 6)]:
        assert far(egg, point) == pytest.approx(0, abs=1e-3)


def test_a_rotation_by_90_degrees_swaps_width_and_depth() -> None:
    turned = ellipsoid(SPACE, (0, 0, 0), (20, 10, 8), turn_deg=90)
    straight = ellipsoid(SPACE, (0, 0, 0), (10, 20, 8))
    off_centre = SPACE.x**2 + SPACE.y**2 + SPACE.z**2 > 0
    assert turned[off_centre] == pytest.approx(straight[off_centre], abs=0.2)


def test_a_column_has_the_same_width_at_every_height() -> None:
    pillar = column(SPACE, (0, 0), (10, 20))
    assert far(pillar, (10, 0, -20)) == far(pillar, (10, 0, 20)) == pytest.approx(0, abs=1e-3)


def test_the_distance_to_a_tube_equals_that_of_a_loop_over_its_segments() -> None:
    path, radii = [(-20, 0, 0), (0, 10, 4), (20, 0, 12)], [6.0, 4.0, 2.0]
    point = np.array([8.0, -4.0, 2.0])
    surface = []
    for start, end, first, last in zip(path[:-1], path[1:], radii[:-1], radii[1:], strict=True):
        shares = np.linspace(0, 1, 2001)
        axis = [(1 - share) * np.array(start) + share * np.array(end) for share in shares]
        away = [float(np.linalg.norm(point - on_axis)) for on_axis in axis]
        closest = int(np.argmin(away))
        surface.append(away[closest] - (first + (last - first) * shares[closest]))
    assert far(tube(SPACE, path, radii), (8, -4, 2)) == pytest.approx(min(surface), abs=1e-2)


def test_blending_changes_the_distance_only_near_the_crease() -> None:
    both = np.array([0.0, 20.0]), np.array([0.0, 2.0])
    assert blended(*both, radius_mm=8).tolist() == [-2, 2]


def test_a_hole_counts_as_outside() -> None:
    ring = without(column(SPACE, (0, 0), (20, 20)), column(SPACE, (0, 0), (10, 10)))
    assert far(ring, (0, 0, 0)) == pytest.approx(10, abs=0.01)
    assert far(ring, (14, 0, 0)) == pytest.approx(-4, abs=1e-3)


def test_voxels_on_the_surface_are_half_inside() -> None:
    shares = inside(np.array([-2.0, -0.5, 0.0, 0.5, 2.0]), edge_mm=2)
    assert shares.tolist() == [1, 0.75, 0.5, 0.25, 0]


def test_painting_mixes_tissues_by_their_share() -> None:
    hu = np.array([-1000.0, -1000.0, -1000.0])
    paint(hu, np.array([0.0, 0.5, 1.0]), 40)
    assert hu.tolist() == [-1000, -480, 40]
