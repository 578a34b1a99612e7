"""Reading and writing of NIfTI files; invalid files raise an `InputError` that names the file."""

import gzip
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
from isal import igzip, isal_zlib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from wsseg.data.voxels import check_memory, rescale, stack_slices
from wsseg.errors import InputError
from wsseg.runtime.files import SIDE_FILE, atomic_write

SPACING_MM = (0.01, 100.0)  # distance of neighbouring voxels: other values are header errors
PIECE_BYTES = 2**20  # decompressed at a time
MAX_TRAILING_BYTES = 2**20  # read after the voxels, to reach the checksum
GZIP_RATIO = 1100  # deflate compresses by a factor of at most 1032
SINGULAR = 1e-3  # volume of the cell that three unit axes span
STEPS = 2**15  # between 0 and 1: 0, 1/2 and 1 are exact, as the scale of a file is float32
SAME_AFFINE_MM = 0.01  # how far rounding of a quaternion may move a corner
DIMENSIONS = 3
# The stub of isal declares its error class as an instance.
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, cast("type[Exception]", isal_zlib.error))
SUFFIXES = (".nii.gz", ".nii")


def is_nifti_name(path: Path) -> bool:
    """Return whether a file has the name of a NIfTI file; macOS side files do not count."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(SIDE_FILE)


def open_nifti(path: Path) -> nib.Nifti1Image:
    """Read the header of a file and check all that does not need its voxels."""
    _check_file(path)
    with _as_input_errors(path):
        image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):
        raise InputError(
            f"{path}: the file is a {type(image).__name__}. Convert it to NIfTI (.nii, .nii.gz)."
        )
    _check_kind(path, image)
    _check_complete(path, image)
    check_affine(path, image.affine)
    return image


def volume_shape(image: nib.Nifti1Image) -> tuple[int, int, int]:
    """Return the shape of a file's array as (X, Y, Z); a 2-D image is a single slice."""
    x, y, z = (*image.shape, 1)[:DIMENSIONS]
    return x, y, z


def read_array(path: Path, image: nib.Nifti1Image, frame: int | None = None) -> NDArray[Any]:
    """Return the voxels, (X, Y, Z) in the order of the file, as int16 if lossless, else float32.

    If the file is a stack of unrelated slices, `frame` selects one of them: (X, Y, 1).
    """
    shape = volume_shape(image)
    if frame is not None and not 0 <= frame < shape[2]:
        raise InputError(f"{path}: there is no frame {frame}; possible: 0 to {shape[2] - 1}")
    _check_fits(path, image, frames=shape[2] if frame is None else 1)
    proxy: Any = image.dataobj
    with _as_input_errors(path):
        if frame is None or len(image.shape) < DIMENSIONS:
            values, slope, intercept = _unscaled(path, image), proxy.slope, proxy.inter
        else:
            _verify_check_sum(path, _declared_bytes(image), path.stat().st_mtime_ns)
            values = np.asarray(proxy[:, :, frame : frame + 1]).reshape((*shape[:2], 1))
            slope, intercept = 1.0, 0.0
        if values.dtype == np.int16 and (slope, intercept) == (1, 0):
            return values
        slices = (rescale(path, values[..., z], slope, intercept) for z in range(values.shape[2]))
        return stack_slices(slices, values.shape)


def sform_qform_distance_mm(image: nib.Nifti1Image) -> float:
    """Return the largest distance between a corner under the sform and under the qform.

    It is 0 if the header has only one of them. `wsseg` uses the sform; programs that use the qform
    would show a mask in another place.
    """
    header: Any = image.header
    if not (header["sform_code"] > 0 and header["qform_code"] > 0):
        return 0.0
    return _corner_distance_mm(header.get_sform(), header.get_qform(), image.shape)


