"""The limits of the card: the rates of a matrix product, of a copy and of a transfer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import Tensor

from benchmarks.gpu.device import device, has_gpu, tf32, time_calls_in_turns
from benchmarks.roofline import Rates
from benchmarks.speed.limits import GIGA
from benchmarks.speed.timing import REPEATS, Measurement, rates

TERA = 1e12
CALLS = 5


@dataclass(frozen=True)
class Card:
    """The rates of a matrix product of random numbers, of a copy on the card, and of a transfer.

    They limit every network. The transfer is from page-locked memory of the machine to the card.
    """

    n: int = 8192
    mib: int = 1024
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield the rates."""
        flop = 2 * self.n**3
        with tf32(allowed=False):
            seconds = self._product_seconds("float32", torch.float32)
        with tf32(allowed=True):
            seconds |= self._product_seconds("TF32", torch.float32)
        seconds |= self._product_seconds("bfloat16", torch.bfloat16)
        for name, each in seconds.items():
            rate = rates(flop / TERA, each)
            yield Measurement(f"matrix product, {name}, {self.n} × {self.n}", rate, "TFLOP/s")
        for name, (bytes_moved, copy) in self._copies().items():
            each = time_calls_in_turns({name: copy}, CALLS, self.repeats)[name]
            yield Measurement(f"{name}, {self.mib} MiB", rates(bytes_moved / GIGA, each), "GB/s")

    def rates(self) -> Rates:
        """Measure the two rates that limit a network in bfloat16."""
        (copied, copy), *_ = self._copies().values()
        product = self._product_seconds("product", torch.bfloat16)["product"]
        copying = time_calls_in_turns({"copy": copy}, CALLS, self.repeats)["copy"]
        return Rates(2 * self.n**3 / median(product), copied / median(copying))

    def _product_seconds(self, name: str, dtype: torch.dtype) -> dict[str, tuple[float, ...]]:
        where = device()
        a, b = (torch.randn(self.n, self.n, device=where).to(dtype) for _ in range(2))
        return time_calls_in_turns({name: partial(torch.mm, a, b)}, CALLS, self.repeats)

    def _copies(self) -> Mapping[str, tuple[int, Callable[[], Tensor]]]:
        """Return the bytes that each copy moves, and the copies."""
        there = torch.randn(self.mib * 2**18, device=device())
        here = torch.randn(self.mib * 2**18, pin_memory=has_gpu())
        empty = torch.empty_like(there)
        return {
            "copy on the card, bytes read and written": (
                2 * there.nbytes,
                partial(empty.copy_, there),
            ),
            "transfer to the card": (
                here.nbytes,
                partial(empty.copy_, here, non_blocking=True),
            ),
        }
