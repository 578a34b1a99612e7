"""What is measured of a case's files, each read once: what checks are made of.

Facts are kept in the cache under names that digest the files. A second look costs their digests.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations
from math import acos, degrees
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from wsseg.core.case import Case
from wsseg.core.volume import Grid, Volume
from wsseg.data.checks.value_range import Values, values_of
from wsseg.data.nifti import has_affine, open_nifti, sform_qform_distance_mm
from wsseg.data.prepare import file_digest
from wsseg.data.reading import read_case, read_case_grid, read_case_labels, where
from wsseg.data.validation import misplaced, strange_labels
from wsseg.errors import InputError
from wsseg.runtime.cache_leases import lease
from wsseg.runtime.files import cache_folder, fingerprint, write_json

VERSION = 3  # of what this file measures: a new number makes old facts unknown

F = TypeVar("F")


@dataclass(frozen=True)
class ScanFacts:
    """Of an image."""

    shape: tuple[int, int, int]  # (z, row, column)
    spacing_mm: tuple[float, float, float]  # between slices, rows and columns
    oblique_deg: float  # between an axis of the array and the patient's nearest
    has_geometry: bool  # no: its header has no affine, or the identity, which says nothing
    affines_apart_mm: float  # its header's sform and qform
    values: Values
    voxels_sha256: str


@dataclass(frozen=True)
class MaskFacts:
    """Of a mask."""

    misplaced: str  # in words; "" where it is on its image's grid
    same_shape: bool  # as its image
    distinct: int  # labels in its file
    strange: str  # labels that it should not have, in words
    voxels: int
    slices: tuple[int, ...]  # that have any voxel, numbered as in the image's file


@dataclass(frozen=True)
class Overlap:
    """Of two masks: the share of the first that lies in the second, and the other way round."""

    first_in_second: float
    second_in_first: float


@dataclass(frozen=True)
class CaseFacts:
    """All that is measured of a case, but for what could not be read."""

    case: Case
    scan: ScanFacts | None
    masks: Mapping[str, MaskFacts]
    overlaps: Mapping[tuple[str, str], Overlap]  # of masks on one grid that are not empty
    unread: tuple[str, ...]  # why, a file each


def facts_of(case: Case) -> CaseFacts:
    """Measure a case's image, then its masks one by one; or look up what was measured before."""
    unread: list[str] = []
    masks: dict[str, MaskFacts] = {}
    overlaps: dict[tuple[str, str], Overlap] = {}
    try:
        kept = _Kept(case)
        scan = kept.get("scan", ScanFacts, lambda: _scan_facts(case, read_case(case)))
    except InputError as error:
        return CaseFacts(case, None, masks, overlaps, (str(error),))
    look = _Look(case)
    for name in case.masks:
        try:
            key = f"mask {_mask_key(case, name)}"
            masks[name] = kept.get(key, MaskFacts, partial(look.mask_facts, name))
        except InputError as error:
            unread.append(str(error))
    alike = [name for name, mask in masks.items() if mask.same_shape and mask.voxels]
    for first, second in combinations(alike, 2):
        key = f"overlap {_mask_key(case, first)} {_mask_key(case, second)}"
        overlaps[first, second] = kept.get(key, Overlap, partial(look.overlap, first, second))
    kept.write()
    return CaseFacts(case, scan, masks, overlaps, tuple(unread))


class _Look:
    """Reads a case's masks when asked; holds of each only a bit a voxel."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._bits: dict[str, NDArray[np.uint8]] = {}
        self._grid: Grid | None = None

    def mask_facts(self, name: str) -> MaskFacts:
        case, grid, labels = self._case, self._image_grid(), self._labels(name)
        inside = self._keep(name, labels)
        same_shape = labels.grid.canonical_shape == grid.canonical_shape
        held = values_of(labels.voxels).labels
        slices = np.flatnonzero(inside.any(axis=(1, 2))).tolist()
        in_file = [grid.slice_in_file(z) for z in slices] if same_shape else []
        return MaskFacts(
            misplaced=misplaced(labels.grid, grid),
            same_shape=same_shape,
            distinct=len(held),
            strange=strange_labels(held, case.mask_values.get(name), case.mask_labels.get(name)),
            voxels=int(np.count_nonzero(inside)),
            slices=(case.frame,) * bool(slices) if case.frame is not None else tuple(in_file),
        )

    def overlap(self, first: str, second: str) -> Overlap:
        a, b = self._held(first), self._held(second)
        both, alone_a, alone_b = (int(np.bitwise_count(each).sum()) for each in (a & b, a, b))
        return Overlap(both / alone_a, both / alone_b)

    def _image_grid(self) -> Grid:
        self._grid = self._grid or read_case_grid(self._case)
        return self._grid

    def _labels(self, name: str) -> Volume:
        return read_case_labels(self._case, name, self._image_grid())

    def _keep(self, name: str, labels: Volume) -> NDArray[np.bool_]:
        inside = where(labels.voxels, self._case.mask_values.get(name))
        self._bits[name] = np.packbits(inside)
        return inside

    def _held(self, name: str) -> NDArray[np.uint8]:
        if name not in self._bits:
            self._keep(name, self._labels(name))
        return self._bits[name]


class _Kept:
    """What the cache has of one image and what was measured with it; new facts are added."""

    def __init__(self, case: Case) -> None:
        image = [VERSION, file_digest(case.image), case.frame, case.axes, case.window]
        folder = cache_folder() / "facts" / fingerprint([*image, case.masks_on_grid])
        lease(folder)
        self._path = folder / "facts.json"
        self._known = self._read()
        self._new = False

    def get(self, key: str, kind: type[F], measure: Callable[[], F]) -> F:
        try:
            return TypeAdapter(kind).validate_python(self._known[key])
        except (KeyError, ValidationError):  # new, or damaged
            fact = measure()
            self._known[key], self._new = asdict(fact), True  # type: ignore[call-overload]
            return fact

    def write(self) -> None:
        if self._new:
            write_json(self._path, self._known)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _mask_key(case: Case, name: str) -> str:
    values, known = case.mask_values.get(name), case.mask_labels.get(name)
    return fingerprint([file_digest(case.masks[name]), values, known])


def _scan_facts(case: Case, volume: Volume) -> ScanFacts:
    affine, axes = volume.grid.affine, volume.grid.axes
    image = None if case.image.is_dir() else open_nifti(case.image)
    return ScanFacts(
        shape=volume.grid.canonical_shape,
        spacing_mm=volume.spacing_mm,
        oblique_deg=0.0 if axes else _oblique_deg(affine),
        has_geometry=image is None or has_affine(image),
        affines_apart_mm=0.0 if image is None else sform_qform_distance_mm(image),
        values=values_of(volume.voxels),
        voxels_sha256=_digest(volume.voxels),
    )


def _oblique_deg(affine: NDArray[np.float64]) -> float:
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return degrees(acos(min(1.0, float(np.abs(directions).max(axis=0).min()))))


def _digest(voxels: NDArray[Any]) -> str:
    """Digest voxels, however their file is stored or turned."""
    digest = hashlib.sha256(repr(voxels.shape).encode())
    for plane in voxels:
        digest.update(np.ascontiguousarray(plane, np.float32).tobytes())
    return digest.hexdigest()
