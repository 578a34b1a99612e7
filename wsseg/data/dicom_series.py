"""Reading of a folder of DICOM slices as one scan: complete, of one series, sorted by position."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.data.dicom import Slice, Vector, is_dicom, read_header, read_pixels
from wsseg.data.nifti import check_affine
from wsseg.data.voxels import check_memory, stack_slices
from wsseg.errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
DIRECTION_TOLERANCE = 1e-3  # rounding in the header
SAME_POSITION_MM = 0.01
DISTANCE_TOLERANCE = 0.1  # of the usual distance between slices: rounding in the header
POSITION_TOLERANCE = 0.5  # of a voxel, between a slice and its position by the affine
MAX_GROUPS_SHOWN = 3
BYTES_PER_VOXEL = 10  # in memory: int16, and double precision while a slice is rescaled


@dataclass(frozen=True)
class Series:
    """The slices of one scan, in order along the normal of their planes."""

    folder: Path
    slices: tuple[Slice, ...]
    affine: NDArray[np.float64]  # (4, 4), from (column, row, slice) to RAS millimetres

    @property
    def shape(self) -> tuple[int, int, int]:
        """(X, Y, Z): columns, rows, slices."""
        rows, columns = self.slices[0].size
        return columns, rows, len(self.slices)


def is_series(folder: Path) -> bool:
    """Return whether `folder` is a folder that contains a DICOM file."""
    return folder.is_dir() and any(map(is_dicom, folder.iterdir()))


def open_series(folder: Path) -> Series:
    """Read the headers of the DICOM files in a folder, sort them and compute their affine.

    Raises:
        InputError: The files are not one scan: there are several series or grids, a slice is
            missing, or two slices have the same position.
    """
    headers = [read_header(path) for path in sorted(folder.iterdir()) if is_dicom(path)]
    slices = [header for header in headers if header is not None]
    if not slices:
        raise InputError(f"{folder}: is a folder without DICOM slices, so it is not a scan")
    _check_same(folder, slices, lambda s: s.series, "series")
    _check_same(folder, slices, lambda s: s.size, "slice sizes")
    _check_same(folder, slices, lambda s: s.spacing_mm, "pixel spacings")
    _check_parallel(folder, slices)
    normal = _normal(slices[0])
    slices.sort(key=lambda s: float(s.position @ normal))
    affine = LPS_TO_RAS @ _affine(slices, _step(folder, slices, normal))
    check_affine(folder, affine)
    series = Series(folder, tuple(slices), affine)
    check_memory(folder, BYTES_PER_VOXEL * int(np.prod(series.shape, dtype=np.int64)))
    return series


def read_series(series: Series) -> NDArray[Any]:
    """Return the voxels, (X, Y, Z), as int16 if lossless, else float32."""
    return stack_slices((read_pixels(each.path).T for each in series.slices), series.shape)


def _check_same(
    folder: Path, slices: Sequence[Slice], key: Callable[[Slice], Hashable], name: str
) -> None:
    groups: dict[Hashable, list[Slice]] = defaultdict(list)
    for each in slices:
        groups[key(each)].append(each)
    if len(groups) > 1:
        counts = [f"{len(group)} ({group[0].path.name}, …)" for group in groups.values()]
        shown = ", ".join(counts[:MAX_GROUPS_SHOWN] + ["…"] * (len(counts) > MAX_GROUPS_SHOWN))
        raise InputError(
            f"{folder}: its slices have {len(groups)} different {name}: {shown}.\n"
            "A scan is one series. Put each series into its own folder."
        )


def _check_parallel(folder: Path, slices: Sequence[Slice]) -> None:
    first = slices[0]
    for each in slices:
        differences = [each.along_row - first.along_row, each.along_column - first.along_column]
        if np.abs(differences).max() > DIRECTION_TOLERANCE:
            raise InputError(
                f"{folder}: {first.path.name} and {each.path.name} are not parallel. "
                "Put each series into its own folder."
            )


def _normal(header: Slice) -> Vector:
    """Return the unit normal of a slice, the cross product of its row and column directions.

    It points from feet to head if rows run from right to left and columns from front to back.

    Raises:
        InputError: The two directions are not perpendicular unit vectors.
    """
    lengths = [float(np.linalg.norm(each)) for each in (header.along_row, header.along_column)]
    cosine = float(header.along_row @ header.along_column)
    if max(abs(cosine), *(abs(length - 1) for length in lengths)) > DIRECTION_TOLERANCE:
        raise InputError(
            f"{header.path}: its ImageOrientationPatient is not two perpendicular unit vectors"
        )
    return np.cross(header.along_row, header.along_column)


def _step(folder: Path, slices: Sequence[Slice], normal: Vector) -> Vector:
    """Return the vector from a slice to the next, (3,) in mm.

    It is not along the normal if the gantry was tilted.
    """
    if len(slices) == 1:
        if not slices[0].thickness_mm:
            raise InputError(f"{folder}: has one slice, and that has no SliceThickness")
        return normal * slices[0].thickness_mm
    positions = np.array([each.position for each in slices])
    distances = np.diff(positions @ normal)
    usual = float(np.sort(distances)[(len(distances) - 1) // 2])  # the lower median
    for before, after, distance in zip(slices[:-1], slices[1:], distances, strict=True):
        pair = f"{folder}: {before.path.name} and {after.path.name}"
        if distance < SAME_POSITION_MM:
            raise InputError(f"{pair} have the same position. Remove one of them.")
        if abs(distance - usual) > DISTANCE_TOLERANCE * usual:
            raise InputError(
                f"{pair} are {distance:.3g} mm apart, but most slices {usual:.3g} mm: slices are "
                "missing, or their distance varies.\nAdd missing slices, or resample the scan."
            )
    step: Vector = (positions[-1] - positions[0]) / (len(slices) - 1)
    deviations = positions - (positions[0] + np.outer(np.arange(len(slices)), step))
    largest_mm = np.linalg.norm(deviations, axis=1).max()
    if largest_mm > POSITION_TOLERANCE * min(usual, *slices[0].spacing_mm):
        raise InputError(f"{folder}: its slices do not lie on a line at equal distances")
    return step


def _affine(slices: Sequence[Slice], step: Vector) -> NDArray[np.float64]:
    """Return the affine from (column, row, slice) to LPS mm (PS3.3, equation C.7.6.2.1-1)."""
    first, affine = slices[0], np.eye(4)
    affine[:3, 0] = first.along_row * first.spacing_mm[1]
    affine[:3, 1] = first.along_column * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return affine
