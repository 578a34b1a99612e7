"""The least time that a device needs for a computation, from its operations and their bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import conv_flop_count, flop_registry

ALLOCATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
GROUPED = "grouped"
GROUPS = {"convolution": 8, "convolution_backward": 9}  # the position of this argument


@dataclass(frozen=True)
class Rates:
    """The limits of a device."""

    flop_per_s: float  # of a matrix product in the precision of the network
    bytes_per_s: float  # read and written by a copy


@dataclass(frozen=True)
class Operation:
    """One operation of PyTorch, such as a convolution or its backward pass."""

    name: str  # of PyTorch; "grouped convolution" if it has groups, as depthwise ones
    flop: int  # of convolutions and products; 0 for all others
    bytes_moved: int  # of its inputs, each read once, and of its results
    shape: tuple[int, ...] = ()  # of the largest of these tensors
    seconds: float = 0  # until it returned; a GPU has not finished it then

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
        kwargs = kwargs or {}
        with self:  # in inference mode, operations arrive before PyTorch has split them
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        started = perf_counter()
        result = func(*args, **kwargs)
        seconds = perf_counter() - started
        if not _is_view(func) and func.overloadpacket.__name__ not in ALLOCATIONS:
            read, written = _tensors((args, kwargs)), _tensors((result, _changed(func, args)))
            shapes = [tuple(each.shape) for each in (*read, *written)]
            self.operations.append(
                Operation(
                    name=_name(func, args),
                    flop=_flop(func, args, kwargs, result),
                    bytes_moved=_bytes(read) + _bytes(written),
                    shape=max(shapes, key=prod, default=()),
                    seconds=seconds,
                )
            )
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

    @property
    def seconds(self) -> float:
        """The sum of the seconds of the operations."""
        return sum(each.seconds for each in self.operations)

    def least_s(self, rates: Rates) -> float:
        """Return the sum of the least times of the operations, which run one after the other."""
        return sum(each.least_s(rates) for each in self.operations)


def roofline(computation: Callable[[], object]) -> Roofline:
    """Run a computation and return its operations."""
    with OperationCounter() as counter:
        computation()
    return Roofline(counter.operations)


def _name(func: Any, args: tuple[Any, ...]) -> str:
    name: str = func.overloadpacket.__name__
    has_groups = name in GROUPS and args[GROUPS[name]] > 1
    return f"{GROUPED} {name}" if has_groups else name


def _flop(func: Any, args: tuple[Any, ...], kwargs: Any, result: Any) -> int:
    """Return the operations of a convolution or product; a multiplication with addition is two."""
    if func.overloadpacket is torch.ops.aten.convolution_backward:
        # each gradient takes as many as the convolution; torch's formula ignores groups
        gradient, x, weight, *_, transposed, _, _, wanted = args
        x, weight, gradient = (list(each.shape) for each in (x, weight, gradient))
        return int(conv_flop_count(x, weight, gradient, transposed) * sum(wanted[:2]))
    if func.overloadpacket.__name__ == "_convolution_pointwise":  # of oneDNN
        return conv_flop_count(list(args[0].shape), list(args[1].shape), list(result.shape))
    count = flop_registry.get(func.overloadpacket)
    return 0 if count is None else int(count(*args, **kwargs, out_val=result))


def _tensors(values: object) -> list[Tensor]:
    return [each for each in tree_leaves(values) if isinstance(each, Tensor)]


def _bytes(tensors: list[Tensor]) -> int:
    """Return the bytes of tensors; one that occurs twice counts once."""
    return sum({_address(each): each.numel() * each.element_size() for each in tensors}.values())


def _address(tensor: Tensor) -> int:
    """Return where the numbers are; weights in a layout of oneDNN do not tell."""
    return tensor.data_ptr() if tensor.layout == torch.strided else id(tensor)


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
