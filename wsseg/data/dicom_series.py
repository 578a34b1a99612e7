"""Reading of a DICOM series as one scan: complete, on one grid, sorted by position."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.data.dicom import Header, Slice, Vector, read_header
from wsseg.data.dicom_folder import Skipped, choose_scans, find_series
from wsseg.data.dicom_pixels import read_pixels
from wsseg.data.nifti import check_affine
from wsseg.data.voxels import check_memory, stack_slices
from wsseg.errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
DIRECTION_TOLERANCE = 1e-3  # rounding in the header
SPACING_TOLERANCE = 1e-4  # relative: rounding in the header
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
    skipped: tuple[Skipped, ...]  # files below the folder that do not belong to the series

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the slices."""
        return tuple(dict.fromkeys(each.path for each in self.slices))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(X, Y, Z): columns, rows, slices."""
        rows, columns = self.slices[0].size
        return columns, rows, len(self.slices)


def open_series(folder: Path, files: Sequence[Path] = ()) -> Series:
    """Read the headers of a series, sort its slices and compute their affine.

    Without `files`, `choose_scans` must find exactly one scan below `folder`.

    Raises:
        InputError: There is not exactly one scan, or its files do not form one: they have several
            grids, a slice is missing, or two slices have the same position.
    """
    headers, skipped = (list(map(read_header, files)), []) if files else _only_scan(folder)
    slices = [each for header in headers for each in _usable(header)]
    _check_same(folder, slices, lambda s: s.size, "slice sizes")
    _check_spacings(folder, slices)
    _check_parallel(folder, slices)
    normal = _normal(slices[0])
    slices.sort(key=lambda s: float(s.position @ normal))
    affine = LPS_TO_RAS @ _affine(slices, _step(folder, slices, normal))
    check_affine(folder, affine)
    series = Series(folder, tuple(slices), affine, tuple(skipped))
    check_memory(folder, BYTES_PER_VOXEL * int(np.prod(series.shape, dtype=np.int64)))
    return series


def read_series(series: Series) -> NDArray[Any]:
    """Return the voxels, (X, Y, Z), as int16 if lossless, else float32."""
    return stack_slices((pixels.T for pixels in read_pixels(series.slices)), series.shape)


def _only_scan(folder: Path) -> tuple[list[Header], list[Skipped]]:
    """Return the headers of the only scan below a folder, and what was skipped."""
    found, skipped = find_series(folder)
    if not found:
        raise InputError(
            f"{folder}: the folder contains no DICOM slices. Give the folder of a series."
        )
    scans, others = choose_scans(found)
    if not scans:
        reasons = "; ".join(dict.fromkeys(each.reason for each in others))
        raise InputError(
            f"{folder}: none of its {len(found)} series is a scan: {reasons}.\n"
            "To use one of them anyway, give its folder."
        )
    if len(scans) > 1:
        counts = [f"{scan.slices} ({scan.headers[0].path.name}, …)" for scan in scans]
        raise InputError(
            f"{folder}: its slices belong to {len(scans)} different series: {_shorten(counts)}.\n"
            "A scan is one series. Put each series into its own folder."
        )
    return list(scans[0].headers), skipped + others


def _usable(header: Header) -> tuple[Slice, ...]:
    """Return the slices of a file."""
    if header.problem:
        raise header.problem
    return header.slices


def _shorten(items: Sequence[str]) -> str:
    return ", ".join([*items[:MAX_GROUPS_SHOWN], *["…"] * (len(items) > MAX_GROUPS_SHOWN)])


def _check_same(
    folder: Path, slices: Sequence[Slice], key: Callable[[Slice], Hashable], name: str
) -> None:
    groups: dict[Hashable, list[Slice]] = defaultdict(list)
    for each in slices:
        groups[key(each)].append(each)
    if len(groups) > 1:
        counts = [f"{len(group)} ({group[0].name}, …)" for group in groups.values()]
        raise InputError(
            f"{folder}: its slices have {len(groups)} different {name}: {_shorten(counts)}.\n"
            "A scan is one series. Put each series into its own folder."
        )


def _check_spacings(folder: Path, slices: Sequence[Slice]) -> None:
    spacings = np.array([each.spacing_mm for each in slices])
    if not np.allclose(spacings, spacings[0], rtol=SPACING_TOLERANCE, atol=0):
        _check_same(folder, slices, lambda s: s.spacing_mm, "pixel spacings")


def _check_parallel(folder: Path, slices: Sequence[Slice]) -> None:
    first = slices[0]
    for each in slices:
        differences = [each.along_row - first.along_row, each.along_column - first.along_column]
        if np.abs(differences).max() > DIRECTION_TOLERANCE:
            raise InputError(
                f"{folder}: {first.name} and {each.name} are not parallel. "
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
            f"{header.path}: ImageOrientationPatient must be two perpendicular unit vectors. "
            "Export the series again."
        )
    return np.cross(header.along_row, header.along_column)


def _step(folder: Path, slices: Sequence[Slice], normal: Vector) -> Vector:
    """Return the vector from a slice to the next, (3,) in mm.

    It is not along the normal if the gantry was tilted.
    """
    if len(slices) == 1:
        if not slices[0].thickness_mm:
            raise InputError(
                f"{folder}: its only slice has no SliceThickness. Export the series again with all "
                "tags."
            )
        return normal * slices[0].thickness_mm
    positions = np.array([each.position for each in slices])
    distances = np.diff(positions @ normal)
    usual = float(np.sort(distances)[(len(distances) - 1) // 2])  # the lower median
    for before, after, distance in zip(slices[:-1], slices[1:], distances, strict=True):
        pair = f"{folder}: {before.name} and {after.name}"
        if distance < SAME_POSITION_MM:
            raise InputError(
                f"{pair} have the same position: a repeated slice, or another phase. "
                "Remove one of them, or export each phase as its own series."
            )
        if abs(distance - usual) > DISTANCE_TOLERANCE * usual:
            raise InputError(
                f"{pair} are {distance:.3g} mm apart, but most slices are {usual:.3g} mm apart: "
                "slices are missing, or the spacing varies.\n"
                "Add missing slices, or resample the scan."
            )
    step: Vector = (positions[-1] - positions[0]) / (len(slices) - 1)
    deviations = positions - (positions[0] + np.outer(np.arange(len(slices)), step))
    largest_mm = np.linalg.norm(deviations, axis=1).max()
    if largest_mm > POSITION_TOLERANCE * min(usual, *slices[0].spacing_mm):
        raise InputError(
            f"{folder}: its slices are not in a straight line at equal distances. Resample the "
            "scan."
        )
    return step


def _affine(slices: Sequence[Slice], step: Vector) -> NDArray[np.float64]:
    """Return the affine from (column, row, slice) to LPS mm (PS3.3, equation C.7.6.2.1-1)."""
    first, affine = slices[0], np.eye(4)
    affine[:3, 0] = first.along_row * first.spacing_mm[1]
    affine[:3, 1] = first.along_column * first.spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    return affine
