"""Several processes that train as one: each takes a part of every batch.

With one process, nothing here does anything.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

T = TypeVar("T")


def shard(batch: Sequence[T], rank: int, processes: int) -> list[T]:
    """Return every `processes`-th of a batch, from number `rank` on.

    All parts are equally long: a batch that does not suffice begins again.
    """
    last = -(-len(batch) // processes) * processes
    return [batch[i % len(batch)] for i in range(rank, last, processes)]


def gather_batch(fabric: Fabric, rows: Tensor, number: int) -> Tensor:
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


def leader_first(fabric: Fabric, work: Callable[[], T]) -> T:
    """Let the leader do some work first; the others then find what it wrote."""
    if not fabric.is_global_zero:
        fabric.barrier()
    result = work()
    if fabric.is_global_zero:
        fabric.barrier()
    return result


def any_rank(fabric: Fabric, *, here: bool) -> bool:
    """Say whether it is so in any of the processes. All ask at the same place."""
    if fabric.world_size == 1:
        return here
    most = fabric.all_reduce(torch.tensor(float(here), device=fabric.device), reduce_op="max")
    return bool(most)
