"""Scans in memory: voxels as a radiologist looks at them, and the file's own grid to go back."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
from nibabel import orientations
from numpy.typing import NDArray

from wsseg.data.case import Case
from wsseg.data.nifti import open_nifti, read_array, write_nifti
from wsseg.data.series import Series, open_series, read_series
from wsseg.data.upright import upright
from wsseg.errors import InputError, known_words

CANONICAL = orientations.axcodes2ornt("SPL")  # what the axes of (Z, H, W) run towards
BINARY: tuple[set[int], ...] = ({0, 1}, {0, 255})
BEYOND_THE_SCANNER_HU = -1100  # files put less than air outside the field of view
HIGHEST_MINIMUM_HU = -50  # air is -1000 and fat -100: some voxel of a CT is below this
LEAST_RANGE_HU = 100
WHITE = 255  # of an 8-bit picture
EIGHT_BIT = 300  # the highest value of an 8-bit picture, with what resampling adds to 255
SAME_PLACE_VOXELS = 0.1  # how far a mask may lie from its image: rounding in the header

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Grid:
    """Where a file's voxels lie: its array's shape, and its affine to RAS millimetres.

    `axes` overrules the affine where that is known to be wrong: what the array's axes run
    towards, such as "LPS" (to the patient's left, back and head). Masks are written as
    `image_class`: NIfTI-2, whose affine has double precision, for a scan in NIfTI-2, else NIfTI-1.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]  # (4, 4)
    axes: str = ""
    image_class: type[nib.Nifti1Image] = nib.Nifti1Image

    def to_canonical(self, array: NDArray[T]) -> NDArray[T]:
        """Turn an array of the file into (Z, H, W); its memory may be taken for that."""
        turned: NDArray[T] = orientations.apply_orientation(array, self._turn)
        return upright(turned)

    def to_file(self, voxels: NDArray[T]) -> NDArray[T]:
        """Turn (Z, H, W) into an array of the file."""
        back = orientations.ornt_transform(CANONICAL, self._orientation)
        turned: NDArray[T] = orientations.apply_orientation(voxels, back)
        return turned

    @property
    def canonical_shape(self) -> tuple[int, int, int]:
        """The shape of (Z, H, W)."""
        z, row, column = (self.shape[axis] for axis in self._file_axes)
        return z, row, column

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between neighbouring slices, between rows and between columns.

        Slices are as far apart as their planes, measured along the normal, and rows as their lines.
        On a sheared grid, such as that of a tilted gantry, this is less than the distance between
        the centres of voxels (z, y, x) and (z + 1, y, x). The product of the three is the volume of
        a voxel, |det(affine)|, on any grid.
        """
        z, row, column = (self.affine[:3, axis] for axis in self._file_axes)
        row = _across(row, column)
        z = _across(_across(z, column), row)
        z_mm, row_mm, column_mm = (float(np.linalg.norm(step)) for step in (z, row, column))
        return z_mm, row_mm, column_mm

    def slice_in_file(self, z: int) -> int:
        """Return the number in the file of canonical slice `z`, both counted from 0."""
        runs_down = self._turn[self._file_axes[0], 1] < 0
        return self.canonical_shape[0] - 1 - z if runs_down else z

    def shift_mm(self, other: "Grid") -> float:
        """Return how far apart the corners of two canonical grids of one shape are, at most."""
        corners = np.array([(*c, 1) for c in product(*((0, n - 1) for n in self.canonical_shape))])
        apart = corners @ (self._canonical_affine - other._canonical_affine).T  # noqa: SLF001
        return float(np.sqrt((apart[:, :3] ** 2).sum(axis=1)).max())

    @property
    def _orientation(self) -> NDArray[np.float64]:
        if self.axes:
            return np.asarray(orientations.axcodes2ornt(self.axes))
        return np.asarray(orientations.io_orientation(self.affine))

    @property
    def _turn(self) -> NDArray[np.float64]:
        return np.asarray(orientations.ornt_transform(self._orientation, CANONICAL))

    @property
    def _file_axes(self) -> list[int]:
        """The file's axis of each of z, row and column."""
        return [int(axis) for axis in np.argsort(self._turn[:, 0])]

    @property
    def _canonical_affine(self) -> NDArray[np.float64]:
        back = orientations.inv_ornt_aff(self._turn, self.shape)
        return np.asarray(self.affine @ back)


