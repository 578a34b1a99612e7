"""Reading and writing of TIFF files with tifffile. A file with several pages is a volume.

Images are read as a viewer shows them: upright, with the colours of a palette, and with black as
the lowest value. The alpha channel of an opaque image is dropped.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from wsseg.data.pictures import check_opaque, one_of_equal_channels
from wsseg.data.voxels import check_memory
from wsseg.errors import InputError
from wsseg.runtime.files import atomic_write

SUFFIXES = (".tif", ".tiff")
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6  # photometric interpretations
UNCOMPRESSED = 1
CHANNELS = "SC"  # the axes of samples and of channels, as tifffile names them
COMPRESSION_RATIO = 1100  # deflate, the strongest compression, reaches at most 1032
BYTES_PER_VALUE = 8  # extra memory while a value is read
BITS_8 = 2**8
DECODER = "imagecodecs"  # a package that tifffile needs for most compressions
TRANSPOSED = (5, 6, 7, 8)  # orientations as in EXIF: rows and columns are exchanged first,
FLIPPED = {-2: (3, 4, 7, 8), -1: (2, 3, 6, 7)}  # then the order of the rows, of the columns


@dataclass(frozen=True)
class _Layout:
    """The image of a file, as its headers describe it."""

    series: Any  # a tifffile.TiffPageSeries
    axes: dict[str, int]  # Y, X and all longer than 1, in the order of the stored array

    @property
    def page(self) -> Any:
        """The first page."""
        return self.series.keyframe

    @property
    def orientation(self) -> int:
        """The orientation; 1 if rows run down and columns to the right."""
        tag = self.page.tags.get("Orientation")
        return 1 if tag is None else int(tag.value)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the upright image, (Z, H, W)."""
        height, width = self.axes["Y"], self.axes["X"]
        slices = math.prod(n for axis, n in self.axes.items() if axis not in ("YX" + CHANNELS))
        turned = self.orientation in TRANSPOSED
        return (slices, width, height) if turned else (slices, height, width)

    def planes(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return a stored array as (C, Z, H, W)."""
        names = list(self.axes)
        order = sorted(names, key=lambda axis: (axis in "YX", axis not in CHANNELS))  # stable
        stored = values.reshape(tuple(self.axes.values()))
        planes = stored.transpose([names.index(axis) for axis in order])
        slices, *_ = self.shape
        return planes.reshape((-1, slices, *planes.shape[-2:]))


def tiff_shape(path: Path) -> tuple[int, int, int]:
    """Return the number of pages and the size of a file's image, (Z, H, W), from its headers.

    Raises:
        InputError: The file is not a readable TIFF.
    """
    with _opened(path) as layout:
        return layout.shape


def tiff_channels(path: Path) -> int:
    """Return the number of channels of a file's image, from its headers.

    Raises:
        InputError: The file is not a readable TIFF.
    """
    with _opened(path) as layout:
        if layout.page.photometric == PALETTE:
            return len(_in_colours(np.asarray(layout.page.colormap), np.zeros(1, np.intp)))
        channels = math.prod(n for axis, n in layout.axes.items() if axis in CHANNELS)
        return channels - len(layout.page.extrasamples)


def read_tiff(path: Path) -> NDArray[Any]:
    """Read the image of a file as (C, Z, H, W), with C = 3 for colours.

    Raises:
        InputError: The file is not a TIFF, is damaged, has transparent pixels, has an unsupported
            colour space, such as CMYK, or its pages differ in size.
    """
    with _opened(path) as layout:
        planes = _decoded(path, layout)
        if layout.page.photometric == PALETTE:
            return _in_colours(np.asarray(layout.page.colormap), planes[0])
        if extra := len(layout.page.extrasamples):
            check_opaque(path, planes[-extra:])
            return planes[:-extra]
        return planes


def read_tiff_labels(path: Path) -> NDArray[Any]:
    """Read a mask as (1, Z, H, W): its values, or the indices of its palette.

    Raises:
        InputError: As for `read_tiff`, or the image has colours.
    """
    with _opened(path) as layout:
        if layout.page.photometric == PALETTE:
            return _decoded(path, layout).astype(np.int32)
    return one_of_equal_channels(path, read_tiff(path))


def write_tiff_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    """Write labels, (Z, H, W), as a grey TIFF with a page for each slice."""
    import tifffile

    with atomic_write(path) as temporary:
        tifffile.imwrite(
            temporary, labels, photometric="minisblack", compression="zlib", metadata=None
        )


@contextmanager
def _opened(path: Path) -> Iterator[_Layout]:
    """Open a file; errors of tifffile become `InputError`s."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # wsseg raises errors of its own
    if not path.exists():
        raise InputError(f"{path}: file not found")
    try:
        with tifffile.TiffFile(path) as file:
            layout = _layout(path, file)
            _check_size(path, layout)
            yield layout
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: the image does not fit into memory") from None
    except tifffile.TiffFileError:
        raise InputError(
            f"{path}: the file is damaged, or not a TIFF file; copy or export it again"
        ) from None
    except Exception as error:  # a decoder may raise anything on invalid bytes
        raise InputError(
            f"{path}: the file is truncated or damaged, or cannot be read "
            f"({type(error).__name__}); copy or export it again"
        ) from error


def _layout(path: Path, file: Any) -> _Layout:
    images = [series for series in file.series if not series.keyframe.is_reduced]
    if len(images) != 1:
        raise InputError(
            f"{path}: its {len(file.pages)} pages differ in size or type, but the slices of a "
            "volume must not. Save them as separate files"
        )
    (series,) = images
    if series.keyframe.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR):
        kind = getattr(series.keyframe.photometric, "name", series.keyframe.photometric)
        raise InputError(
            f"{path}: its colour mode is {kind}; possible: greyscale, RGB and a palette. Convert it"
        )
    sizes = zip(series.axes, series.shape, strict=True)
    axes = {axis: int(n) for axis, n in sizes if n > 1 or axis in "YX"}
    channels = [axis for axis in axes if axis in CHANNELS]
    stack = [axis for axis in axes if axis not in ("YX" + CHANNELS)]
    if len(channels) > 1 or len(stack) > 1:
        listed = ", ".join(f"{axis} {axes[axis]}" for axis in (*stack, *channels))
        raise InputError(
            f"{path}: the image has more axes than channels, slices, rows and columns: {listed}. "
            "Save each volume as a separate file"
        )
    return _Layout(series, axes)


