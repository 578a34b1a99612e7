"""The least time that a device needs for a computation, from its operations and their bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from benchmarks.gpu.card import Rates

ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}


@dataclass(frozen=True)
class Operation:
    """One operation of PyTorch, such as a convolution or its backward pass."""

    name: str
    flop: int  # of convolutions and products; 0 for all others
    bytes_moved: int  # of its inputs, each read once, and of its results

    def least_s(self, rates: Rates) -> float:
        """Return the seconds at the limit: of the product's rate or of the copy's."""
        return max(self.flop / rates.flop_per_s, self.bytes_moved / rates.bytes_per_s)


class OperationCounter(TorchDispatchMode):
    """Records the operations that are executed in the block; views are not operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not _is_view(func) and func.overloadpacket.__name__ not in ALLOCATIONS:
            moved = _bytes((args, kwargs)) + _bytes((result, _changed(func, args)))
            count = flop_registry.get(func.overloadpacket)
            flop = 0 if count is None else int(count(*args, **(kwargs or {}), out_val=result))
            self.operations.append(Operation(str(func), flop, moved))
        return result


@dataclass(frozen=True)
class Roofline:
    """The operations of a computation and the limits that they give."""

    operations: list[Operation] = field(default_factory=list)

    @property
    def flop(self) -> int:
        """All operations of convolutions and products."""
        return sum(each.flop for each in self.operations)

    @property
    def bytes_moved(self) -> int:
        """All bytes that operations read and write."""
        return sum(each.bytes_moved for each in self.operations)

    def least_s(self, rates: Rates) -> float:
        """Return the sum of the least times of the operations, which run one after the other."""
        return sum(each.least_s(rates) for each in self.operations)


def roofline(computation: Callable[[], object]) -> Roofline:
    """Run a computation and return its operations."""
    with OperationCounter() as counter:
        computation()
    return Roofline(counter.operations)


def _bytes(values: object) -> int:
    """Return the bytes of all tensors in nested values; a tensor that occurs twice counts once."""
    tensors = [each for each in tree_leaves(values) if isinstance(each, Tensor)]
    return sum({each.data_ptr(): each.nbytes for each in tensors}.values())


def _changed(func: Any, args: tuple[Any, ...]) -> list[Any]:
    """Return the arguments that an operation changes."""
    written = [
        each.alias_info is not None and each.alias_info.is_write
        for each in func._schema.arguments  # noqa: SLF001 - no public name
    ]
    return [arg for arg, is_written in zip(args, written, strict=False) if is_written]


def _is_view(func: Any) -> bool:
    """Return whether an operation returns its input with another shape, without a copy."""
    aliases = [each.alias_info for each in func._schema.returns]  # noqa: SLF001 - no public name
    return any(alias is not None and not alias.is_write for alias in aliases)