@dataclass(frozen=True)
class Volume:
    """Voxels (Z, H, W): z from feet to head, rows from front to back, columns from right to left.

    Right and left are the patient's, so that a slice looks as in radiology.
    """

    voxels: NDArray[Any]  # int16, or float32 where that would lose something
    grid: Grid  # of the file it came from

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between neighbouring slices, between rows and between columns."""
        return self.grid.spacing_mm


def _across(step: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of a vector at right angles to `direction`."""
    return step - direction * ((step @ direction) / (direction @ direction))


def read_grid(path: Path, frame: int | None = None, axes: str = "") -> Grid:
    """Read where a scan's voxels lie, from its headers alone."""
    if path.is_dir():
        return _series_grid(open_series(path), axes)
    return _grid(open_nifti(path), frame, axes)


def read_volume(path: Path, frame: int | None = None, axes: str = "") -> Volume:
    """Read a NIfTI file, or a folder of DICOM slices.

    Of a file that stacks unrelated slices, `frame` picks one. Raises `InputError`, naming the
    file, for whatever is not one finite number a voxel in 3-D at a known place.
    """
    if path.is_dir():
        series = open_series(path)
        grid = _series_grid(series, axes)
        return Volume(grid.to_canonical(read_series(series)), grid)
    image = open_nifti(path)
    array = read_array(path, image, frame)
    grid = _grid(image, frame, axes)
    return Volume(grid.to_canonical(array), grid)


def _series_grid(series: Series, axes: str) -> Grid:
    return Grid(series.shape, series.affine, axes)


def _grid(image: nib.Nifti1Image, frame: int | None, axes: str) -> Grid:
    x, y, z = image.shape[:3]
    affine = np.array(image.affine, dtype=np.float64)
    if frame is None:
        return Grid((x, y, z), affine, axes, type(image))
    affine[:, 3] += affine[:, 2] * frame
    return Grid((x, y, 1), affine, axes, type(image))


def read_mask(
    path: Path,
    like: Grid,
    values: tuple[int, ...] | None = None,
    frame: int | None = None,
    known: Collection[int] | None = None,
) -> NDArray[np.bool_]:
    """Read where a label image on the grid of its scan has one of `values`, (Z, H, W).

    Without `values` it is a mask of 0 and 1 (or 255). `known` are all labels the file may hold;
    with `values` and without `known`, others are other structures and not asked about.
    """
    return _mask(path, read_volume(path, frame, like.axes), like, values, known)


def _mask(
    path: Path,
    labels: Volume,
    like: Grid,
    values: tuple[int, ...] | None,
    known: Collection[int] | None,
) -> NDArray[np.bool_]:
    held = {float(label) for label in np.unique(labels.voxels)}
    problem = misplaced(labels.grid, like) or strange_labels(held, values, known)
    if problem:
        raise InputError(f"{path}: {problem}")
    return where(labels.voxels, values)


def where(labels: NDArray[Any], values: tuple[int, ...] | None) -> NDArray[np.bool_]:
    """Return where labels are of `values`; without, where they are not 0."""
    return labels != 0 if values is None else np.isin(labels, values)


def write_mask(path: Path, voxels: NDArray[np.uint8], grid: Grid) -> None:
    """Write (Z, H, W) labels as NIfTI on the file's own grid, with the scan's affine."""
    write_nifti(path, grid.to_file(voxels), grid.affine, grid.image_class)


def read_case_grid(case: Case) -> Grid:
    """Read where a case's voxels lie."""
    with naming(case):
        return read_grid(case.image, case.frame, case.axes)


def read_case(case: Case) -> Volume:
    """Read a case's image, in the scanner's unit where it is an 8-bit picture of known window."""
    with naming(case):
        volume = read_volume(case.image, case.frame, case.axes)
        return volume if case.window is None else _windowed(case.image, volume, case.window)


def read_case_mask(case: Case, name: str, like: Grid) -> NDArray[np.bool_]:
    """Read a case's mask `name`, (Z, H, W), on the grid of its image."""
    values, known = case.mask_values.get(name), case.mask_labels.get(name)
    labels = read_case_labels(case, name, like)
    with naming(case):
        return _mask(case.masks[name], labels, like, values, known)