def _check_size(path: Path, layout: _Layout) -> None:
    values = math.prod(layout.axes.values())
    declared, actual = values * layout.page.bitspersample // 8, path.stat().st_size
    ratio = 1 if layout.page.compression == UNCOMPRESSED else COMPRESSION_RATIO
    if declared > actual * ratio:
        size = " × ".join(map(str, layout.axes.values()))
        raise InputError(
            f"{path}: the file is truncated: {actual} bytes cannot hold {size} values. Copy it "
            "again"
        )
    check_memory(path, declared + values * BYTES_PER_VALUE)


def _decoded(path: Path, layout: _Layout) -> NDArray[Any]:
    """Return the stored values, (C, Z, H, W), upright and with black as the lowest value."""
    try:
        values = np.asarray(layout.series.asarray())
    except ValueError as error:
        if DECODER not in str(error):
            raise
        return _decoded_by_pillow(path, layout)
    if layout.page.photometric == WHITE_IS_ZERO:
        values = ~values
    planes = layout.planes(values)
    if layout.orientation in TRANSPOSED:
        planes = planes.swapaxes(-1, -2)
    axes = tuple(axis for axis, turns in FLIPPED.items() if layout.orientation in turns)
    upright: NDArray[Any] = np.flip(planes, axes)
    return upright


def _decoded_by_pillow(path: Path, layout: _Layout) -> NDArray[Any]:
    """Decode the pages of a compressed file with libtiff, which supports fewer kinds of pixels."""
    pages: list[NDArray[Any]] = []
    try:
        with Image.open(path, formats=["TIFF"]) as file:
            for index in range(len(layout.series.pages)):
                file.seek(index)
                pages.append(np.asarray(ImageOps.exif_transpose(file)))
    except (OSError, Image.DecompressionBombError) as error:
        name = getattr(layout.page.compression, "name", layout.page.compression)
        raise InputError(
            f"{path}: the file is damaged, or its compression ({name}) needs {DECODER}. Save it "
            f"without compression, or: pip install {DECODER}"
        ) from error
    planes = np.stack(pages)  # (Z, H, W) or (Z, H, W, C)
    return np.moveaxis(planes, -1, 0) if planes.ndim > len(layout.shape) else planes[None]


def _in_colours(palette: NDArray[Any], indices: NDArray[Any]) -> NDArray[Any]:
    """Return indices, (Z, H, W), as 8-bit colours of a palette, (3, N): (C, Z, H, W)."""
    colours = palette // BITS_8 if palette.max(initial=0) >= BITS_8 else palette
    return (colours[:1] if (colours == colours[:1]).all() else colours)[:, indices]
