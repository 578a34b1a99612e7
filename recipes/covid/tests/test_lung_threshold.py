from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from wsseg import Case, Grid, Volume
from wsseg.testing import check_region
from wsseg.tools import read_mask, read_volume
from wsseg_covid.lung_hull import closing_along_z, convex_hull, split_lungs
from wsseg_covid.lung_threshold import LungThreshold
from wsseg_covid.phantom.cohort import LungPhantom, draw
from wsseg_covid.planes import downsample, upsample_slice

SHARED = Path(__file__).resolve().parents[3] / "../shared/data/ct-small"
needs_scans = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
CASE = Case("a", "a", Path("a.nii.gz"))
Mask = NDArray[np.bool_]

AIR, LUNG, TISSUE, BONE = -1000, -850, 40, 500


def volume(voxels: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> Volume:
    z, height, width = voxels.shape
    affine = np.diag([-spacing_mm[2], -spacing_mm[1], spacing_mm[0], 1.0])
    return Volume(voxels[None], Grid((width, height, z), affine))


def lungs_of(voxels: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> Mask:
    return LungThreshold()(CASE, volume(voxels, spacing_mm))


def dice(a: Mask, b: Mask) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


class Thorax:
    """A chest of 300 x 200 mm made of ellipses; coordinates are in mm from its centre."""

    def __init__(self, slices: int = 12, slice_mm: float = 5, pixel_mm: float = 2) -> None:
        self.spacing_mm = (slice_mm, pixel_mm, pixel_mm)
        height, width = round(260 / pixel_mm), round(340 / pixel_mm)
        self.y = ((np.arange(height) + 0.5) * pixel_mm - 120)[:, None]
        self.x = (np.arange(width) + 0.5) * pixel_mm - 170
        self.voxels = np.full((slices, height, width), AIR, np.int16)
        self.voxels[:, self.ellipse(0, 0, 150, 100)] = TISSUE
        self.voxels[:, self.ellipse(0, 75, 20, 18)] = BONE
        right, left = self.ellipse(-65, 0, 52, 75), self.ellipse(65, 0, 52, 75)
        heart = self.ellipse(20, -15, 50, 45)
        self.lung: Mask = np.broadcast_to((right | left) & ~heart, self.voxels.shape).copy()
        noise = np.random.default_rng(0).normal(0, 40, self.voxels.shape)
        self.voxels[self.lung] = LUNG
        self.trachea = np.broadcast_to(self.ellipse(0, 46, 9, 9), self.voxels.shape)
        self.voxels[self.trachea] = AIR
        self.voxels += noise.astype(np.int16)

    def ellipse(self, x: float, y: float, wide: float, high: float) -> Mask:
        return np.asarray(((self.x - x) / wide) ** 2 + ((self.y - y) / high) ** 2 < 1)

    def with_dense_slices(self, count: int) -> Mask:
        """Make the right lung dense in the middle slices; at most 40 mm are filled."""
        first = (len(self.lung) - count) // 2
        dense = np.zeros_like(self.lung)
        dense[first : first + count] = self.lung[first] & (self.x < 0)
        self.voxels[dense] = 30
        return dense

    def found(self) -> Mask:
        return lungs_of(self.voxels, self.spacing_mm)


def test_lung_threshold_passes_the_conformance_test() -> None:
    thorax = Thorax()
    check_region(LungThreshold(), volume=volume(thorax.voxels, thorax.spacing_mm))


@pytest.mark.parametrize(
    ("slices", "slice_mm", "pixel_mm"), [(12, 5, 2), (60, 1, 1.5), (1, 5, 0.8)]
)
def test_lungs_are_found_in_thick_and_thin_slices(
    slices: int, slice_mm: float, pixel_mm: float
) -> None:
    thorax = Thorax(slices, slice_mm, pixel_mm)
    found = thorax.found()
    assert dice(found, thorax.lung) > 0.97
    assert not (found & thorax.trachea).any()


@pytest.mark.parametrize(
    ("place", "slices"),
    [
        ((-100, 10, 28, 30), slice(None)),
        ((95, 40, 25, 28), slice(None)),
        (
            (-70, 65, 30, 20),
            slice(3, 9),
        ),  # at the end of the lung
        ((80, -60, 25, 20), slice(3, 9)),
    ],
    ids=["side", "side and back", "back", "front"],
)
def test_dense_consolidation_at_the_chest_wall_is_lung(
    place: tuple[float, float, float, float], slices: slice
) -> None:
    thorax = Thorax()
    dense = np.zeros_like(thorax.lung)
    dense[slices] = thorax.lung[slices] & thorax.ellipse(*place)
    thorax.voxels[dense] = 30
    found = thorax.found()
    assert (found & dense).sum() > 0.88 * dense.sum()
    assert dice(found, thorax.lung) > 0.96


def test_consolidation_across_the_lung_between_aerated_slices_is_lung() -> None:
    thorax = Thorax()
    dense = np.zeros_like(thorax.lung)
    dense[5:7] = thorax.lung[5:7] & (thorax.x < 0)
    thorax.voxels[dense] = 30
    found = thorax.found()
    assert (found & dense).sum() > 0.95 * dense.sum()


@pytest.mark.parametrize(
    "spacing_mm",
    [(5, 2, 2), (5, 1.2, 1.2), (2.5, 0.8, 0.8), (1.25, 1.40625, 1.40625), (10, 2.5, 2.5)],
)
def test_lungs_do_not_depend_on_rounding_errors_of_the_spacing(
    spacing_mm: tuple[float, float, float],
) -> None:
    z_mm, row_mm, column_mm = spacing_mm
    thorax = Thorax(round(80 / z_mm), z_mm, row_mm)
    dense = thorax.with_dense_slices(round(40 / z_mm))
    found = thorax.found()
    assert (found & dense).sum() > 0.9 * dense.sum()
    less, more = 1 - 1e-6, 1 + 1e-6
    for factors in ((less, less, less), (more, more, more), (more, less, 1), (1 + 1e-13, 1, 1)):
        almost = (z_mm * factors[0], row_mm * factors[1], column_mm * factors[2])
        assert np.array_equal(lungs_of(thorax.voxels, almost), found), factors


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [-10, 10, 20])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_rotated_scan_has_the_same_lungs(
    axis: int, degrees: float, precision: type[np.floating[Any]]
) -> None:
    thorax = Thorax(slices=8, slice_mm=10, pixel_mm=2.5)
    dense = thorax.with_dense_slices(4)
    straight = volume(thorax.voxels, thorax.spacing_mm)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * np.eye(3)[axis]).as_matrix()
    affine = (turn @ straight.grid.affine).astype(precision).astype(float)
    turned = Volume(thorax.voxels[None], Grid(straight.grid.shape, affine))
    found = LungThreshold()(CASE, turned)
    assert np.array_equal(found, thorax.found())
    assert (found & dense).sum() > 0.9 * dense.sum()


