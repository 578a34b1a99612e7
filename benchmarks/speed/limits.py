"""The limits of the machine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from benchmarks.roofline import Rates
from benchmarks.speed.timing import REPEATS, Measurement, rates, time_in_turns
from wsseg.runtime.device import used_precision

GIGA = 1e9
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


class MatrixProduct:
    """A large matrix product, whose rate no network can exceed."""

    def __init__(self, n: int, dtype: torch.dtype) -> None:
        self._a = torch.randn(n, n).to(dtype)
        self._b = torch.randn(n, n).to(dtype)
        self.flop = 2 * n**3

    def __call__(self) -> None:
        """Multiply."""
        with torch.inference_mode():
            torch.mm(self._a, self._b)


class Copy:
    """A copy of an array that is larger than any cache."""

    def __init__(self, mib: int) -> None:
        self._from = torch.ones(mib * 2**20 // 4)
        self._to = torch.zeros_like(self._from)
        self.bytes_moved = 2 * self._from.nbytes  # read and written

    def __call__(self) -> None:
        """Copy."""
        self._to.copy_(self._from)


class NetworkLimits:
    """A product in the precision that networks use on this machine, and a copy: their limits."""

    def __init__(self, n: int, mib: int) -> None:
        self._product = MatrixProduct(n, DTYPES[used_precision("auto")])
        self._copy = Copy(mib)

    def alternatives(self) -> dict[str, Callable[[], None]]:
        """Return what is timed."""
        return {"product": self._product, "copy": self._copy}

    def rates(self, seconds: Mapping[str, Sequence[float]]) -> tuple[Rates, ...]:
        """Return the rates of each round from the seconds of the alternatives."""
        return tuple(
            Rates(self._product.flop / product_s, self._copy.bytes_moved / copy_s)
            for product_s, copy_s in zip(seconds["product"], seconds["copy"], strict=True)
        )


@dataclass(frozen=True)
class Limits:
    """The rate of a matrix product limits every network, that of a memory copy everything else.

    The product is measured in float32, and in bfloat16 if networks use it on this machine.
    """

    n: int = 4096
    mib: int = 512
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield the rates."""
        names: list[str] = sorted({"float32", used_precision("auto")})
        products = {name: MatrixProduct(self.n, DTYPES[name]) for name in names}
        copy = Copy(self.mib)
        seconds = time_in_turns({**products, "copy": copy}, self.repeats)
        for name, product in products.items():
            rate = rates(product.flop / GIGA, seconds[name])
            yield Measurement(f"matrix product, {name}, {self.n} × {self.n}", rate, "GFLOP/s")
        yield Measurement(
            f"memory copy, {self.mib} MiB, bytes read and written",
            rates(copy.bytes_moved / GIGA, seconds["copy"]),
            "GB/s",
        )
