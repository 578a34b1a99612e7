"""Operations across the processes of one training; with a single process they do nothing."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

T = TypeVar("T")


def shard(batch: Sequence[T], rank: int, processes: int, smallest: int = 1) -> list[T]:
    """Return every `processes`-th item of a batch, starting at item `rank`.

    All shards have the same length, which is at least `smallest` if the batch has as many items.
    If there are too few items, others of the batch are repeated, but never within one shard.
    """
    size = len(batch)
    last = -(-size // processes) * processes
    indices = [i % size for i in range(rank, last, processes)]
    others = (i for i in range(size) if i not in indices)
    lacking = min(smallest, size) - len(indices)
    return [batch[i] for i in (*indices, *islice(others, max(0, lacking)))]


def gather_batch(fabric: Fabric, rows: Tensor, size: int) -> Tensor:
    """Return the `size` rows of a batch in their order, gathered from the shards of all processes.

    Each process can then compute the loss of the full batch, whatever the loss is. Gradients flow
    back to the process of each row, summed over the processes. As gradients of the weights are
    averaged over the processes, the step equals that of one process with the full batch.
    """
    if fabric.world_size == 1:
        return rows
    shards = fabric.all_gather(rows, sync_grads=rows.requires_grad)  # (processes, rows, ...)
    assert isinstance(shards, Tensor), "all_gather of a tensor returns a tensor"  # noqa: S101
    return shards.transpose(0, 1).flatten(0, 1)[:size]


def leader_first(fabric: Fabric, work: Callable[[], T]) -> T:
    """Run `work` in the leader first, then in the others, which find the files it wrote."""
    if not fabric.is_global_zero:
        fabric.barrier()
    result = work()
    if fabric.is_global_zero:
        fabric.barrier()
    return result


def any_rank(fabric: Fabric, *, here: bool) -> bool:
    """Return whether `here` is true in any process; every process must call this."""
    if fabric.world_size == 1:
        return here
    most = fabric.all_reduce(torch.tensor(float(here), device=fabric.device), reduce_op="max")
    return bool(most)
