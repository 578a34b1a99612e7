"""Batches of slices, read from prepared scans."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsseg.core.augment import Augment, Planes, Stack
from wsseg.core.batch import Batch, Probability
from wsseg.core.channels import ONE_CHANNEL
from wsseg.core.input import Input
from wsseg.data.augment import StandardAugment, augment_slice
from wsseg.data.maps import MapSource, open_map, read_map
from wsseg.data.weak_maps import WeakLayout, WeakMaps, WeakSample, batch_fields
from wsseg.runtime.threads import map_in_threads, most_pending

NO_AUGMENTATION = StandardAugment()
MOST_THREADS = 8  # that load batches for a GPU
Sampling: TypeAlias = Literal["uniform", "balanced", "alternating"]


@dataclass(frozen=True)
class StageScan:
    """A prepared case as one stage sees it.

    The image is (C, Z, H, W), all other maps are (Z, H, W). They are arrays, or files, so that a
    scan can be sent to a worker cheaply. `labels` has a mask per class in supervised stages and is
    empty in all others: a weakly supervised stage has no access to masks.
    """

    name: str
    image: MapSource  # int16 or float32
    inside: MapSource | None  # uint8, the voxels that the network sees; None: all
    region: MapSource | None  # uint8, where the stage segments; None: everywhere
    tags: NDArray[np.bool_]  # (Z, K)
    slices: tuple[int, ...]  # indices of the slices that are used
    labels: tuple[MapSource, ...] = ()  # K maps, uint8
    weak: WeakMaps | None = None  # weak labels other than tags; None: there are none

    def is_in_doubt(self, z: int) -> bool:
        """Return whether a slice has a tag with a probability between 0 and 1."""
        return self.weak is not None and bool(self.weak.in_doubt[z].any())

    channels: tuple[str, ...] = ONE_CHANNEL  # the names of the C channels of the image


class SliceDraw(NamedTuple):
    """One use of one slice. Its augmentation depends only on these values and the seed."""

    scan: int
    z: int
    epoch: int = 0
    repeat: int = 0  # counts the draws of a slice within an epoch


ShardOf: TypeAlias = Callable[[Sequence[SliceDraw]], Sequence[SliceDraw]]


class Sample(NamedTuple):
    """One drawn slice, before it is part of a batch."""

    image: NDArray[np.float32]  # (H, W, C S), with slice s of channel c at c S + s
    region: NDArray[np.bool_]  # (H, W, 1)
    tags: NDArray[np.bool_]  # (K,)
    name: str
    y: NDArray[np.float32] | None  # (H, W, K)
    z: int  # the index of the slice in the prepared scan
    weak: WeakSample | None = None
    channels: tuple[str, ...] = ONE_CHANNEL


class Slices:
    """The slices of `scans` as a network sees them, with augmentation."""

    def __init__(
        self,
        scans: Sequence[StageScan],
        input: Input,
        augment: Augment = NO_AUGMENTATION,
        seed: int = 0,
    ) -> None:
        self._scans = scans
        self._input = input
        self._augment = augment
        self._seed = seed
        self._fills = [_fills(scan, input) for scan in scans]
        self._weak = WeakLayout.of([scan.weak for scan in scans])

    def __getitem__(self, draw: SliceDraw) -> Sample:
        scan, fills = self._scans[draw.scan], self._fills[draw.scan]
        image = _window(scan, draw.z, self._input, fills)
        planes = [_plane(each, draw.z, image.shape[:2]) for each in (scan.region, *scan.labels)]
        weak, used = self._weak, len(planes)
        planes += weak.planes(scan.weak, draw.z, image.shape[:2]) if weak else []
        words = (self._seed, draw.epoch, crc32(scan.name.encode()), draw.z, draw.repeat)
        seed = int(np.random.SeedSequence(words).generate_state(1)[0])
        image, moved = self._augmented(image, np.stack(planes, axis=-1), fills, seed)
        y = moved[:, :, 1:used].astype(np.float32) if scan.labels else None
        found = weak.sample(scan.weak, draw.z, moved[:, :, used:]) if weak else None
        return Sample(
            image=image,
            region=moved[:, :, :1] > 0,
            tags=scan.tags[draw.z],
            name=scan.name,
            y=y,
            z=draw.z,
            weak=found,
            channels=scan.channels,
        )

    def _augmented(
        self, image: Stack, planes: Planes, fills: tuple[float, ...], seed: int
    ) -> tuple[Stack, Planes]:
        """Augment an image; where the fill differs between channels, it is 0 while they change."""
        if len(set(fills)) == 1:
            return augment_slice(self._augment, fills[0], seed, image, planes)
        base = np.repeat(np.array(fills, np.float32), self._input.slices)
        changed, moved = augment_slice(self._augment, 0, seed, image - base, planes)
        return changed + base, moved


class LoadedBatch(NamedTuple):
    """A batch in memory, or this process's shard of it."""

    draws: Sequence[SliceDraw]  # of the full batch
    batch: Batch
    y: Probability | None  # the masks of a supervised stage


