"""All training slices, neither augmented nor balanced, to which parts are fitted."""

from collections.abc import Iterator, Sequence

from wsseg.core.batch import Batch
from wsseg.core.input import Input
from wsseg.data.batches import Slices, StageScan, all_slices, collate

BATCH_SIZE = 16  # slices at a time


def plain_batches(scans: Sequence[StageScan], input: Input) -> Iterator[Batch]:
    """Yield all slices of scans with certain tags, without augmentation.

    A prior could inspect the generator, so it refers to no recipe: its cohort names the masks.
    """
    slices = Slices(scans, input)
    draws = [draw for draw in all_slices(scans) if not scans[draw.scan].is_in_doubt(draw.z)]
    for start in range(0, len(draws), BATCH_SIZE):
        yield collate([slices[draw] for draw in draws[start : start + BATCH_SIZE]])[0]
