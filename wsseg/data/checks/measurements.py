"""Measurements of a case's files, on which all checks are based. Each file is read once.

The results are cached by the digests of the files: the next check only computes the digests.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from math import inf
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from wsseg.core.case import Case
from wsseg.core.volume import Grid, LabelMap, Volume
from wsseg.data.checks.geometry import Geometry, measure_geometry
from wsseg.data.checks.value_range import ValueRange, value_range
from wsseg.data.dicom_series import open_series
from wsseg.data.file_digests import file_digest, image_digest
from wsseg.data.reading import label_mask, read_case, read_case_grid, read_case_labels
from wsseg.data.validation import grid_mismatch, unexpected_labels
from wsseg.data.voxels import round_labels
from wsseg.errors import InputError
from wsseg.runtime.cache import SizeLimiter, disk_bytes
from wsseg.runtime.cache_leases import lease, release
from wsseg.runtime.files import cache_folder, fingerprint, write_json

VERSION = 8  # increment when the measurements change: older ones are then ignored

F = TypeVar("F")
_limiter = SizeLimiter()


@dataclass(frozen=True)
class ScanFacts:
    """Measurements of an image."""

    geometry: Geometry
    values: Mapping[str, ValueRange]
    """The values of each channel, by its name."""
    voxels_sha256: str
    skipped: tuple[str, ...]
    """Descriptions of the DICOM files below its folder that do not belong to it."""


@dataclass(frozen=True)
class MaskFacts:
    """Measurements of a mask."""

    grid_mismatch: str
    """The reason why it is not on the grid of its image, or ''."""
    same_shape: bool
    """Whether it has the shape of its image."""
    label_count: int
    """The number of distinct labels in its file, up to `value_range.MAX_LABELS` + 1."""
    unexpected_labels: str
    """A description of its unexpected labels, or ''."""
    label_error: float
    """The largest difference between a label and its rounded value."""
    voxels: int
    slices: tuple[int, ...]
    """The slices with any voxel, numbered as in the image's file."""


@dataclass(frozen=True)
class Overlap:
    """The share of a mask that lies in another one, and the reverse."""

    first_in_second: float
    second_in_first: float


@dataclass(frozen=True)
class CaseFacts:
    """The measurements of a case."""

    case: Case
    scan: ScanFacts | None
    """None if the image could not be read."""
    masks: Mapping[str, MaskFacts]
    """Those that could be read, by name."""
    overlaps: Mapping[tuple[str, str], Overlap]
    """For each pair of masks that are not empty and have the shape of the image."""
    read_errors: tuple[str, ...]
    """The error of each file that could not be read."""


# Building an adapter takes longer than reading a file of facts, so each is built once.
_ADAPTERS: Mapping[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (ScanFacts, MaskFacts, Overlap)
}


def measure_case(case: Case, lowest_measured: float) -> CaseFacts:
    """Measure a case's image, then its masks one by one, or look the results up in the cache.

    Args:
        case: The case.
        lowest_measured: The lowest value inside the scanner's field of view.
    """
    read_errors: list[str] = []
    masks: dict[str, MaskFacts] = {}
    overlaps: dict[tuple[str, str], Overlap] = {}
    try:
        cached = _CachedFacts(case)
        scan = cached.get(
            f"scan from {lowest_measured:g}",
            ScanFacts,
            lambda: _scan_facts(case, read_case(case), lowest_measured),
        )
    except InputError as error:
        return CaseFacts(case, None, masks, overlaps, (str(error),))
    reader = _MaskReader(case)
    for name in case.masks:
        try:
            key = f"mask {_mask_key(case, name)}"
            masks[name] = cached.get(key, MaskFacts, partial(reader.mask_facts, name))
        except InputError as error:
            read_errors.append(str(error))
    comparable = [name for name, mask in masks.items() if mask.same_shape and mask.voxels]
    for first, second in combinations(comparable, 2):
        key = f"overlap {_mask_key(case, first)} {_mask_key(case, second)}"
        overlaps[first, second] = cached.get(key, Overlap, partial(reader.overlap, first, second))
    cached.write()
    return CaseFacts(case, scan, masks, overlaps, tuple(read_errors))


