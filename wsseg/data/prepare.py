"""Scans on the network's grid, computed once and shared by runs and processes as memory maps."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.core.code_digest import code_digest
from wsseg.core.contracts import region_files, region_mask
from wsseg.core.input import Input
from wsseg.core.interfaces import Region
from wsseg.core.volume import Grid, Volume
from wsseg.core.weak_labels import Box, ScribbleValues
from wsseg.data.array_cache import MemoryMap, cached, open_map
from wsseg.data.file_digests import file_digest, image_digest
from wsseg.data.reading import (
    case_in_errors,
    read_case,
    read_case_channels,
    read_case_grid,
    read_case_mask,
    read_case_scribble,
)
from wsseg.data.resample import (
    Placement,
    combine_slices,
    nearest_indices,
    placement,
    prepared_weights,
    resample_known,
    resample_range,
    resize_slice,
    slice_positions,
    thick_for,
)
from wsseg.data.spacing import rounded_mm
from wsseg.data.validation import check_unit
from wsseg.errors import InputError, known_words
from wsseg.runtime.cache_leases import lease
from wsseg.runtime.files import cache_folder, fingerprint
from wsseg.runtime.threads import map_in_threads

VERSION = 4  # increment when the results change: older cache entries are then ignored
INT16 = np.iinfo(np.int16)
NO_REGIONS: Mapping[str, Region] = MappingProxyType({})


@dataclass(frozen=True)
class Prepared:
    """A case on the network's grid. It is cheap to pickle: the voxels stay in a file."""

    case: Case
    grid: Grid
    """The grid of the case's file."""
    placement: Placement
    """The rows and columns of the network's grid, and the part of it that slices cover."""
    positions: tuple[float, ...]
    """The position of each prepared slice, as a fractional index of canonical slices."""
    spacing_mm: tuple[float, float, float]
    """The spacing of the network's grid along (z, row, column)."""
    channels: tuple[str, ...]
    """The names of the channels of `image`."""
    key: str
    """A digest of everything that determines the voxels."""
    image_sha256: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the network's grid, (Z, h, w)."""
        return len(self.positions), *self.placement.plane

    @property
    def network_grid(self) -> Grid:
        """The network's grid; its arrays are in the order (Z, row, column)."""
        step = self.spacing_mm[0] / self.grid.spacing_mm[0]
        return self.grid.resampled((self.positions[0], step), self.shape, self.placement.box)

    @property
    def folder(self) -> Path:
        """The folder of this case in the cache."""
        return cache_folder() / "prepared" / self.key

    @property
    def image_path(self) -> Path:
        """The file of `image`."""
        return self.folder / "image.npy"

    @property
    def image(self) -> MemoryMap:
        """Voxels, neither masked nor scaled, (C, Z, h, w): int16 or float32."""
        return open_map(self.image_path)

    @property
    def slice_of(self) -> tuple[int, ...]:
        """The nearest slice of the file for each prepared slice, counted from 0 as in the file."""
        if self.case.frame is not None:
            return (self.case.frame,)
        return tuple(self.grid.slice_in_file(int(z)) for z in self.nearest_slices)

    @property
    def nearest_slices(self) -> NDArray[np.intp]:
        """The nearest canonical slice of the file for each prepared slice."""
        last = self.grid.canonical_shape[0] - 1
        return np.rint(self.positions).clip(0, last).astype(np.intp)


