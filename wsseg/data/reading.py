"""Scans in memory: voxels as a radiologist looks at them, and the file's own grid to go back."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.core.volume import Grid, Volume
from wsseg.data.dicom_series import Series, open_series, read_series
from wsseg.data.nifti import open_nifti, read_array, write_nifti
from wsseg.data.validation import EIGHT_BIT, LEAST_RANGE_HU, misplaced, strange_labels
from wsseg.errors import InputError, known_words

WHITE = 255  # of an 8-bit picture

T = TypeVar("T", bound=np.generic)


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
