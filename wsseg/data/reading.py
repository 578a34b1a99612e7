"""Reading scans and masks of cases into memory, and writing masks on the grid of their scan."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.core.channels import ONE_CHANNEL
from wsseg.core.volume import Grid, LabelMap, Volume
from wsseg.core.weak_labels import ScribbleValues
from wsseg.data.common_grid import on_grid
from wsseg.data.dicom_file import is_dicom
from wsseg.data.dicom_series import Series, open_series, read_series
from wsseg.data.nifti import (
    is_nifti_name,
    open_nifti,
    read_array,
    volume_shape,
)
from wsseg.data.picture_formats import channel_names, picture_format, picture_grid
from wsseg.data.validation import grid_mismatch, unexpected_labels
from wsseg.data.voxels import finite_voxels, round_labels
from wsseg.errors import InputError, known_words

WHITE = 255  # the highest value of an 8-bit picture
OVERSHOOT = 45  # grey levels that resampling may add beyond black and white
MIN_CONTRAST = 100  # grey levels; the brightest pixel of a picture has more

T = TypeVar("T", bound=np.generic)


def read_grid(
    path: Path, frame: int | None = None, axes: str = "", files: Sequence[Path] = ()
) -> Grid:
    """Read the grid of a scan from its headers alone.

    `frame` selects one slice of a file that stacks unrelated slices. `axes` overrides the affine,
    as in `Grid`. `files` are the DICOM files of the scan, if it is not the only one below `path`.

    Raises:
        InputError: The file is not a 3-D image.

    Example:
        >>> from pathlib import Path
        >>> from wsseg.tools import read_grid
        >>> read_grid(Path("scan.nii.gz")).canonical_shape
        (4, 24, 24)
    """
    if _is_series(path):
        return _series_grid(_series(path, files), axes)
    if picture := picture_format(path):
        return picture_grid(_framed(path, picture.shape(path), frame))
    return _grid(open_nifti(path), frame, axes)


def read_volume(
    path: Path, frame: int | None = None, axes: str = "", files: Sequence[Path] = ()
) -> Volume:
    """Read a NIfTI file, DICOM slices, or a picture.

    `frame` selects one slice of a file that stacks unrelated slices. `axes` overrides the affine,
    as in `Grid`. `files` are the DICOM files of the scan, if it is not the only one below `path`.

    Raises:
        InputError: The file is not a 3-D image with one finite number per voxel.

    Example:
        >>> from pathlib import Path
        >>> from wsseg.tools import read_volume
        >>> volume = read_volume(Path("scan.nii.gz"))
        >>> volume.voxels.shape, volume.channels, volume.spacing_mm
        ((1, 4, 24, 24), ('image',), (5.0, 1.0, 1.0))
    """
    if _is_series(path):
        series = _series(path, files)
        grid = _series_grid(series, axes)
        return Volume(grid.to_canonical(read_series(series))[None], grid)
    if picture := picture_format(path):
        return _picture(path, picture.read(path), frame)
    image = open_nifti(path)
    array = read_array(path, image, frame)
    grid = _grid(image, frame, axes)
    return Volume(grid.to_canonical(array)[None], grid)


def read_channels(path: Path) -> tuple[str, ...]:
    """Read the names of an image's channels from its headers alone.

    Raises:
        InputError: The file is a picture that cannot be read.
    """
    picture = None if path.is_dir() else picture_format(path)
    return ONE_CHANNEL if picture is None else channel_names(picture.channels(path))


def _is_series(path: Path) -> bool:
    """Return whether a path is a folder or a DICOM file."""
    return path.is_dir() or (not (is_nifti_name(path) or picture_format(path)) and is_dicom(path))


def _series(path: Path, files: Sequence[Path]) -> Series:
    """Open the series at a path, which is a folder or one of the files of a DICOM scan."""
    return open_series(path, files) if path.is_dir() else open_series(path.parent, files or (path,))


def _picture(path: Path, planes: NDArray[Any], frame: int | None) -> Volume:
    """Return the values of a picture, (C, Z, H, W), or of one of its slices, as a volume."""
    channels, slices, height, width = planes.shape
    size = _framed(path, (slices, height, width), frame)
    stack = planes if frame is None else planes[:, frame : frame + 1]
    voxels = np.ascontiguousarray(finite_voxels(path, stack))
    return Volume(voxels, picture_grid(size), channel_names(channels))


def _framed(path: Path, shape: tuple[int, int, int], frame: int | None) -> tuple[int, int, int]:
    """Return the shape of a picture, (Z, H, W), or of its slice `frame`."""
    slices, height, width = shape
    if frame is not None and not 0 <= frame < slices:
        raise InputError(f"{path}: there is no frame {frame}; possible: 0 to {slices - 1}")
    return shape if frame is None else (1, height, width)


def _series_grid(series: Series, axes: str) -> Grid:
    return Grid(series.shape, series.affine, axes)


def _grid(image: nib.Nifti1Image, frame: int | None, axes: str) -> Grid:
    x, y, z = volume_shape(image)
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
    """Read a label image on the grid of its scan; return where it has one of `values`, (Z, H, W).

    The labels of a picture are its grey levels, or the indices of its palette. A mask that is a
    picture, or that belongs to one, must have the size of its image.

    Without `values`, the file must be a mask of 0 and 1 (or 255). `known` lists all labels that
    the file may have; with `values` and without `known`, it may have any others. A label within
    0.001 of an integer is rounded: programs that resample masks write 0.9999999 for 1.

    Raises:
        InputError: The file is not on the grid `like`, or has an unexpected label.

    Example:
        >>> from pathlib import Path
        >>> from wsseg.tools import read_grid, read_mask
        >>> mask = read_mask(Path("mask.nii.gz"), like=read_grid(Path("scan.nii.gz")))
        >>> mask.shape, mask.dtype
        ((4, 24, 24), dtype('bool'))
    """
    return _mask(path, _labels(path, like, frame), like, values, known)


def _labels(path: Path, like: Grid, frame: int | None) -> LabelMap:
    """Read a label image on its own grid.

    Raises:
        InputError: The file is not an image, or has several channels.
    """
    if picture := picture_format(path):
        volume = _picture(path, picture.read_labels(path), frame)
    else:
        volume = read_volume(path, frame, like.axes)
    if len(volume.channels) > 1:
        raise InputError(f"{path}: the mask has {len(volume.channels)} channels, but must have one")
    return LabelMap(volume.channel(), volume.grid)


def _mask(
    path: Path,
    labels: LabelMap,
    like: Grid,
    values: tuple[int, ...] | None,
    known: Collection[int] | None,
) -> NDArray[np.bool_]:
    voxels = round_labels(labels.voxels)
    present = {float(label) for label in np.unique(voxels)}
    problem = grid_mismatch(labels.grid, like) or unexpected_labels(present, values, known)
    if problem:
        raise InputError(f"{path}: {problem}")
    return label_mask(voxels, values)


def label_mask(labels: NDArray[Any], values: tuple[int, ...] | None) -> NDArray[np.bool_]:
    """Return where the labels are one of `values`; without `values`, where they are not 0."""
    return labels != 0 if values is None else np.isin(labels, values)


def read_case_grid(case: Case) -> Grid:
    """Read the grid of a case's image from its headers.

    Raises:
        InputError: The image is not a 3-D image; the message names the case.

    Example:
        >>> from pathlib import Path
        >>> from wsseg import Case
        >>> from wsseg.tools import read_case_grid
        >>> read_case_grid(Case("a", "a", Path("scan.nii.gz"))).spacing_mm
        (5.0, 1.0, 1.0)
    """
    with case_in_errors(case):
        return read_grid(case.image, case.frame, case.axes, case.files)


def read_case(case: Case) -> Volume:
    """Read a case's image.

    An 8-bit picture with a known window, `case.window`, is converted to the scanner's unit.
    Sequences on another grid than the first are resampled to it.

    Raises:
        InputError: The image cannot be read; the message names the case.

    Example:
        >>> from pathlib import Path
        >>> from wsseg import Case
        >>> from wsseg.tools import read_case
        >>> read_case(Case("a", "a", Path("scan.nii.gz"))).voxels.shape
        (1, 4, 24, 24)
    """
    with case_in_errors(case):
        if not case.images:
            return _read_image(case, case.image)
        first, *others = (_read_image(case, path) for path in case.images.values())
        volumes = [first, *(on_grid(each, first.grid) for each in others)]
        voxels = np.concatenate([each.voxels for each in volumes])
        return Volume(voxels, first.grid, _channel_names(case, [v.channels for v in volumes]))


def read_case_channels(case: Case) -> tuple[str, ...]:
    """Read the names of the channels of a case's image from the headers of its files.

    Raises:
        InputError: A file is not an image; the message names the case.
    """
    with case_in_errors(case):
        found = [read_channels(path) for path in case.image_files.values()]
    return _channel_names(case, found)


def _channel_names(case: Case, found: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names of all channels; `found` holds those of each file.

    A single channel has the name of its file in the cohort; several have it as a prefix.
    """
    if not case.images:
        return found[0]
    return tuple(
        name if len(channels) == 1 else f"{name}.{channel}"
        for name, channels in zip(case.images, found, strict=True)
        for channel in channels
    )


