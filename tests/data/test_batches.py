"""Batches contain the right slices, in the right order, as the network sees them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsseg.core.augment import Augment
from wsseg.core.input import Input
from wsseg.data.augment import StandardAugment
from wsseg.data.batches import (
    SliceDraw,
    Slices,
    StageScan,
    all_slices,
    collate,
    epoch_draws,
    load_batches,
    split_into_batches,
    training_batches,
)
from wsseg.data.maps import open_map
from wsseg.errors import WorkError

INPUT = Input(slices=3, size=8, fill=-7)
GEOMETRIC = StandardAugment(
    rotate_deg=90, translate=0.1, zoom=(0.9, 1.1), flip=("left-right", "front-back")
)


def scan(name: str = "a", slices: int = 4, tagged: int = 2) -> StageScan:
    """Return a scan whose slice z is z everywhere; the first `tagged` slices have the class."""
    image = np.arange(slices, dtype=np.int16)[:, None, None] + np.zeros((1, 1, 8, 8), np.int16)
    region = np.zeros((slices, 8, 8), np.uint8)
    region[:, 4:] = 1
    tags = (np.arange(slices) < tagged)[:, None]
    return StageScan(name, image, None, region, tags, tuple(range(slices)))


def test_a_sample_holds_the_slices_around_the_drawn_one() -> None:
    sample = Slices([scan()], INPUT)[SliceDraw(0, 2)]
    assert sample.image.shape == (8, 8, 3)
    assert sample.image[0, 0].tolist() == [1, 2, 3]


def test_the_last_slice_is_repeated_beyond_the_end_of_a_scan() -> None:
    slices = Slices([scan()], INPUT)
    assert slices[SliceDraw(0, 0)].image[0, 0].tolist() == [0, 0, 1]
    assert slices[SliceDraw(0, 3)].image[0, 0].tolist() == [2, 3, 3]


def test_pixels_outside_the_mask_are_filled_in_each_slice() -> None:
    known = scan()
    inside = np.ones((4, 8, 8), np.uint8)
    inside[1, 0, 0] = 0
    masked = StageScan(known.name, known.image, inside, known.region, known.tags, known.slices)
    sample = Slices([masked], INPUT)[SliceDraw(0, 2)]
    assert sample.image[0, 0].tolist() == [-7, 2, 3]
    assert sample.image[0, 1].tolist() == [1, 2, 3]


def test_a_scan_without_masks_gives_a_batch_without_labels() -> None:
    slices = Slices([scan()], INPUT)
    batch, y = collate([slices[SliceDraw(0, 0)], slices[SliceDraw(0, 3)]])
    assert y is None
    assert batch.image.shape == (2, 1, 3, 8, 8)
    assert batch.region.shape == (2, 1, 8, 8)
    assert batch.tags.tolist() == [[True], [False]]
    assert batch.case == ("a", "a")


def test_images_are_contiguous_in_channels_last_memory() -> None:
    slices = Slices([scan()], INPUT)
    batch, _ = collate([slices[SliceDraw(0, 0)], slices[SliceDraw(0, 1)]])
    planes = batch.image.flatten(1, 2)  # as the network does
    assert planes.is_contiguous(memory_format=torch.channels_last)
    assert planes.data_ptr() == batch.image.data_ptr()


def test_image_region_and_labels_get_the_same_geometric_augmentation() -> None:
    generator = np.random.default_rng(0)
    blob = np.zeros((1, 64, 64), np.uint8)
    blob[0, 20:40, 10:30] = 1
    noise = generator.normal(0, 1, blob.shape)
    image = (1000.0 * blob + noise).astype(np.int16)
    both = StageScan("a", image[None], None, blob, np.ones((1, 1), np.bool_), (0,), (blob,))
    slices = Slices([both], Input(slices=1, size=64, fill=0), GEOMETRIC)
    for epoch in range(8):
        sample = slices[SliceDraw(0, 0, epoch)]
        assert sample.y is not None
        bright = sample.image[:, :, 0] > 500
        assert (sample.region[:, :, 0] == (sample.y[:, :, 0] > 0)).all()
        assert (bright == sample.region[:, :, 0]).mean() > 0.97
        assert sample.region.any()


def test_augmentation_depends_only_on_seed_epoch_case_slice_and_repeat() -> None:
    image = np.random.default_rng(1).integers(0, 999, (1, 4, 8, 8)).astype(np.int16)
    tags = np.ones((4, 1), np.bool_)
    a, b = (StageScan(name, image, None, None, tags, (0, 1, 2, 3)) for name in "ab")

    def augmented(scans: list[StageScan], draw: SliceDraw, seed: int = 0) -> list[float]:
        values: list[float] = Slices(scans, INPUT, GEOMETRIC, seed)[draw].image.ravel().tolist()
        return values

    first = augmented([a, b], SliceDraw(0, 1, 5))
    assert first == augmented([b, a], SliceDraw(1, 1, 5))  # the order of the scans has no effect
    for other in (SliceDraw(0, 1, 6), SliceDraw(0, 1, 5, repeat=1), SliceDraw(1, 1, 5)):
        assert first != augmented([a, b], other)
    assert first != augmented([a, b], SliceDraw(0, 1, 5), seed=1)


def test_a_uniform_epoch_draws_every_slice_once() -> None:
    scans = [scan("a"), scan("b", 7)]
    draws = epoch_draws(scans, "uniform", seed=0, epoch=3)
    assert sorted((d.scan, d.z) for d in draws) == [(d.scan, d.z) for d in all_slices(scans)]
    assert all(d.epoch == 3 for d in draws)
    assert draws != epoch_draws(scans, "uniform", seed=0, epoch=4)


def test_a_balanced_epoch_draws_as_many_slices_with_the_class_as_without() -> None:
    scans = [scan("a", slices=9, tagged=2)]
    draws = epoch_draws(scans, "balanced", seed=0, epoch=0)
    counts = Counter(bool(scans[d.scan].tags[d.z, 0]) for d in draws)
    assert counts == {True: 7, False: 7}
    uses = Counter(d.z for d in draws)
    assert max(uses[0], uses[1]) - min(uses[0], uses[1]) <= 1
    assert len(set(draws)) == len(draws)  # a repeated slice is augmented anew


def test_an_alternating_epoch_draws_slices_with_and_without_the_class_in_turn() -> None:
    scans = [scan("a", slices=9, tagged=2), scan("b", slices=3, tagged=0)]
    draws = epoch_draws(scans, "alternating", seed=0, epoch=4)
    tagged = [bool(scans[d.scan].tags[d.z, 0]) for d in draws]
    assert tagged == [True, False] * 10  # ten slices are without the class
    without = [(d.scan, d.z) for d in draws[1::2]]
    assert sorted(without) == [(0, z) for z in range(2, 9)] + [(1, z) for z in range(3)]
    assert without != sorted(without)
    assert Counter(d.z for d in draws[::2]) == {0: 5, 1: 5}
    assert len(set(draws)) == len(draws)  # a repeated slice is augmented anew
    assert all(d.epoch == 4 for d in draws)
    assert draws != epoch_draws(scans, "alternating", seed=1, epoch=4)


def test_slices_of_three_groups_of_tags_alternate() -> None:
    tags = np.array([[0, 0], [1, 0], [1, 1], [1, 0]], np.bool_)
    draws = epoch_draws([replace(scan(), tags=tags)], "alternating", seed=0, epoch=0)
    assert [tuple(tags[d.z].tolist()) for d in draws] == [
        *((False, False), (True, False), (True, True)),
        *((False, False), (True, False), (True, True)),
    ]


def test_batches_keep_the_order_of_the_draws() -> None:
    draws = [SliceDraw(0, z) for z in range(5)]
    batches = split_into_batches(draws, 2)
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert [draw for batch in batches for draw in batch] == draws


@pytest.mark.parametrize(
    ("slices", "batch_size", "sizes"),
    [
        (8, 4, [4, 4]),
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 3, 2]),
        (4, 3, [2, 2]),
        (5, 2, [2, 3]),
        (3, 2, [3]),
        (3, 1, [1, 1, 1]),
        (1, 4, [1]),
        (3, 4, [3]),
    ],
)
def test_a_last_batch_of_one_slice_takes_one_from_the_batch_before(
    slices: int, batch_size: int, sizes: list[int]
) -> None:
    assert list(map(len, training_batches(drawn(slices), batch_size))) == sizes


@given(st.integers(1, 60), st.integers(1, 20))
def test_training_batches_have_two_slices_or_more_and_keep_the_order(
    slices: int, batch_size: int
) -> None:
    batches = training_batches(drawn(slices), batch_size)
    assert [draw for batch in batches for draw in batch] == drawn(slices)
    assert min(map(len, batches)) >= min(2, slices, batch_size)
    assert all(len(batch) == batch_size for batch in batches[:-2])
    assert max(map(len, batches)) <= max(batch_size, 3)
    if slices % batch_size != 1:
        assert batches == split_into_batches(drawn(slices), batch_size)


def drawn(slices: int) -> list[SliceDraw]:
    return [SliceDraw(0, z) for z in range(slices)]


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_batches_loaded_in_advance_are_the_drawn_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr("wsseg.data.batches.loading_threads", lambda: threads)
    known = scan()
    np.save(tmp_path / "image.npy", open_map(known.image))
    stored = StageScan("a", tmp_path / "image.npy", None, known.region, known.tags, known.slices)
    draws = [draw for epoch in range(20) for draw in epoch_draws([stored], "uniform", 0, epoch)]
    batches = split_into_batches(draws, 3)
    in_advance = list(load_batches(Slices([stored], INPUT, GEOMETRIC), batches))
    directly = [collate([Slices([known], INPUT, GEOMETRIC)[d] for d in batch]) for batch in batches]
    assert [loaded.draws for loaded in in_advance] == batches
    for (_, batch, _), (other, _) in zip(in_advance, directly, strict=True):
        assert torch.equal(batch.image, other.image)
        assert torch.equal(batch.region, other.region)


def test_each_process_loads_its_shard_of_a_batch() -> None:
    slices = Slices([scan()], INPUT)
    draws = [SliceDraw(0, z) for z in range(4)]
    [loaded] = load_batches(slices, [draws], lambda batch: batch[1::2])
    assert loaded.draws == draws
    assert loaded.batch.middle[:, 0, 0, 0].tolist() == [1, 3]


def test_batches_are_listed_only_a_few_steps_in_advance() -> None:
    listed = 0

    def batches() -> Iterator[list[SliceDraw]]:
        nonlocal listed
        for z in [0, 1, 2, 3] * 100:
            listed += 1
            yield [SliceDraw(0, z)]

    loading = load_batches(Slices([scan()], INPUT), batches())
    next(loading)
    loading.close()
    assert listed < 10


def test_without_a_fill_the_outside_of_a_mask_has_the_minimum_of_each_image(tmp_path: Path) -> None:
    inside = np.zeros((4, 8, 8), np.uint8)
    inside[:, 2:6, 2:6] = 1
    stored = tmp_path / "image.npy"
    np.save(
        stored, np.full((1, 4, 8, 8), 9, np.int16) - np.arange(4, dtype=np.int16)[:, None, None]
    )
    scans = [replace(scan(), inside=inside), replace(scan(), image=stored, inside=inside)]
    slices = Slices(scans, Input(slices=1, size=8))
    first, second = slices[SliceDraw(0, 3)].image[..., 0], slices[SliceDraw(1, 0)].image[..., 0]
    assert first.min() == 0  # slice 0 of the first scan is 0 everywhere
    assert second.min() == 6  # 9, 8, 7, 6
    assert (first[3, 3], second[3, 3]) == (3, 9)


def test_without_a_fill_moved_images_are_bordered_by_their_minimum() -> None:
    bright = replace(scan(), image=np.full((1, 4, 8, 8), 5, np.int16))
    for seed in range(5):
        image = Slices([bright], Input(slices=1, size=8), GEOMETRIC, seed)[SliceDraw(0, 1)].image
        assert (image == 5).all()


class UpsideDown(Augment):
    """Turns image and masks upside down; `image_only` forgets the masks."""

    image_only: bool = False

    def __call__(self, image: Any, masks: Any, fill: float, seed: int) -> Any:  # noqa: ARG002
        return image[::-1] if self.image_only else (image[::-1], masks[::-1])


def test_slices_are_augmented_by_any_augmentation() -> None:
    sample = Slices([scan()], INPUT, UpsideDown())[SliceDraw(0, 2)]
    assert sample.image[0, 0].tolist() == [1, 2, 3]
    assert sample.region[:, 0, 0].tolist() == [True] * 4 + [False] * 4


def test_an_augmentation_with_a_wrong_result_is_named() -> None:
    with pytest.raises(WorkError, match=r"UpsideDown .*returns \(array of \(8, 8, 3\)"):
        Slices([scan()], INPUT, UpsideDown(image_only=True))[SliceDraw(0, 2)]
