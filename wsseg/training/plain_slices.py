"""Training slices without augmentation or balancing, for fitting priors and E-steps."""

from collections.abc import Iterator, Sequence

from wsseg.core.batch import Batch
from wsseg.core.input import Input
from wsseg.data.batches import SliceDraw, Slices, StageScan, all_slices, collate

BATCH_SIZE = 16  # slices


def plain_batches(scans: Sequence[StageScan], input: Input) -> Iterator[Batch]:
    """Yield all slices whose tags are certain, in batches, without augmentation.

    The generator holds no reference to the recipe, since a prior could inspect the generator and
    find the masks that the recipe's cohort names.
    """
    slices = Slices(scans, input)
    draws = [draw for draw in all_slices(scans) if not scans[draw.scan].is_in_doubt(draw.z)]
    for start in range(0, len(draws), BATCH_SIZE):
        yield collate([slices[draw] for draw in draws[start : start + BATCH_SIZE]])[0]


def tagged_slices(scans: Sequence[StageScan], most: int) -> list[SliceDraw]:
    """Return evenly spaced slices with a tag, at most `most`.

    Slices with uncertain tags are left out.
    """
    tagged = [
        draw
        for draw in all_slices(scans)
        if scans[draw.scan].tags[draw.z].any() and not scans[draw.scan].is_in_doubt(draw.z)
    ]
    return tagged[:: max(1, -(-len(tagged) // most))]