def write_nifti(
    path: Path,
    array: NDArray[np.uint8] | NDArray[np.int16],
    affine: NDArray[np.float64],
    image_class: type[nib.Nifti1Image] = nib.Nifti1Image,
) -> None:
    """Write `array` atomically, with headers from which nibabel reads `affine`.

    The sform holds any affine: exactly in NIfTI-2, rounded to float32 in NIfTI-1. If rounding
    changes the affine but a quaternion repeats it exactly, as for a scan with only a qform, only
    the qform is written. Otherwise the qform is added if it agrees with the sform. A quaternion
    cannot represent shear: the qform of a sheared grid has code 0, "unknown".

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> import numpy as np
        >>> from wsseg.tools import read_grid, write_nifti
        >>> path = Path(mkdtemp()) / "scan.nii.gz"
        >>> write_nifti(path, np.zeros((4, 3, 2), np.int16), np.diag([0.75, 0.75, 5, 1]))
        >>> read_grid(path).spacing_mm
        (5.0, 0.75, 0.75)
    """
    with atomic_write(path) as temporary:
        nib.save(_placed_image(array, affine, image_class), temporary)


def write_nifti_shares(
    path: Path,
    shares: NDArray[np.float32],
    affine: NDArray[np.float64],
    image_class: type[nib.Nifti1Image] = nib.Nifti1Image,
) -> None:
    """Write numbers from 0 to 1 atomically, in steps of 2^-15, as 16-bit integers with a scale.

    NIfTI has no 16-bit floating-point numbers.
    """
    image = _placed_image(np.rint(shares * STEPS).astype(np.uint16), affine, image_class)
    header: Any = image.header
    header.set_slope_inter(1 / STEPS, 0)  # nibabel writes the integers as they are
    with atomic_write(path) as temporary:
        nib.save(image, temporary)


def _placed_image(
    array: NDArray[Any], affine: NDArray[np.float64], image_class: type[nib.Nifti1Image]
) -> nib.Nifti1Image:
    image = image_class(array, affine)  # with an sform, and a qform of code 0
    header: Any = image.header
    sform = header.get_sform()
    try:
        qform = header.get_qform()
    except ValueError:  # half a turn, of which rounding makes a quaternion longer than 1
        return image
    if np.array_equal(qform, affine) and not np.array_equal(sform, affine):
        image.set_sform(None, code="unknown")
        image.set_qform(affine, code="scanner")
    elif _corner_distance_mm(sform, qform, array.shape) <= SAME_AFFINE_MM:
        image.set_qform(affine, code="aligned")
    return image


