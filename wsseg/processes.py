"""Several processes that train as one: each takes a part of every batch, the first one speaks.

With one process, nothing here does anything.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.distributed import DistError

from wsseg.errors import InputError, WorkError

T = TypeVar("T")

LOST = (
    "another process of this training ended; it may have said why. What was saved last is kept, "
    "and the same command with --resume goes on from there"
)


def part(batch: Sequence[T], rank: int, processes: int) -> list[T]:
    """Return every `processes`-th of a batch, from number `rank` on.

    All parts are equally long: a batch that does not suffice begins again.
    """
    last = -(-len(batch) // processes) * processes
    return [batch[i % len(batch)] for i in range(rank, last, processes)]


def whole(fabric: Fabric, rows: Tensor, number: int) -> Tensor:
    """Return the `number` rows of a batch, in its order, from the processes' parts of it.

    So each process computes the loss of the whole batch, whatever that loss is. Gradients flow
    back to the process that a row came from, summed over the processes; as the gradients of the
    weights are averaged over them, the step is that of one process with the whole batch.
    """
    if fabric.world_size == 1:
        return rows
    parts = fabric.all_gather(rows, sync_grads=rows.requires_grad)  # (processes, rows, ...)
    assert isinstance(parts, Tensor), "of a tensor comes a tensor"  # noqa: S101
    return parts.transpose(0, 1).flatten(0, 1)[:number]


def any_of(fabric: Fabric, said: bool) -> bool:  # noqa: FBT001 - a vote, no switch
    """Return whether any process says so."""
    return _least(fabric, int(not said)) == 0


@contextmanager
def in_all_or_none(fabric: Fabric) -> Iterator[None]:
    """Where the block fails in one process, fail in all; the first one of those says why.

    The processes must not wait for each other within the block.
    """
    failed: Exception | None = None
    try:
        yield
    except Exception as error:
        if fabric.world_size == 1:
            raise
        failed = error
    with spoken_by_the_first(fabric):
        speaker = _least(fabric, fabric.world_size if failed is None else fabric.global_rank)
    if failed is not None and speaker == fabric.global_rank:
        raise failed
    if speaker < fabric.world_size:
        _end(fabric)


@contextmanager
def spoken_by_the_first(fabric: Fabric) -> Iterator[None]:
    """For what fails alike in all processes: only the first one says it.

    Another one's end, which shows as a broken connection, is said by the first one too.
    """
    try:
        yield
    except (InputError, WorkError):
        if fabric.is_global_zero:
            raise
        raise SystemExit(0) from None
    except RuntimeError as error:  # gloo has no class of its own for it
        if not (isinstance(error, DistError) or "gloo" in str(error)):
            raise
        _end(fabric)


def _end(fabric: Fabric) -> None:
    """End this process, since another one failed.

    A launcher takes the exit code of the process that failed, and may kill the others for it: so
    those have none.
    """
    if fabric.is_global_zero:
        raise WorkError(LOST) from None
    raise SystemExit(0) from None


def _least(fabric: Fabric, number: int) -> int:
    """Return the least of the processes' numbers."""
    if fabric.world_size == 1:
        return number
    least = fabric.all_reduce(torch.tensor(number, device=fabric.device), reduce_op="min")
    assert isinstance(least, Tensor), "of a tensor comes a tensor"  # noqa: S101
    return int(least)
