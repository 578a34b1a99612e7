"""The geometry in the header of an image, and checks of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import acos, degrees
from typing import Any, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.core.volume import Grid
from wsseg.data.checks.findings import Finding
from wsseg.data.nifti import is_nifti_name, open_nifti, sform_qform_distance_mm
from wsseg.data.reading import read_grid
from wsseg.data.spacing import exceeds
from wsseg.data.validation import grid_mismatch

FIELD_OF_VIEW_MM = (20.0, 1000.0)  # the smallest and the largest side of a slice
MAX_SLICE_DISTANCE_MM = 15.0
UNEQUAL, VERY_UNEQUAL = 1.02, 1.5  # ratios of row and column spacing; scanners have square pixels
MAX_OBLIQUE_DEG = 15.0
CONVERT = "Convert it again from DICOM"
ITK_DEFAULT = np.diag([-1.0, -1.0, 1.0, 1.0])  # what SimpleITK writes if no geometry was set


@dataclass(frozen=True)
class Geometry:
    """Size, spacing and orientation of an image."""

    shape: tuple[int, int, int]
    """The number of slices, rows and columns."""
    spacing_mm: tuple[float, float, float]
    """The distances between slices, rows and columns."""
    oblique_deg: float
    """The largest angle between an axis of the array and the patient's nearest axis."""
    has_affine: bool
    """Whether the header has an affine other than the identity, in RAS or in LPS coordinates."""
    affine_distance_mm: float
    """The largest distance between a voxel's positions by the two affines, sform and qform."""
    unit: Literal["mm", "px"]
    """The unit of lengths: px for pictures."""
    other_grids: tuple[str, ...] = ()
    """The names of sequences that are not on the grid of the first one."""


def measure_geometry(case: Case, grid: Grid) -> Geometry:
    """Return the geometry of a case's image, whose grid is `grid`.

    Raises:
        InputError: The header of another sequence cannot be read.
    """
    image = open_nifti(case.image) if is_nifti_name(case.image) else None
    return Geometry(
        shape=grid.canonical_shape,
        spacing_mm=grid.spacing_mm,
        oblique_deg=0.0 if grid.axes else _oblique_deg(grid.affine),
        has_affine=image is None or _has_affine(image),
        affine_distance_mm=0.0 if image is None else sform_qform_distance_mm(image),
        unit=grid.unit,
        other_grids=tuple(
            name
            for name, path in case.images.items()
            if grid_mismatch(read_grid(path, case.frame, case.axes), grid)
        ),
    )


def _has_affine(image: nib.Nifti1Image) -> bool:
    header: Any = image.header
    is_identity = np.array_equal(image.affine[:3, :3], np.eye(3))
    is_default = is_identity or np.array_equal(image.affine, ITK_DEFAULT)
    return bool(header["sform_code"] > 0 or header["qform_code"] > 0) and not is_default


def geometry_findings(case: Case, geometry: Geometry) -> Iterator[Finding]:
    """Find spacings and orientations that no scanner produces."""
    for name in geometry.other_grids:
        file, first = case.images[name].name, next(iter(case.images))
        what = f"{file}: its sequence {name} is on another grid than {first}; it is resampled"
        yield Finding(
            "resampled", "warning", case.name, what, f"Resample {name} to the grid of {first}"
        )
    if case.axes or geometry.unit == "px":  # the file has no geometry, or it is not used
        return
    for name, what, remedy in _problems(geometry):
        yield Finding(name, "warning", case.name, f"{case.image.name}: {what}", remedy)


def _problems(geometry: Geometry) -> Iterator[tuple[str, str, str]]:
    if not geometry.has_affine:
        yield (
            "no-geometry",
            "its header has no orientation, and its voxel size may be wrong",
            CONVERT,
        )
        return
    if exceeds(geometry.affine_distance_mm, min(geometry.spacing_mm)):
        distance = f"{geometry.affine_distance_mm:.3g} mm apart"
        what = f"its header has two affines (sform, qform) that lie {distance}; the sform is used"
        yield "two-affines", what, CONVERT
    yield from _odd_spacing(geometry)
    if geometry.oblique_deg > MAX_OBLIQUE_DEG:
        what = f"is tilted by {geometry.oblique_deg:.0f}° against the patient's axes"
        yield "oblique", what, "Resample it to the patient's axes"


def _odd_spacing(geometry: Geometry) -> Iterator[tuple[str, str, str]]:
    z_mm, row_mm, column_mm = geometry.spacing_mm
    view = [n * mm for n, mm in zip(geometry.shape[1:], (row_mm, column_mm), strict=True)]
    wide, narrow = max(row_mm, column_mm), min(row_mm, column_mm)
    if exceeds(wide, VERY_UNEQUAL * narrow) and exceeds(wide, z_mm):
        what = f"voxels of {row_mm:.3g} × {column_mm:.3g} mm in slices {z_mm:.3g} mm apart"
        yield "not-axial", f"{what}: its slices are not axial", "Leave it out, or resample it"
    elif exceeds(wide, UNEQUAL * narrow):
        what = f"its pixels are not square: {row_mm:.3g} × {column_mm:.3g} mm"
        yield "odd-spacing", what, CONVERT
    if exceeds(FIELD_OF_VIEW_MM[0], min(view)) or exceeds(max(view), FIELD_OF_VIEW_MM[1]):
        yield "odd-spacing", f"its slices measure {view[0]:.4g} × {view[1]:.4g} mm", CONVERT
    if exceeds(z_mm, MAX_SLICE_DISTANCE_MM):
        yield "odd-spacing", f"its slices are {z_mm:.3g} mm apart", CONVERT


def _oblique_deg(affine: NDArray[np.float64]) -> float:
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return degrees(acos(min(1.0, float(np.abs(directions).max(axis=0).min()))))