def _corner_distance_mm(
    one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]
) -> float:
    """Return the largest distance between the corners of an array under two affines."""
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in shape[:3]))])
    difference = corners @ (one - other).T
    return float(np.linalg.norm(difference[:, :3], axis=1).max())


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: this is a folder, not a NIfTI file")
    if not path.exists():
        raise InputError(f"{path}: file not found")
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise InputError(
            f"{path}: cannot be read as an image; possible: NIfTI (.nii, .nii.gz), DICOM, PNG, "
            "JPEG, BMP, GIF, TIFF, .npy.\n"
            "Convert others, such as .hdr/.img pairs, with: nib-convert IN OUT.nii.gz"
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty. Copy it again.")


@contextmanager
def _as_input_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise InputError(
            f"{path}: the file is truncated or damaged ({error}). Copy it again."
        ) from error
    except MemoryError as error:
        raise InputError(f"{path}: the image does not fit into memory") from error
    except (ImageFileError, HeaderDataError, OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: cannot be read as NIfTI ({error}); copy or export it again"
        ) from error


def _check_kind(path: Path, image: nib.Nifti1Image) -> None:
    shape, dtype = image.shape, image.get_data_dtype()
    if len(shape) < DIMENSIONS - 1:
        raise InputError(
            f"{path}: the image is {len(shape)}-D ({_size(shape)}), but must be 3-D, or 2-D if it "
            "is a single slice"
        )
    if any(length != 1 for length in shape[DIMENSIONS:]):
        raise InputError(
            f"{path}: the image is {len(shape)}-D ({_size(shape)}), but must be 3-D. Split the "
            "series into volumes."
        )
    if min(shape) < 1:
        raise InputError(f"{path}: the image has no voxels (its shape is {shape})")
    if dtype.kind not in "iuf":
        raise InputError(f"{path}: its voxels have type {dtype}; each must be one real number")


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def check_affine(path: Path, affine: NDArray[np.float64]) -> None:
    """Raise an `InputError` if `affine`, from voxels to millimetres, cannot be that of a scan."""
    axes = affine[:3, :3]
    if not np.isfinite(affine).all():
        raise InputError(f"{path}: its affine has NaN or infinite entries. Correct its header.")
    spacing = np.sqrt((axes**2).sum(axis=0))
    low, high = SPACING_MM
    if spacing.min() < low or spacing.max() > high:
        sizes = " × ".join(f"{s:.3g}" for s in spacing)
        raise InputError(
            f"{path}: its voxels are {sizes} mm; possible: {low} to {high:.0f} mm. Correct its "
            "header"
        )
    if abs(np.linalg.det(axes / spacing)) < SINGULAR:
        raise InputError(
            f"{path}: its affine is singular: its axes lie in one plane. Correct its header."
        )


def _check_fits(path: Path, image: nib.Nifti1Image, frames: int) -> None:
    """Raise an `InputError` if the voxels of `frames` slices do not fit into memory."""
    item_bytes = image.get_data_dtype().itemsize
    check_memory(path, math.prod(image.shape[:2]) * frames * (item_bytes + 8))


def _check_complete(path: Path, image: nib.Nifti1Image) -> None:
    """Raise an `InputError` if the header declares more voxels than the file can hold."""
    declared, actual = _declared_bytes(image), path.stat().st_size
    if declared > actual * (GZIP_RATIO if _is_compressed(path) else 1):
        size = _size(image.shape)
        raise InputError(
            f"{path}: the file is truncated: {actual} bytes cannot hold {size} voxels. Copy it "
            "again."
        )


def _declared_bytes(image: nib.Nifti1Image) -> int:
    return math.prod(image.shape) * int(image.get_data_dtype().itemsize)


def _unscaled(path: Path, image: nib.Nifti1Image) -> NDArray[Any]:
    """Return the stored numbers, (X, Y, Z), without slope and intercept."""
    proxy: Any = image.dataobj
    shape = volume_shape(image)
    if not _is_compressed(path):
        return np.asarray(proxy.get_unscaled()).reshape(shape)
    count, dtype = math.prod(shape), proxy.dtype
    data, filled = np.empty(proxy.offset + count * dtype.itemsize, np.uint8), 0
    for piece in _decompressed(path, len(data) + MAX_TRAILING_BYTES):
        used = np.frombuffer(piece, np.uint8)[: len(data) - filled]
        data[filled : filled + len(used)] = used
        filled += len(used)
    if filled < len(data):
        raise EOFError(f"it has {filled} of {len(data)} bytes")
    return np.frombuffer(data, dtype, count, proxy.offset).reshape(shape, order="F")


@lru_cache(maxsize=1024)
def _verify_check_sum(path: Path, declared: int, mtime_ns: int) -> None:  # noqa: ARG001 - cache key
    """Read a compressed file to its end, once per version of the file."""
    if _is_compressed(path):
        for _ in _decompressed(path, declared + MAX_TRAILING_BYTES):
            pass


def _decompressed(path: Path, max_bytes: int) -> Iterator[bytes]:
    """Yield the content of a gzip file in pieces, until `max_bytes` are exceeded.

    nibabel stops at the last voxel and so misses damage: the checksum is at the end of the file.
    The limit guards against decompression bombs.
    """
    with igzip.open(path, "rb") as file:
        while max_bytes > 0 and (piece := file.read(PIECE_BYTES)):
            max_bytes -= len(piece)
            yield piece


def _is_compressed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