def prepare(
    case: Case,
    settings: Input,
    regions: Mapping[str, Region] = NO_REGIONS,
    find: Collection[str] = (),
) -> Prepared:
    """Resample a case's image to the network's grid, or look it up in the cache.

    `regions` holds the regions by name: the one that `settings.standardize` names, and those to
    `find` in the same pass, so that the image is read only once. The cache keeps the files of the
    case until this process releases them or ends.

    Raises:
        InputError: The image cannot be read or is not in its unit, or a slice that has a tag does
            not exist.
    """
    grid = read_case_grid(case)
    if stray := stray_slice(case, grid.canonical_shape[0]):
        raise InputError(f"case {case.name}: {stray}")
    digest, channels = image_digest(case), used_channels(case, settings)
    shaping: list[Any] = [
        settings.model_dump(mode="json", include={"size", "fit", "thick", "unit"})
    ]
    shaping += [channels, settings.fixed_fills(len(channels)) if settings.fit == "pad" else None]
    shaping.append(code_digest(settings.unit))
    inside = None if settings.standardize is None else regions[settings.standardize]
    shaping += [] if inside is None else _region_identity(inside, case)
    (z, height, width), (z_mm, row_mm, column_mm) = grid.canonical_shape, grid.spacing_mm
    thick = thick_for(settings.thick, z, z_mm)
    positions = slice_positions(z, rounded_mm(z_mm), thick)
    sides_mm = row_mm * height, column_mm * width
    placed = placement(sides_mm, settings.plane, settings.fit)
    prepared = Prepared(
        case=case,
        grid=grid,
        placement=placed,
        positions=tuple(positions.tolist()),
        spacing_mm=(
            float(thick.to_mm) if thick else z_mm,
            sides_mm[0] / placed.covered[0],
            sides_mm[1] / placed.covered[1],
        ),
        channels=channels,
        key=fingerprint([VERSION, digest, case.frame, case.axes, case.window, shaping]),
        image_sha256=digest,
    )
    for path in (*case.image_files.values(), prepared.folder):
        lease(path)
    read = cache(partial(read_case, case))  # not called if everything is in the cache
    shape = (len(channels), *prepared.shape)
    cached(prepared.image_path, shape, lambda: _image(prepared, settings, inside, read()))
    for name in find:
        _find_region(prepared, regions[name], read)
    return prepared


def used_channels(case: Case, settings: Input) -> tuple[str, ...]:
    """Return the names of the channels of a case that networks and priors see.

    Raises:
        InputError: The case lacks a channel, or the settings fit another number of channels.
    """
    own = read_case_channels(case)
    used = own if settings.channels is None else settings.channels
    with case_in_errors(case):
        if missing := [name for name in used if name not in own]:
            raise InputError(
                f"its image has no channel {missing[0]!r}, which input.channels names; "
                f"{known_words(missing[0], own)}"
            )
        settings.check_channels(used)
    return used


def prepare_region(prepared: Prepared, region: Region) -> MemoryMap:
    """Find a region; return it on the network's grid, (Z, h, w) uint8 of 0 and 1."""
    return _find_region(prepared, region, partial(read_case, prepared.case))


def _find_region(prepared: Prepared, region: Region, read: Callable[[], Volume]) -> MemoryMap:
    case = prepared.case
    return cached(
        prepared.folder / f"region-{fingerprint(_region_identity(region, case))}.npy",
        prepared.shape,
        lambda: _on_network_grid(prepared, region_mask(region, case, read())),
    )


def prepare_mask(prepared: Prepared, name: str) -> MemoryMap:
    """Return a case's mask `name` on the network's grid, (Z, h, w) uint8 of 0 and 1."""
    case = prepared.case
    digest = file_digest(case.masks[name]) if name in case.masks else ""
    what: list[Any] = [digest, case.mask_values.get(name), case.mask_labels.get(name)]
    what += ["on grid"] if case.masks_on_grid else []
    return cached(
        prepared.folder / f"mask-{fingerprint(what)}.npy",
        prepared.shape,
        lambda: _on_network_grid(prepared, read_case_mask(case, name, prepared.grid)),
    )


def prepare_scribble(prepared: Prepared, name: str) -> MemoryMap:
    """Return a case's scribbles of a class on the network's grid, (Z, h, w) int8.

    1: the pixel has the class, -1: it does not, 0: unknown.
    """
    case = prepared.case
    values = case.scribble_values.get(name, ScribbleValues()).model_dump(mode="json")
    what = [file_digest(case.scribbles[name]), values, case.masks_on_grid]
    return cached(
        prepared.folder / f"known-{fingerprint(what)}.npy",
        prepared.shape,
        lambda: prepared.placement.padded(
            resample_known(
                read_case_scribble(case, name, prepared.grid),
                np.array(prepared.positions),
                prepared.placement.covered,
            )
        ),
    )


