"""NIfTI files, opened with suspicion: whatever is wrong is one clear error that names the file."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from isal import isal_zlib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from wsseg.data.voxels import check_memory, scaled, stacked
from wsseg.errors import InputError
from wsseg.runtime.files import atomic_write
from wsseg.runtime.threads import prefetch

SPACING_MM = (0.01, 100.0)  # between neighbouring voxels: anything else is a wrong header
CHUNK = 2**20
MOST_INFLATED = 2**24  # bytes at a time: a piece of a bomb becomes a thousand times as large
GZIP = 31  # zlib's number for data with gzip's header and check sum
GZIP_RATIO = 1100  # deflate cannot shrink data further than 1032 times
SINGULAR = 1e-3  # volume of the cell that three unit axes span
SAME_AFFINE_MM = 0.01  # how far rounding of a quaternion may move a corner
DIMENSIONS = 3
# The class of isal's errors, which its stub takes for an error
DAMAGED = (EOFError, zlib.error, cast("type[Exception]", isal_zlib.error))


def open_nifti(path: Path) -> nib.Nifti1Image:
    """Read a file's header and check all that can be checked before its voxels are read."""
    _check_file(path)
    with _named_errors(path):
        image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):
        raise InputError(f"{path}: is {type(image).__name__}, not NIfTI (.nii, .nii.gz)")
    _check_kind(path, image)
    check_affine(path, image.affine)
    return image


def read_array(path: Path, image: nib.Nifti1Image, frame: int | None = None) -> NDArray[Any]:
    """Return the voxels, (X, Y, Z), in the file's own order: int16 where that loses nothing.

    Else float32. Of a file that stacks unrelated slices, `frame` picks one: (X, Y, 1).
    """
    shape = image.shape[:3]
    if frame is not None and not 0 <= frame < shape[2]:
        raise InputError(f"{path}: has no frame {frame}; its frames are 0 to {shape[2] - 1}")
    _check_size(path, image, frames=shape[2] if frame is None else 1)
    proxy: Any = image.dataobj
    with _named_errors(path):
        if frame is None:
            values, slope, inter = _unscaled(path, image), proxy.slope, proxy.inter
        else:
            _check_sum(path, _promised_bytes(image), path.stat().st_mtime_ns)
            values = np.asarray(proxy[:, :, frame : frame + 1]).reshape((*shape[:2], 1))
            slope, inter = 1.0, 0.0
        if values.dtype == np.int16 and (slope, inter) == (1, 0):
            return values
        slices = (scaled(path, values[..., z], slope, inter) for z in range(values.shape[2]))
        return stacked(slices, values.shape)


def has_affine(image: nib.Nifti1Image) -> bool:
    """Say whether a header tells how voxels lie: by an affine of its own, not the identity."""
    header: Any = image.header
    told = bool(header["sform_code"] > 0 or header["qform_code"] > 0)
    return told and not np.array_equal(image.affine[:3, :3], np.eye(3))


def affines_apart_mm(image: nib.Nifti1Image) -> float:
    """Return how far apart a header's two affines put a corner, at most; 0 where it has but one.

    Here the sform is taken; others take the qform, and would see a mask elsewhere.
    """
    header: Any = image.header
    if not (header["sform_code"] > 0 and header["qform_code"] > 0):
        return 0.0
    return _apart_mm(header.get_sform(), header.get_qform(), image.shape)


def write_nifti(
    path: Path,
    array: NDArray[np.uint8] | NDArray[np.int16],
    affine: NDArray[np.float64],
    image_class: type[nib.Nifti1Image] = nib.Nifti1Image,
) -> None:
    """Write `array` so that the file's affine, as nibabel reads it, is `affine`.

    The sform holds any affine: in NIfTI-2 exactly, in NIfTI-1 rounded to float32. Where rounding
    changes it but a quaternion repeats it exactly, as of a scan with only a qform, the qform alone
    is written. Else the qform is written as well where it agrees with the sform; a quaternion
    cannot hold shear, so that the qform of a sheared grid has the code 0, "unknown". The file is
    written completely or not at all.
    """
    image = image_class(array, affine)  # with an sform, and a qform of code 0
    header: Any = image.header
    sform, qform = header.get_sform(), header.get_qform()
    if np.array_equal(qform, affine) and not np.array_equal(sform, affine):
        image.set_sform(None, code="unknown")
        image.set_qform(affine, code="scanner")
    elif _apart_mm(sform, qform, array.shape) <= SAME_AFFINE_MM:
        image.set_qform(affine, code="aligned")
    with atomic_write(path) as temporary:
        nib.save(image, temporary)