class _MaskReader:
    """Reads a case's masks on demand; keeps each in memory as one bit per voxel."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._bits: dict[str, NDArray[np.uint8]] = {}
        self._grid: Grid | None = None

    def mask_facts(self, name: str) -> MaskFacts:
        case, grid, labels = self._case, self._image_grid(), self._labels(name)
        voxels = round_labels(labels.voxels)
        inside = self._add(name, voxels)
        same_shape = labels.grid.canonical_shape == grid.canonical_shape
        present = value_range(voxels, -inf).labels
        slices = np.flatnonzero(inside.any(axis=(1, 2))).tolist()
        in_file = [grid.slice_in_file(z) for z in slices] if same_shape else []
        return MaskFacts(
            grid_mismatch=grid_mismatch(labels.grid, grid),
            same_shape=same_shape,
            label_count=len(present),
            unexpected_labels=unexpected_labels(
                present, case.mask_values.get(name), case.mask_labels.get(name)
            ),
            label_error=float(np.abs(voxels - labels.voxels).max()),
            voxels=int(np.count_nonzero(inside)),
            slices=(case.frame,) * bool(slices) if case.frame is not None else tuple(in_file),
        )

    def overlap(self, first: str, second: str) -> Overlap:
        a, b = self._packed(first), self._packed(second)
        both, in_a, in_b = (int(np.bitwise_count(each).sum()) for each in (a & b, a, b))
        return Overlap(both / in_a, both / in_b)

    def _image_grid(self) -> Grid:
        self._grid = self._grid or read_case_grid(self._case)
        return self._grid

    def _labels(self, name: str) -> LabelMap:
        return read_case_labels(self._case, name, self._image_grid())

    def _add(self, name: str, labels: NDArray[Any]) -> NDArray[np.bool_]:
        inside = label_mask(labels, self._case.mask_values.get(name))
        self._bits[name] = np.packbits(inside)
        return inside

    def _packed(self, name: str) -> NDArray[np.uint8]:
        if name not in self._bits:
            self._add(name, round_labels(self._labels(name).voxels))
        return self._bits[name]


class _CachedFacts:
    """The cached measurements of an image and its masks; new ones are added."""

    def __init__(self, case: Case) -> None:
        image = [VERSION, image_digest(case), case.frame, case.axes, case.window]
        folder = cache_folder() / "facts" / fingerprint([*image, case.masks_on_grid])
        self._path = folder / "facts.json"
        self._known = self._read()
        self._new = False

    def get(self, key: str, kind: type[F], measure: Callable[[], F]) -> F:
        try:
            fact: F = _ADAPTERS[kind].validate_python(self._known[key])
            return fact
        except (KeyError, ValidationError):  # not measured yet, or damaged
            fact = measure()
            self._known[key], self._new = asdict(fact), True  # type: ignore[call-overload]
            return fact

    def write(self) -> None:
        if not self._new:
            return
        lease(self._path)
        try:
            write_json(self._path, self._known)
        finally:
            release(self._path)
        _limiter.add(disk_bytes(self._path.lstat()))

    def _read(self) -> dict[str, Any]:
        try:
            facts = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}


def _mask_key(case: Case, name: str) -> str:
    values, known = case.mask_values.get(name), case.mask_labels.get(name)
    return fingerprint([file_digest(case.masks[name]), values, known])


def _scan_facts(case: Case, volume: Volume, lowest_measured: float) -> ScanFacts:
    return ScanFacts(
        geometry=measure_geometry(case, volume.grid),
        values={
            name: value_range(volume.channel(name), lowest_measured) for name in volume.channels
        },
        voxels_sha256=_digest(volume.voxels),
        skipped=_skipped(case),
    )


def _skipped(case: Case) -> tuple[str, ...]:
    """Describe the DICOM files below the folders of a case that belong to none of its scans."""
    files = () if case.images else case.files
    folders = [path for path in case.image_files.values() if path.is_dir()]
    return tuple(each.what for path in folders for each in open_series(path, files).skipped)


def _digest(voxels: NDArray[Any]) -> str:
    """Digest voxels in canonical orientation, independently of their file format and data type."""
    digest = hashlib.sha256(repr(voxels.shape).encode())
    for plane in voxels.reshape(-1, *voxels.shape[2:]):
        digest.update(np.ascontiguousarray(plane, np.float32).tobytes())
    return digest.hexdigest()
