"""A folder of DICOM slices as one scan: sorted by place, complete, and of one series."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.data.dicom import Slice, Vector, is_dicom, read_header, read_pixels
from wsseg.data.nifti import check_affine
from wsseg.data.voxels import check_memory, stacked
from wsseg.errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_DIRECTION = 1e-3  # rounding in the header
SAME_PLACE_MM = 0.01
UNEVEN = 0.1  # of the usual distance between slices: rounding in the header
ASTRAY = 0.5  # of a voxel, how far a slice may lie from where the affine puts it
NAMED = 3
BYTES = 10  # of memory for a voxel: int16, and double precision while a slice is scaled


@dataclass(frozen=True)
class Series:
    """The slices of one scan, in the order in which they lie along the normal of their plane."""

    folder: Path
    slices: tuple[Slice, ...]
    affine: NDArray[np.float64]  # (4, 4), of (column, row, slice) to RAS millimetres

    @property
    def shape(self) -> tuple[int, int, int]:
        """(X, Y, Z): columns, rows, slices."""
        rows, columns = self.slices[0].size
        return columns, rows, len(self.slices)


def is_series(folder: Path) -> bool:
    """Say whether a folder has a DICOM file in it."""
    return folder.is_dir() and any(map(is_dicom, folder.iterdir()))


def open_series(folder: Path) -> Series:
    """Read the headers of a folder's DICOM files, sort them and find their affine.

    Raises:
        InputError: They are not one scan: several series or grids, a gap, two slices at one place.
    """
    headers = [read_header(path) for path in sorted(folder.iterdir()) if is_dicom(path)]
    slices = [header for header in headers if header is not None]
    if not slices:
        raise InputError(f"{folder}: is a folder without a DICOM slice; it cannot be a scan")
    _check_one(folder, slices, lambda s: s.series, "series")
    _check_one(folder, slices, lambda s: s.size, "sizes of slices")
    _check_one(folder, slices, lambda s: s.spacing_mm, "pixel spacings")
    _check_parallel(folder, slices)
    normal = _normal(slices[0])
    slices.sort(key=lambda s: float(s.position @ normal))
    affine = LPS_TO_RAS @ _affine(slices, _step(folder, slices, normal))
    check_affine(folder, affine)
    series = Series(folder, tuple(slices), affine)
    check_memory(folder, BYTES * int(np.prod(series.shape, dtype=np.int64)))
    return series


def read_series(series: Series) -> NDArray[Any]:
    """Return the voxels, (X, Y, Z): int16 where that loses nothing, else float32."""
    return stacked((read_pixels(each.path).T for each in series.slices), series.shape)


def _check_one(
    folder: Path, slices: Sequence[Slice], what: Callable[[Slice], Hashable], name: str
) -> None:
    groups: dict[Hashable, list[Slice]] = defaultdict(list)
    for each in slices:
        groups[what(each)].append(each)
    if len(groups) > 1:
        named = [f"{len(group)} ({group[0].path.name}, …)" for group in groups.values()]
        sizes = ", ".join(named[:NAMED] + ["…"] * (len(named) > NAMED))
        raise InputError(
            f"{folder}: its slices are of {len(groups)} {name}: {sizes}.\n"
            "A scan is one series. Put each series into a folder of its own."
        )


def _check_parallel(folder: Path, slices: Sequence[Slice]) -> None:
    first = slices[0]
    for each in slices:
        apart = [each.along_row - first.along_row, each.along_column - first.along_column]
        if np.abs(apart).max() > SAME_DIRECTION:
            raise InputError(
                f"{folder}: {first.path.name} and {each.path.name} are not parallel. "
                "Put each series into a folder of its own."
            )


def _normal(header: Slice) -> Vector:
    """Return the direction in which slices follow each other; checks that the axes are at angles.

    From feet to head where rows run from right to left and columns from front to back.
    """
    lengths = [float(np.linalg.norm(each)) for each in (header.along_row, header.along_column)]
    slanted = abs(float(header.along_row @ header.along_column))
    if max(abs(length - 1) for length in lengths) > SAME_DIRECTION or slanted > SAME_DIRECTION:
        raise InputError(
            f"{header.path}: its ImageOrientationPatient is not two axes at right angles"
        )
    return np.cross(header.along_row, header.along_column)


def _step(folder: Path, slices: Sequence[Slice], normal: Vector) -> Vector:
    """Return the way from a slice to the next, (3,) in mm: with a tilted gantry not the normal."""
    if len(slices) == 1:
        if not slices[0].thickness_mm:
            raise InputError(f"{folder}: has one slice, which does not say how thick it is")
        return normal * slices[0].thickness_mm
    places = np.array([each.position for each in slices])
    distances = np.diff(places @ normal)
    usual = float(np.sort(distances)[(len(distances) - 1) // 2])  # the lower median
    for before, after, distance in zip(slices[:-1], slices[1:], distances, strict=True):
        between = f"{folder}: {before.path.name} and {after.path.name}"
        if distance < SAME_PLACE_MM:
            raise InputError(f"{between} lie at the same place. Remove one of them.")
        if abs(distance - usual) > UNEVEN * usual:
            raise InputError(
                f"{between} are {distance:.3g} mm apart, most slices {usual:.3g} mm: slices are "
                "missing, or the distance changes.\nAdd what is missing, or resample the scan."
            )
    step: Vector = (places[-1] - places[0]) / (len(slices) - 1)
    astray = places - (places[0] + np.outer(np.arange(len(slices)), step))
    if np.linalg.norm(astray, axis=1).max() > ASTRAY * min(usual, *slices[0].spacing_mm):
        raise InputError(f"{folder}: its slices do not lie one behind the other, evenly apart")
    return step


def _affine(slices: Sequence[Slice], step: Vector) -> NDArray[np.float64]:
    """Return the affine of (column, row, slice) to LPS millimetres: PS3.3, equation C.7.6.2.1-1."""
    first, affine = slices[0], np.eye(4)
    affine[:3, 0] = first.along_row * first.spacing_mm[1]
    affine[:3, 1] = first.along_column * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return affine