def _apart_mm(
    one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]
) -> float:
    """Return the largest distance between the corners of an array under two affines."""
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in shape[:3]))])
    apart = corners @ (one - other).T
    return float(np.linalg.norm(apart[:, :3], axis=1).max())


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a NIfTI file")
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(
            f"{path}: is not NIfTI (.nii, .nii.gz). Of DICOM slices name their folder;\n"
            "convert other files, such as a pair .hdr and .img, by: nib-convert IN OUT.nii.gz"
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty")


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise InputError(f"{path}: is cut short or damaged ({error})") from error
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory") from error
    except (ImageFileError, HeaderDataError, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read as NIfTI ({error})") from error


def _check_kind(path: Path, image: nib.Nifti1Image) -> None:
    shape, dtype = image.shape, image.get_data_dtype()
    if len(shape) < DIMENSIONS or any(length != 1 for length in shape[DIMENSIONS:]):
        size = " × ".join(map(str, shape))
        raise InputError(
            f"{path}: is {len(shape)}-D ({size}); a scan is 3-D. Split a series into volumes."
        )
    if min(shape) < 1:
        raise InputError(f"{path}: has no voxels (its shape is {shape})")
    if dtype.kind not in "iuf":
        raise InputError(f"{path}: its voxels are {dtype}; one number a voxel is needed")


def check_affine(path: Path, affine: NDArray[np.float64]) -> None:
    """Raise `InputError` unless an affine to millimetres can be a scan's."""
    axes = affine[:3, :3]
    if not np.isfinite(affine).all():
        raise InputError(f"{path}: its affine has NaN or infinite entries")
    spacing = np.sqrt((axes**2).sum(axis=0))
    low, high = SPACING_MM
    if spacing.min() < low or spacing.max() > high:
        sizes = " × ".join(f"{s:.3g}" for s in spacing)
        raise InputError(f"{path}: voxels of {sizes} mm; possible: {low} to {high:.0f} mm")
    if abs(np.linalg.det(axes / spacing)) < SINGULAR:
        raise InputError(f"{path}: its affine is singular: two axes point the same way")


def _check_size(path: Path, image: nib.Nifti1Image, frames: int) -> None:
    """Refuse a header that promises more than the file or the memory holds."""
    item = image.get_data_dtype().itemsize
    promised, held = _promised_bytes(image), path.stat().st_size
    if promised > held * (GZIP_RATIO if _compressed(path) else 1):
        size = " × ".join(map(str, image.shape))
        raise InputError(f"{path}: is cut short: {held} bytes cannot hold {size} voxels")
    check_memory(path, math.prod(image.shape[:2]) * frames * (item + 8))


def _promised_bytes(image: nib.Nifti1Image) -> int:
    return math.prod(image.shape) * int(image.get_data_dtype().itemsize)


def _unscaled(path: Path, image: nib.Nifti1Image) -> NDArray[Any]:
    """Return the numbers as they stand in the file, (X, Y, Z)."""
    proxy: Any = image.dataobj
    shape = image.shape[:3]
    if not _compressed(path):
        return np.asarray(proxy.get_unscaled()).reshape(shape)
    count, dtype = math.prod(shape), proxy.dtype
    data, held = np.empty(proxy.offset + count * dtype.itemsize, np.uint8), 0
    for piece in prefetch(_inflated(path, len(data))):
        used = np.frombuffer(piece, np.uint8)[: len(data) - held]
        data[held : held + len(used)] = used
        held += len(used)
    if held < len(data):
        raise EOFError(f"{held} bytes in it, {len(data)} promised")
    return np.frombuffer(data, dtype, count, proxy.offset).reshape(shape, order="F")


@lru_cache(maxsize=1024)
def _check_sum(path: Path, promised: int, mtime_ns: int) -> None:  # noqa: ARG001 - the state
    """Read a compressed file, at whose end its check sum is; once while it stays as it is."""
    if _compressed(path):
        for _ in _inflated(path, promised):
            pass


def _inflated(path: Path, promised: int) -> Iterator[bytes]:
    """Yield what a compressed file holds, whole: at its end stands its check sum.

    nibabel stops at the last voxel and so misses damage. A stream that never ends is left alone.
    In large pieces, and by a library that is several times as fast as the standard one.
    """
    left, rest, member = promised + CHUNK, b"", None
    with path.open("rb") as file:
        while left > 0 and (piece := rest or file.read(CHUNK)):
            if member is None:  # a file may be several, one after the other, and padded
                piece, rest = piece.lstrip(b"\0"), b""
                member = isal_zlib.decompressobj(wbits=GZIP) if piece else None
            if member is not None:
                inflated = member.decompress(piece, MOST_INFLATED)
                left, rest = left - len(inflated), member.unconsumed_tail or member.unused_data
                member = None if member.eof else member
                yield inflated
    if left > 0 and member is not None:
        raise EOFError("it ends before its check sum")


def _compressed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