def _read_image(case: Case, path: Path) -> Volume:
    files = () if case.images else case.files
    volume = read_volume(path, case.frame, case.axes, files)
    return volume if case.window is None else _picture_in_unit(path, volume, case.window)


def read_case_mask(case: Case, name: str, like: Grid) -> NDArray[np.bool_]:
    """Read a case's mask `name`, (Z, H, W); `like` is the grid of its image.

    Raises:
        InputError: The case has no such mask, or the mask does not match the image.

    Example:
        >>> from pathlib import Path
        >>> from wsseg import Case
        >>> from wsseg.tools import read_case_grid, read_case_mask
        >>> case = Case("a", "a", Path("scan.nii.gz"), masks={"tumour": Path("mask.nii.gz")})
        >>> read_case_mask(case, "tumour", like=read_case_grid(case)).any()
        np.True_
    """
    values, known = case.mask_values.get(name), case.mask_labels.get(name)
    labels = read_case_labels(case, name, like)
    with case_in_errors(case):
        return _mask(case.masks[name], labels, like, values, known)


def read_case_labels(case: Case, name: str, like: Grid) -> LabelMap:
    """Read the label image of a case's mask `name`, on its own grid."""
    with case_in_errors(case):
        if name not in case.masks:
            raise InputError(f"no mask is called {name!r}; {known_words(name, case.masks)}")
        return _labels_like_image(case, case.masks[name], like)