def test_the_heart_between_the_lungs_is_not_filled() -> None:
    thorax = Thorax()
    heart = np.broadcast_to(thorax.ellipse(20, -15, 40, 35), thorax.lung.shape)
    assert not (thorax.found() & heart).any()


def test_lungs_that_touch_in_front_of_the_heart_are_separated() -> None:
    thorax = Thorax()
    line = np.broadcast_to(
        (np.abs(thorax.x) < 40) & (np.abs(thorax.y + 62) < 2.1), thorax.lung.shape
    )
    thorax.voxels[line] = LUNG
    heart = np.broadcast_to(thorax.ellipse(20, -10, 40, 30), thorax.lung.shape)
    found = thorax.found()
    assert not (found & heart).any()
    assert dice(found, thorax.lung | line) > 0.96


@pytest.mark.parametrize("pixel_mm", [1.0, 2.0])
def test_a_scan_cropped_through_the_lungs_keeps_them(pixel_mm: float) -> None:
    thorax = Thorax(pixel_mm=pixel_mm)
    rows = slice(np.searchsorted(thorax.y[:, 0], -60), np.searchsorted(thorax.y[:, 0], 70))
    columns = slice(np.searchsorted(thorax.x, -95), np.searchsorted(thorax.x, 90))
    found = lungs_of(thorax.voxels[:, rows, columns], thorax.spacing_mm)
    assert dice(found, thorax.lung[:, rows, columns]) > 0.97


def test_air_around_a_corner_of_the_chest_is_not_lung() -> None:
    thorax = Thorax()
    found = lungs_of(thorax.voxels[:, :60, :80], thorax.spacing_mm)  # the right front
    assert dice(found, thorax.lung[:, :60, :80]) > 0.96
    assert not found[:, :8, :20].any()


def test_table_and_foam_behind_the_patient_are_not_lung() -> None:
    thorax = Thorax()
    below = np.broadcast_to(thorax.y > 103, thorax.lung.shape)
    foam = below & np.broadcast_to((thorax.y < 125) & (np.abs(thorax.x) < 120), below.shape)
    shell = foam & np.broadcast_to((thorax.y < 107) | (thorax.y > 121), below.shape)
    thorax.voxels[foam] = -880
    thorax.voxels[shell] = 0
    found = thorax.found()
    assert not (found & below).any()
    assert dice(found, thorax.lung) > 0.96


def test_bowel_gas_below_the_lungs_is_not_lung() -> None:
    thorax = Thorax()
    bowel = np.zeros_like(thorax.lung)
    bowel[:5] = thorax.ellipse(60, -30, 35, 20)
    thorax.voxels[:5] = np.where(thorax.lung[:5] | bowel[:5], TISSUE, thorax.voxels[:5])
    thorax.voxels[bowel] = AIR
    thorax.lung[:5] = False
    found = thorax.found()
    assert not (found & bowel).any()
    assert dice(found, thorax.lung) > 0.93