def split_into_batches(draws: Sequence[SliceDraw], batch_size: int) -> list[list[SliceDraw]]:
    """Return the draws in batches. The last batch may be smaller."""
    return [list(draws[start : start + batch_size]) for start in range(0, len(draws), batch_size)]


def training_batches(draws: Sequence[SliceDraw], batch_size: int) -> list[list[SliceDraw]]:
    """Return the draws in batches of at least two slices, unless `batch_size` is 1.

    Batch norm over one slice has no variance where a network pools its features to one pixel. A
    last batch of one slice gets a second one from the batch before; if that has only two slices,
    the last slice joins it.
    """
    batches = split_into_batches(draws, batch_size)
    if batch_size == 1 or len(batches) == 1 or len(batches[-1]) > 1:
        return batches
    *full, before, last = batches
    *kept, moved = before
    return [*full, kept, [moved, *last]] if len(kept) > 1 else [*full, before + last]


def all_slices(scans: Sequence[StageScan]) -> list[SliceDraw]:
    """Return one draw for each slice that is used, in order."""
    return [SliceDraw(i, z) for i, scan in enumerate(scans) for z in scan.slices]


def epoch_draws(
    scans: Sequence[StageScan], sampling: Sampling, seed: int, epoch: int
) -> list[SliceDraw]:
    """Return the draws of an epoch in random order.

    Uniform: every slice is drawn once. Balanced: slices are grouped by their tags, and smaller
    groups are repeated up to the size of the largest. With one class, there are then as many slices
    with it as without it. Alternating: as balanced, but the groups take turns, so that each batch
    has about as many slices with the class as without it.
    """
    generator = np.random.default_rng((seed, epoch))
    slices = all_slices(scans)
    if sampling != "uniform":
        groups: dict[bytes, list[SliceDraw]] = {}
        for draw in slices:
            groups.setdefault(scans[draw.scan].tags[draw.z].tobytes(), []).append(draw)
        largest = max(map(len, groups.values()))
        equal = [list(_repeat(group, largest, generator)) for group in groups.values()]
        if sampling == "alternating":
            return [
                draw._replace(epoch=epoch) for turn in zip(*equal, strict=True) for draw in turn
            ]
        slices = [draw for group in equal for draw in group]
    order = generator.permutation(len(slices))
    return [slices[i]._replace(epoch=epoch) for i in order]


def load_batches(
    slices: Slices, batches: Iterable[Sequence[SliceDraw]], own_shard: ShardOf = list
) -> Generator[LoadedBatch, None, None]:
    """Load `own_shard` of each batch in `batches`; by default, the full batch.

    Threads load a few batches in advance; NumPy and OpenCV release the GIL. A forked process would
    copy every page of memory that the training step writes. The batches are independent of the
    number of threads.
    """
    return map_in_threads(
        lambda draws: _load(slices, draws, own_shard(draws)), batches, loading_threads()
    )