def read_case_scribble(case: Case, name: str, like: Grid) -> NDArray[np.int8]:
    """Read a case's scribbles of a class, (Z, H, W): 1 present, -1 absent, 0 unknown.

    `like` is the grid of its image.

    Raises:
        InputError: The file does not match the image, or has an unknown value.
    """
    values = case.scribble_values.get(name, ScribbleValues())
    with case_in_errors(case):
        path = case.scribbles[name]
        labels = _labels_like_image(case, path, like)
        voxels = round_labels(labels.voxels)
        present = {float(label) for label in np.unique(voxels)}
        problem = grid_mismatch(labels.grid, like)
        if problem := problem or unexpected_labels(present, values.present, values.all):
            raise InputError(f"{path}: {problem}")
    signs = np.isin(voxels, values.present).astype(np.int8)
    signs[np.isin(voxels, values.absent)] = -1
    return signs


def _labels_like_image(case: Case, path: Path, like: Grid) -> LabelMap:
    labels = _labels(path, like, case.frame)
    if not case.masks_on_grid or labels.grid.shape != like.shape:
        return labels
    return LabelMap(like.to_canonical(labels.grid.to_file(labels.voxels)), like)


def _picture_in_unit(path: Path, volume: Volume, window: tuple[float, float]) -> Volume:
    lowest, highest = float(volume.voxels.min()), float(volume.voxels.max())
    if lowest < -OVERSHOOT or not MIN_CONTRAST < highest <= WHITE + OVERSHOOT:
        raise InputError(
            f"{path}: its values range from {lowest:g} to {highest:g}, but the published file is "
            "an 8-bit picture (0 to 255). Use the publisher's file."
        )
    low, high = window
    unit = low + np.clip(volume.voxels, 0, WHITE, dtype=np.float32) * ((high - low) / WHITE)
    return replace(volume, voxels=unit)


@contextmanager
def case_in_errors(case: Case) -> Iterator[None]:
    """Prefix every `InputError` with the name of the case."""
    try:
        yield
    except InputError as error:
        raise InputError(f"case {case.name}: {error}") from error