@pytest.mark.parametrize("hu", [AIR, TISSUE, 0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 50)])
def test_the_mask_is_empty_without_lung(hu: int, shape: tuple[int, int, int]) -> None:
    found = lungs_of(np.full(shape, hu, np.int16), (5, 1, 1))
    assert found.shape == shape
    assert found.dtype == np.bool_
    assert not found.any()


def test_an_abdomen_with_bowel_gas_has_no_lung() -> None:
    thorax = Thorax()
    gas = np.broadcast_to(thorax.ellipse(60, -50, 40, 20), thorax.lung.shape)
    thorax.voxels[thorax.lung | thorax.trachea] = TISSUE
    thorax.voxels[gas] = AIR
    assert not thorax.found().any()


@pytest.mark.parametrize("index", [0, 4])  # thick slices; thin ones, much consolidation
def test_the_phantoms_lungs_are_found(index: int) -> None:
    drawn = draw(LungPhantom(size=128), index)
    found = lungs_of(drawn.image, drawn.spacing_mm)
    assert dice(found, drawn.lung) > 0.95
    assert (found & drawn.consolidation).sum() > 0.85 * drawn.consolidation.sum()
    assert (found & drawn.infection).sum() > 0.93 * drawn.infection.sum()


@pytest.mark.slow
@pytest.mark.parametrize("size", [128, 256])
def test_the_phantoms_lungs_are_found_in_every_case(size: int) -> None:
    cohort = LungPhantom(size=size)
    scores = []
    for index in range(cohort.count):
        drawn = draw(cohort, index)
        scores.append(dice(lungs_of(drawn.image, drawn.spacing_mm), drawn.lung))
    assert min(scores) > 0.95


@needs_scans
def test_real_lung_bases_are_found_above_an_abdomen_full_of_gas() -> None:
    scan = read_volume(SHARED / "example_ct_sm.nii.gz")
    lobes = read_mask(SHARED / "example_seg.nii.gz", scan.grid, (10, 11, 12, 13, 14))
    found = LungThreshold()(CASE, scan)
    assert dice(found, lobes) > 0.94
    assert not found[:16].any()  # colon, no lung


@needs_scans
def test_the_lungs_of_a_real_scan_cropped_through_them_are_found() -> None:
    scan = read_volume(SHARED / "pulmonary_ct_cropped.nii.gz")
    found = LungThreshold()(CASE, scan)
    # parenchyma: denser than air, less dense than tissue and its partial volume
    parenchyma = (scan.channel() > -920) & (scan.channel() < -750)
    assert (found & parenchyma)[20:].sum() > 0.97 * parenchyma[20:].sum()
    assert found[60].mean() == pytest.approx(0.42, abs=0.08)
    assert not found[:5, :50, 70:95].any()  # the stomach's bubble
    assert not found[105, 64:78, 40:48].any()  # the trachea
    assert not found[111, :10, 100:].any()  # air in front of the chest


def test_separate_lungs_are_split_without_loss() -> None:
    air = np.zeros((3, 20, 40), bool)
    air[:, 4:16, 4:18], air[:, 4:16, 22:36] = True, True
    first, second = split_lungs(air, (5, 2, 2))
    assert np.array_equal(first | second, air)
    assert {bool(first[0, 8, 8]), bool(second[0, 8, 8])} == {True, False}
    assert first.sum() == second.sum()


def test_a_single_lung_is_not_split() -> None:
    air = np.zeros((3, 20, 40), bool)
    air[:, 4:16, 4:18] = True
    (only,) = split_lungs(air, (5, 2, 2))
    assert np.array_equal(only, air)


def test_only_short_gaps_between_slices_with_lung_are_closed() -> None:
    mask = np.array([1, 0, 0, 1, 0, 0, 0, 0, 1, 0], bool)[:, None, None]
    closing = closing_along_z(mask, 1)[:, 0, 0]
    assert closing.astype(int).tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 1, 0]
    assert np.array_equal(closing_along_z(mask, 0), mask)


def test_the_convex_hull_of_an_l_is_a_triangle() -> None:
    bent = np.zeros((5, 5), bool)
    bent[:, 0] = bent[4] = True
    assert convex_hull(bent).sum() == 15
    assert not convex_hull(np.zeros((5, 5), bool)).any()


def test_downsampling_averages_blocks_and_upsampling_repeats_them() -> None:
    voxels = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    planes = downsample(voxels, (5, 1, 1), to_mm=2)
    assert planes.step == (1, 2, 2)
    assert planes.spacing_mm == (5, 2, 2)
    assert planes.hu[0].tolist() == [[2.5, 4.5], [8.5, 10.5]]  # the last row repeated
    back = upsample_slice(planes.hu[0] > 5, planes.step, voxels.shape)
    assert back.astype(int).tolist() == [[0] * 4, [0] * 4, [1] * 4]
