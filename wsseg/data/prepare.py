"""Scans on the network's grid, made once and shared by runs and processes as memory maps."""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.core.input import Input
from wsseg.core.interfaces import Region
from wsseg.core.volume import Grid, Volume
from wsseg.data.reading import naming, read_case, read_case_grid, read_case_mask
from wsseg.data.region_check import doubt
from wsseg.data.resample import (
    applicable,
    mixed_slices,
    nearest_indices,
    own_weights,
    prepared_weights,
    resized,
    slice_positions,
)
from wsseg.data.spacing import rounded_mm
from wsseg.data.validation import check_hu
from wsseg.errors import InputError
from wsseg.runtime.cache import SizeLimiter
from wsseg.runtime.cache_leases import lease
from wsseg.runtime.files import atomic_write, cache_folder, fingerprint, sha256
from wsseg.runtime.threads import map_in_threads

VERSION = 3  # of what this file computes: a new number makes old cache entries unknown
HALF = 0.5  # of a voxel's extent must be mask, for it to be one
INT16 = np.iinfo(np.int16)
NO_REGIONS: Mapping[str, Region] = MappingProxyType({})
MemoryMap: TypeAlias = "np.memmap[Any, np.dtype[Any]]"  # its file is at .filename
log = logging.getLogger("wsseg")
_limiter = SizeLimiter()
_judged: set[tuple[str, object]] = set()  # regions, by case and file, that were looked at


@dataclass(frozen=True)
class Prepared:
    """A case on the network's grid. Cheap to send to another process: voxels stay in their file."""

    case: Case
    grid: Grid  # of the case's file
    size: int  # pixels of the network's grid, both ways
    positions: tuple[float, ...]  # of its slices, in canonical slices of the file
    spacing_mm: tuple[float, float, float]  # of the network's grid, along (z, row, column)
    key: str  # digest of all that shapes its voxels
    image_sha256: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, size, size) of the network's grid."""
        return len(self.positions), self.size, self.size

    @property
    def folder(self) -> Path:
        """Where in the cache this is kept."""
        return cache_folder() / "prepared" / self.key

    @property
    def image_path(self) -> Path:
        """The file of `image`."""
        return self.folder / "image.npy"

    @property
    def image(self) -> MemoryMap:
        """Voxels, neither masked nor scaled, (Z, size, size): int16 or float32."""
        return _mapped(self.image_path)

    @property
    def slice_of(self) -> tuple[int, ...]:
        """For each prepared slice the nearest one of the file, counted there from 0."""
        if self.case.frame is not None:
            return (self.case.frame,)
        return tuple(self.grid.slice_in_file(int(z)) for z in self.nearest_slices)

    @property
    def nearest_slices(self) -> NDArray[np.intp]:
        """For each prepared slice the nearest canonical one of the file."""
        last = self.grid.canonical_shape[0] - 1
        return np.rint(self.positions).clip(0, last).astype(np.intp)


def prepare(
    case: Case,
    settings: Input,
    regions: Mapping[str, Region] = NO_REGIONS,
    find: Collection[str] = (),
) -> Prepared:
    """Bring a case's image to the network's grid; from the cache where it was done before.

    `regions` has, by name, the one that `settings` may standardize by, and those to `find` as
    well: the image is read once for all. What is kept of the case stays until this process lets it
    go or ends.
    """
    grid = read_case_grid(case)
    if stray := stray_slice(case, grid.canonical_shape[0]):
        raise InputError(f"case {case.name}: {stray}")
    digest = file_digest(case.image)
    shaping: list[Any] = [settings.model_dump(mode="json", include={"size", "thick", "unit"})]
    inside = None if settings.standardize is None else regions[settings.standardize]
    shaping += [] if inside is None else _named(inside, case)
    (z, height, width), (z_mm, row_mm, column_mm) = grid.canonical_shape, grid.spacing_mm
    thick = applicable(settings.thick, z, z_mm)
    positions = slice_positions(z, rounded_mm(z_mm), thick)
    prepared = Prepared(
        case=case,
        grid=grid,
        size=settings.size,
        positions=tuple(positions.tolist()),
        spacing_mm=(
            float(thick.to_mm) if thick else z_mm,
            row_mm * height / settings.size,
            column_mm * width / settings.size,
        ),
        key=fingerprint([VERSION, digest, case.frame, case.axes, case.window, shaping]),
        image_sha256=digest,
    )
    for path in (case.image, prepared.folder):
        lease(path)
    read = cache(partial(read_case, case))  # at most once, and not where all is known
    _cached(prepared.image_path, prepared.shape, lambda: _image(prepared, settings, inside, read()))
    for name in find:
        _found(prepared, regions[name], read)
    return prepared


def prepare_region(prepared: Prepared, region: Region) -> MemoryMap:
    """Find a region and bring it to the network's grid, (Z, size, size) uint8 of 0 and 1.

    Logs a warning that names the case where the region is empty, or not what it is meant to be:
    once in a process.
    """
    return _found(prepared, region, partial(read_case, prepared.case))