def loading_threads() -> int:
    """Return the number of threads that load batches: one if the CPU also trains the network."""
    return min(MOST_THREADS, os.cpu_count() or 1) if torch.cuda.is_available() else 1


def batches_in_advance() -> int:
    """Return how many batches are loaded before the first one is used."""
    return most_pending(loading_threads())


def _load(slices: Slices, draws: Sequence[SliceDraw], own: Sequence[SliceDraw]) -> LoadedBatch:
    batch, y = collate([slices[draw] for draw in own])
    if torch.cuda.is_available():
        return LoadedBatch(draws, batch.pin_memory(), None if y is None else y.pin_memory())
    return LoadedBatch(draws, batch, y)


def collate(samples: Sequence[Sample]) -> tuple[Batch, Probability | None]:
    """Return the samples as one batch; images keep their channels-last memory layout."""
    tags = torch.from_numpy(np.stack([s.tags for s in samples]))
    weak = [s.weak for s in samples if s.weak is not None]
    channels = samples[0].channels
    batch = Batch(
        image=_stack([s.image for s in samples]).unflatten(1, (len(channels), -1)),
        region=_stack([s.region for s in samples]),
        tags=tags,
        case=tuple(s.name for s in samples),
        slice_index=tuple(s.z for s in samples),
        **(batch_fields(weak, tags) if weak else {}),
        channels=channels,
    )
    labels = [s.y for s in samples if s.y is not None]
    return batch, _stack(labels) if labels else None


def _repeat(
    group: list[SliceDraw], number: int, generator: np.random.Generator
) -> Iterator[SliceDraw]:
    for repeat in range(-(-number // len(group))):
        left = min(len(group), number - repeat * len(group))
        for i in generator.permutation(len(group))[:left]:
            yield group[i]._replace(repeat=repeat)


def _stack(arrays: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


def load_into_memory(scan: StageScan) -> StageScan:
    """Return the scan with all its maps read. Mapped files would count as memory in use."""
    return replace(
        scan,
        image=read_map(scan.image),
        inside=None if scan.inside is None else read_map(scan.inside),
        region=None if scan.region is None else read_map(scan.region),
        labels=tuple(map(read_map, scan.labels)),
        weak=None if scan.weak is None else scan.weak.in_memory(),
    )


def _fills(scan: StageScan, input: Input) -> tuple[float, ...]:
    """Return the value of pixels outside the mask and the image, for each channel."""
    fixed, image = input.fixed_fills(len(scan.channels)), scan.image
    if fixed is not None:
        return fixed
    return _minima_of_file(image) if isinstance(image, Path) else _minima(image)


@lru_cache(maxsize=4096)
def _minima_of_file(path: Path) -> tuple[float, ...]:
    return _minima(open_map(path))


def _minima(image: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(channel.min()) for channel in image)


def _window(scan: StageScan, z: int, input: Input, fills: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the S slices around z of all channels, (H, W, C S), with a channel's slices together.

    Beyond the ends of a scan, its first or last slice is repeated. Slices are written into the
    result, without intermediate copies.
    """
    image = open_map(scan.image)
    channels, count, height, width = image.shape
    around = np.clip(np.arange(z - input.slices // 2, z + input.slices // 2 + 1), 0, count - 1)
    window = np.empty((height, width, channels * input.slices), np.float32)
    for place, (channel, index) in enumerate(product(range(channels), around)):
        plane = image[channel, index]
        if scan.inside is not None:
            plane = np.where(open_map(scan.inside)[index], plane, np.float32(fills[channel]))
        window[..., place] = plane
    return window


def _plane(source: MapSource | None, z: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.ones(shape, np.uint8) if source is None else np.asarray(open_map(source)[z], np.uint8)