def prepare_box(prepared: Prepared, box: Box) -> tuple[slice, slice, slice]:
    """Return the slices, rows and columns of the network's grid that a box covers.

    Raises:
        InputError: The box lies outside the image.
    """
    case, shape = prepared.case, prepared.grid.canonical_shape
    z, row, column = prepared.grid.canonical_ranges(box)
    if case.frame is not None:  # the file's other slices are other cases
        z = (0, 1) if box.slices is None or box.slices[0] <= case.frame <= box.slices[1] else (0, 0)
    rows, columns = (
        resample_range(*each, count, pixels)
        for each, count, pixels in zip(
            (row, column), shape[1:], prepared.placement.covered, strict=True
        )
    )
    covered = np.flatnonzero((z[0] <= prepared.nearest_slices) & (prepared.nearest_slices < z[1]))
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        raise InputError(
            f"case {case.name}: a box from x {box.x_range[0]:g} to {box.x_range[1]:g} and y "
            f"{box.y_range[0]:g} to {box.y_range[1]:g} lies outside the image, "
            f"{prepared.grid.shape[0]} x {prepared.grid.shape[1]} pixels. Correct the box."
        )
    first, last = (covered[0], covered[-1] + 1) if covered.size else (0, 0)
    top, left = prepared.placement.corner
    return (
        slice(int(first), int(last)),
        slice(rows[0] + top, rows[1] + top),
        slice(columns[0] + left, columns[1] + left),
    )


def _region_identity(region: Region, case: Case) -> list[Any]:
    """Return all that determines the region of a case, except the image."""
    kind, files = type(region), [file_digest(path) for path in region_files(region, case)]
    files += ["on grid"] if files and case.masks_on_grid else []
    return [
        kind.__module__.partition(".")[0],  # a class may move within its package
        kind.__qualname__,
        region.version,
        region.model_dump(mode="json"),
        files,
        code_digest(region),
    ]


def _image(
    prepared: Prepared, settings: Input, inside: Region | None, volume: Volume
) -> NDArray[Any]:
    with case_in_errors(prepared.case):
        files = prepared.case.image_files
        for name in prepared.channels:
            file = files.get(name, prepared.case.image)
            check_unit(volume.channel(name), settings.unit, str(file))
    size, fills = prepared.placement.covered, settings.fixed_fills(len(prepared.channels))
    count, z_mm = volume.shape[0], rounded_mm(volume.spacing_mm[0])
    thick = thick_for(settings.thick, count, z_mm)
    weights = prepared_weights(np.array(prepared.positions), count, z_mm, thick)
    whole = volume.voxels.dtype == np.int16 or settings.unit.whole_numbers
    mask = None if inside is None else region_mask(inside, prepared.case, volume)
    image = np.empty(
        (len(prepared.channels), *prepared.shape),
        np.int16 if whole and mask is None else np.float32,
    )
    for index, name in enumerate(prepared.channels):
        own = volume.channel(name)
        small = map_in_threads(lambda plane: resize_slice(plane.astype(np.float32), size), own)
        voxels = combine_slices(small, weights, size)
        if mask is not None:
            mean, sd = _moments(prepared.case, own[mask])
            voxels = (voxels - mean) / sd
        elif whole:
            voxels = np.rint(voxels).clip(INT16.min, INT16.max)
        fill = float(voxels.min()) if fills is None else fills[index]
        image[index] = prepared.placement.padded(voxels, fill)
    return image


def _moments(case: Case, inside: NDArray[Any]) -> tuple[np.float32, np.float32]:
    """Return the mean and the standard deviation of the voxels inside a region."""
    values = inside.astype(np.float64)
    if not values.size or values.min() == values.max():
        what = "all alike" if values.size else "none"
        raise InputError(
            f"case {case.name}: its image cannot be standardized (voxels inside the region: "
            f"{what}).\n"
            "Leave the case out, or use another region."
        )
    return np.float32(values.mean()), np.float32(values.std())


def _on_network_grid(prepared: Prepared, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Resample a mask by nearest neighbour."""
    rows, columns = map(nearest_indices, mask.shape[1:], prepared.placement.covered)
    covered = mask[np.ix_(prepared.nearest_slices, rows, columns)].astype(np.uint8)
    return prepared.placement.padded(covered)


def stray_slice(case: Case, slices: int) -> str:
    """Describe a labelled slice that the image, with `slices` slices, does not have, or ''."""
    boxes = chain(*case.boxes.values())
    others = [*case.slice_shares, *(box.slices[1] for box in boxes if box.slices is not None)]
    last = max([*case.slice_tags, *others], default=0)
    if last < slices or case.frame is not None:
        return ""
    what = "a tag" if last in case.slice_tags else "a share or a box"
    return (
        f"slice {last} has {what}, but {case.image} has {slices} slices. Slices are counted from 0."
    )
