"""Batches: which slices, in which order, and what of them is seen."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from wsseg.core.input import Input
from wsseg.data.augment import Augment
from wsseg.data.batches import (
    Draw,
    Scan,
    Slices,
    all_slices,
    collate,
    epoch_draws,
    load_batches,
    open_map,
    split_into_batches,
)

INPUT = Input(slices=3, size=8, fill=-7)
ALL_MOVES = Augment(
    rotate_deg=90, translate=0.1, zoom=(0.9, 1.1), flip=("left-right", "front-back")
)


def scan(name: str = "a", slices: int = 4, tagged: int = 2) -> Scan:
    """Slice z is z everywhere; the first `tagged` have the class; half the rows are region."""
    image = np.arange(slices, dtype=np.int16)[:, None, None] + np.zeros((1, 8, 8), np.int16)
    region = np.zeros((slices, 8, 8), np.uint8)
    region[:, 4:] = 1
    tags = (np.arange(slices) < tagged)[:, None]
    return Scan(name, image, None, region, tags, tuple(range(slices)))


def test_a_window_holds_the_slices_around_the_middle_one() -> None:
    sample = Slices([scan()], INPUT)[Draw(0, 2)]
    assert sample.image.shape == (8, 8, 3)
    assert sample.image[0, 0].tolist() == [1, 2, 3]


def test_the_edge_slice_is_repeated_where_the_scan_ends() -> None:
    slices = Slices([scan()], INPUT)
    assert slices[Draw(0, 0)].image[0, 0].tolist() == [0, 0, 1]
    assert slices[Draw(0, 3)].image[0, 0].tolist() == [2, 3, 3]


def test_what_lies_outside_the_mask_is_filled_in_every_slice() -> None:
    known = scan()
    inside = np.ones((4, 8, 8), np.uint8)
    inside[1, 0, 0] = 0
    masked = Scan(known.name, known.image, inside, known.region, known.tags, known.slices)
    sample = Slices([masked], INPUT)[Draw(0, 2)]
    assert sample.image[0, 0].tolist() == [-7, 2, 3]
    assert sample.image[0, 1].tolist() == [1, 2, 3]


def test_a_weak_scan_gives_a_batch_without_labels() -> None:
    slices = Slices([scan()], INPUT)
    batch, y = collate([slices[Draw(0, 0)], slices[Draw(0, 3)]])
    assert y is None
    assert batch.image.shape == (2, 3, 8, 8)
    assert batch.region.shape == (2, 1, 8, 8)
    assert batch.tags.tolist() == [[True], [False]]
    assert batch.case == ("a", "a")


def test_images_come_in_channels_last_memory() -> None:
    slices = Slices([scan()], INPUT)
    batch, _ = collate([slices[Draw(0, 0)], slices[Draw(0, 1)]])
    assert batch.image.is_contiguous(memory_format=torch.channels_last)


def test_image_region_and_labels_move_as_one() -> None:
    generator = np.random.default_rng(0)
    blob = np.zeros((1, 64, 64), np.uint8)
    blob[0, 20:40, 10:30] = 1
    noise = generator.normal(0, 1, blob.shape)
    image = (1000.0 * blob + noise).astype(np.int16)
    both = Scan("a", image, None, blob, np.ones((1, 1), np.bool_), (0,), (blob,))
    slices = Slices([both], Input(slices=1, size=64, fill=0), ALL_MOVES)
    for epoch in range(8):
        sample = slices[Draw(0, 0, epoch)]
        assert sample.y is not None
        bright = sample.image[:, :, 0] > 500
        assert (sample.region[:, :, 0] == (sample.y[:, :, 0] > 0)).all()
        assert (bright == sample.region[:, :, 0]).mean() > 0.97
        assert sample.region.any()


def test_a_draw_is_a_function_of_seed_epoch_case_and_slice_alone() -> None:
    image = np.random.default_rng(1).integers(0, 999, (4, 8, 8)).astype(np.int16)
    tags = np.ones((4, 1), np.bool_)
    a, b = (Scan(name, image, None, None, tags, (0, 1, 2, 3)) for name in "ab")

    def moved(scans: list[Scan], draw: Draw, seed: int = 0) -> list[float]:
        values: list[float] = Slices(scans, INPUT, ALL_MOVES, seed)[draw].image.ravel().tolist()
        return values

    first = moved([a, b], Draw(0, 1, 5))
    assert first == moved([b, a], Draw(1, 1, 5))  # the place in the list does not matter
    for other in (Draw(0, 1, 6), Draw(0, 1, 5, repeat=1), Draw(1, 1, 5)):
        assert first != moved([a, b], other)
    assert first != moved([a, b], Draw(0, 1, 5), seed=1)


def test_a_uniform_epoch_has_every_slice_once() -> None:
    scans = [scan("a"), scan("b", 7)]
    draws = epoch_draws(scans, "uniform", seed=0, epoch=3)
    assert sorted((d.scan, d.z) for d in draws) == [(d.scan, d.z) for d in all_slices(scans)]
    assert all(d.epoch == 3 for d in draws)
    assert draws != epoch_draws(scans, "uniform", seed=0, epoch=4)


def test_a_balanced_epoch_has_as_many_slices_with_as_without() -> None:
    scans = [scan("a", slices=9, tagged=2)]
    draws = epoch_draws(scans, "balanced", seed=0, epoch=0)
    counts = Counter(bool(scans[d.scan].tags[d.z, 0]) for d in draws)
    assert counts == {True: 7, False: 7}
    uses = Counter(d.z for d in draws)
    assert max(uses[0], uses[1]) - min(uses[0], uses[1]) <= 1
    assert len(set(draws)) == len(draws)  # a repeated slice is moved anew


def test_no_batch_reaches_into_the_next_epoch() -> None:
    epochs = [[Draw(0, z, e) for z in range(5)] for e in range(2)]
    batches = split_into_batches(epochs, 2)
    assert [len(batch) for batch in batches] == [2, 2, 1, 2, 2, 1]
    assert [draw for batch in batches for draw in batch] == epochs[0] + epochs[1]


def test_what_is_gathered_ahead_is_what_is_drawn(tmp_path: Path) -> None:
    known = scan()
    np.save(tmp_path / "image.npy", open_map(known.image))
    filed = Scan("a", tmp_path / "image.npy", None, known.region, known.tags, known.slices)
    batches = split_into_batches([epoch_draws([filed], "uniform", 0, 0)], 3)
    ahead = list(load_batches(Slices([filed], INPUT, ALL_MOVES), batches))
    again = [collate([Slices([known], INPUT, ALL_MOVES)[d] for d in batch]) for batch in batches]
    for (batch, _), (other, _) in zip(ahead, again, strict=True):
        assert torch.equal(batch.image, other.image)
        assert torch.equal(batch.region, other.region)