def read_case_labels(case: Case, name: str, like: Grid) -> Volume:
    """Read the labels that a case's mask `name` is made of, wherever they lie."""
    with naming(case):
        if name not in case.masks:
            raise InputError(f"has no mask {name!r}; {known_words(name, case.masks)}")
        labels = read_volume(case.masks[name], case.frame, like.axes)
    if not case.masks_on_grid or labels.grid.shape != like.shape:
        return labels
    return Volume(like.to_canonical(labels.grid.to_file(labels.voxels)), like)


def _windowed(path: Path, volume: Volume, window: tuple[float, float]) -> Volume:
    lowest, highest = float(volume.voxels.min()), float(volume.voxels.max())
    if lowest < WHITE - EIGHT_BIT or not LEAST_RANGE_HU < highest <= EIGHT_BIT:
        raise InputError(
            f"{path}: its values go from {lowest:g} to {highest:g}; as published it is an 8-bit "
            "picture, 0 to 255. Take the publisher's own file."
        )
    low, high = window
    unit = low + np.clip(volume.voxels, 0, WHITE, dtype=np.float32) * ((high - low) / WHITE)
    return Volume(unit, volume.grid)


@contextmanager
def naming(case: Case) -> Iterator[None]:
    """Put the case's name before an error of its files."""
    try:
        yield
    except InputError as error:
        raise InputError(f"case {case.name}: {error}") from error


def check_hu(volume: Volume, name: str) -> None:
    """Raise `InputError` unless the voxels of `name` can be Hounsfield units."""
    seen = (image[image >= BEYOND_THE_SCANNER_HU] for image in volume.voxels)
    spans = ((float(values.min()), float(values.max())) for values in seen if values.size)
    lowest, highest = next(spans, (0.0, 0.0))
    for low, high in chain([(lowest, highest)], spans):
        lowest, highest = min(low, lowest), max(high, highest)
        if not not_hu(lowest, highest):
            return  # mostly after a few slices
    raise InputError(f"{name}: {not_hu(lowest, highest)}")


def not_hu(lowest: float, highest: float) -> str:
    """Say why values in this range, of what the scanner saw, are not Hounsfield units; or "".

    A normalised image, an 8-bit picture and a CT without its intercept are told apart.
    """
    if lowest < HIGHEST_MINIMUM_HU and highest - lowest > LEAST_RANGE_HU:
        return ""
    if highest - lowest <= LEAST_RANGE_HU:
        looks = "a normalised or nearly constant image. Give the scan as it came from the scanner"
    elif highest <= EIGHT_BIT:
        looks = "an 8-bit picture. Give the scan itself, or HU computed from the picture's window"
    else:
        looks = "CT without its rescale intercept. Add it, most often -1024, to every voxel"
    return f"is not in HU: its values go from {lowest:g} to {highest:g}, like {looks}."


def misplaced(mask: Grid, image: Grid) -> str:
    """Say why a mask is not on its image's grid; "" where it is, but for rounding."""
    if mask.canonical_shape != image.canonical_shape:
        return (
            f"its shape is {mask.shape}, its image's {image.shape}. "
            "Resample the mask to the image's grid (nearest neighbour)."
        )
    shift_mm, tolerance_mm = mask.shift_mm(image), SAME_PLACE_VOXELS * min(image.spacing_mm)
    if shift_mm > tolerance_mm:
        return (
            f"lies up to {shift_mm:.3g} mm from its image (more than the {tolerance_mm:.2g} mm of "
            "rounding): their affines differ. "
            "Resample the mask to the image's grid, or give both the same affine."
        )
    return ""


def strange_labels(
    held: Collection[float], values: tuple[int, ...] | None, known: Collection[int] | None
) -> str:
    """Say which labels of a file are not expected, and which are; "" where all are."""
    if known is not None:
        if strange := set(held) - set(known):
            return f"has {_listed(strange)}; possible: {', '.join(map(str, sorted(known)))}"
    elif values is None and not any(set(held) <= binary for binary in BINARY):
        return (
            f"has {_listed(set(held) - {0, 1})}; a mask has 0 and 1 (or 0 and 255). "
            "Or say which labels count, with the cohort's mask_values."
        )
    return ""


def _listed(labels: Collection[float]) -> str:
    first = sorted(labels)[:5]
    dots = ", …" if len(labels) > len(first) else ""
    return f"unknown labels {', '.join(f'{label:g}' for label in first)}{dots}"