def _found(prepared: Prepared, region: Region, read: Callable[[], Volume]) -> MemoryMap:
    case = prepared.case
    mask = _cached(
        prepared.folder / f"region-{fingerprint(_named(region, case))}.npy",
        prepared.shape,
        lambda: _on_network_grid(prepared, region(case, read())),
    )
    if (case.name, mask.filename) not in _judged:
        _judged.add((case.name, mask.filename))
        spacing_mm = None if case.axes else prepared.spacing_mm
        if words := doubt(mask, prepared.image, spacing_mm, region.plausible):
            log.warning("case %s: its region %s (%s)", case.name, words, type(region).__name__)
    return mask


def prepare_mask(prepared: Prepared, name: str) -> MemoryMap:
    """Bring a case's mask `name` to the network's grid, (Z, size, size) uint8 of 0 and 1."""
    case = prepared.case
    digest = file_digest(case.masks[name]) if name in case.masks else ""
    what: list[Any] = [digest, case.mask_values.get(name), case.mask_labels.get(name)]
    what += ["on grid"] if case.masks_on_grid else []
    return _cached(
        prepared.folder / f"mask-{fingerprint(what)}.npy",
        prepared.shape,
        lambda: _on_network_grid(prepared, read_case_mask(case, name, prepared.grid)),
    )


def to_scan_grid(prepared: Prepared, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bring a mask, (Z, size, size), back to the canonical grid of its scan.

    Interpolated linearly; a voxel is inside from 1/2 on.
    """
    z, height, width = prepared.grid.canonical_shape
    own = np.zeros((z, height, width), np.bool_)
    for index, weights in enumerate(own_weights(np.array(prepared.positions), z)):
        used = np.flatnonzero(weights)
        if mask[used].any():
            shares = weights[used].astype(np.float32)
            mixed = np.tensordot(shares, mask[used].astype(np.float32), axes=1)
            own[index] = resized(mixed, (height, width)) >= HALF
    return own


def _named(region: Region, case: Case) -> list[Any]:
    """Return all that shapes what `region` finds in a case, but for the image."""
    kind, files = type(region), [file_digest(path) for path in region.files(case)]
    files += ["on grid"] if files and case.masks_on_grid else []
    return [
        kind.__module__.partition(".")[0],  # a class may move within its package
        kind.__qualname__,
        region.version,
        region.model_dump(mode="json"),
        files,
    ]


def _image(
    prepared: Prepared, settings: Input, inside: Region | None, volume: Volume
) -> NDArray[Any]:
    if settings.unit == "HU":
        with naming(prepared.case):
            check_hu(volume, str(prepared.case.image))
    size = (prepared.size, prepared.size)
    count, z_mm = len(volume.voxels), rounded_mm(volume.spacing_mm[0])
    thick = applicable(settings.thick, count, z_mm)
    weights = prepared_weights(np.array(prepared.positions), count, z_mm, thick)
    small = map_in_threads(lambda image: resized(image.astype(np.float32), size), volume.voxels)
    voxels = mixed_slices(small, weights, size)
    if inside is not None:
        mean, sd = _moments(prepared.case, volume, inside)
        return (voxels - mean) / sd
    if volume.voxels.dtype == np.int16 or settings.unit == "HU":
        return np.rint(voxels).clip(INT16.min, INT16.max).astype(np.int16)
    return voxels


def _moments(case: Case, volume: Volume, region: Region) -> tuple[np.float32, np.float32]:
    """Return mean and standard deviation of the voxels inside, which z-scores are made of."""
    values = volume.voxels[region(case, volume)].astype(np.float64)
    if not values.size or values.min() == values.max():
        what = "all alike" if values.size else "none"
        raise InputError(
            f"case {case.name}: cannot be standardized: voxels inside the region are {what}.\n"
            "Leave the case out, or find the region otherwise."
        )
    return np.float32(values.mean()), np.float32(values.std())


def _on_network_grid(prepared: Prepared, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Take the nearest voxel's label, so that a mask stays a mask."""
    rows, columns = (nearest_indices(n, prepared.size) for n in mask.shape[1:])
    return mask[np.ix_(prepared.nearest_slices, rows, columns)].astype(np.uint8)


def _cached(path: Path, shape: tuple[int, ...], make: Callable[[], NDArray[Any]]) -> MemoryMap:
    """Map an array of the cache, made first where it is missing, damaged or of another shape."""
    try:
        known = _mapped(path)
    except (OSError, ValueError, EOFError):
        known = None
    if known is None or known.shape != shape:
        with atomic_write(path) as temporary:
            np.save(temporary, make(), allow_pickle=False)
        _limiter.add(path.stat().st_size)
    with suppress(OSError):  # a cache that others share may be for reading only
        path.parent.touch()  # used now, as `wsseg data cache` tells
    return _mapped(path)


def _mapped(path: Path) -> MemoryMap:
    array: MemoryMap = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file or folder; computed once while it stays as it is."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        states = [file.stat() for file in files]
        return _digest_of_state(path, tuple((s.st_size, s.st_mtime_ns) for s in states))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


@lru_cache(maxsize=4096)
def _digest_of_state(path: Path, state: tuple[tuple[int, int], ...]) -> str:  # noqa: ARG001
    return sha256(path)


def stray_slice(case: Case, slices: int) -> str:
    """Say which slice has a tag, but is none of the image's `slices`; "" where all are."""
    if case.slice_tags and case.frame is None and max(case.slice_tags) >= slices:
        return (
            f"slice {max(case.slice_tags)} has a tag, but {case.image} has {slices} slices. "
            "They count from 0."
        )
    return ""
