"""What this machine can do at best."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from benchmarks.speed.timing import REPEATS, Row, by_turns, rates

GIGA = 1e9


class MatrixProduct:
    """A large matrix product, whose rate bounds that of every network."""

    def __init__(self, n: int, dtype: torch.dtype) -> None:
        self._a = torch.randn(n, n).to(dtype)
        self._b = torch.randn(n, n).to(dtype)
        self.flop = 2 * n**3

    def __call__(self) -> None:
        """Multiply."""
        with torch.inference_mode():
            torch.mm(self._a, self._b)


class Copy:
    """A copy of memory, too large for any cache."""

    def __init__(self, mib: int) -> None:
        self._from = torch.ones(mib * 2**20 // 4)
        self._to = torch.zeros_like(self._from)
        self.bytes_moved = 2 * self._from.nbytes  # read and written

    def __call__(self) -> None:
        """Copy."""
        self._to.copy_(self._from)


@dataclass(frozen=True)
class Limits:
    """The rate of a large matrix product bounds every network, the rate of a copy all else."""

    n: int = 4096
    mib: int = 512
    repeats: int = REPEATS

    def measure(self) -> Iterator[Row]:
        """Yield the rates."""
        fast, plain = MatrixProduct(self.n, torch.bfloat16), MatrixProduct(self.n, torch.float32)
        copy = Copy(self.mib)
        seconds = by_turns({"bfloat16": fast, "float32": plain, "copy": copy}, self.repeats)
        for name, product in (("bfloat16", fast), ("float32", plain)):
            rate = rates(product.flop / GIGA, seconds[name])
            yield Row(f"matrix product, {name}, {self.n} × {self.n}", rate, "GFLOP/s")
        yield Row(
            f"memory copy, {self.mib} MiB, bytes read and written",
            rates(copy.bytes_moved / GIGA, seconds["copy"]),
            "GB/s",
        )
