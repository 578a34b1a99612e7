"""How near a network comes to its roofline, and which kinds of layers lose the rest of the time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.roofline import Operation, Rates, Roofline
from benchmarks.speed.timing import Measurement

PERCENT = 100
KINDS = {  # by a part of the name of an operation; the first that fits
    "convolution_backward": "gradients of convolutions",
    "convolution": "convolutions",
    "batch_norm": "batch norm",
    "relu": "activations",
    "": "all other operations",
}
FULL_RESOLUTION, LOWER = "at full resolution", "at lower resolutions"


@dataclass(frozen=True)
class RooflineShares:
    """The rounds of a measurement: what was computed, and the limits of the machine at that time.

    A kind of layer loses the time of its operations minus their least time. The loss is negative
    where tensors stay in the cache, which is faster than a copy.
    """

    name: str
    pixels: int  # the width of an image at full resolution
    computed: Sequence[Roofline]  # with the seconds of each operation
    limits: Sequence[Rates]

    def share(self, seconds: Sequence[float], least: float) -> Measurement:
        """Return the share of the roofline of a computation that took `seconds` in each round."""
        rounds = zip(self.computed, self.limits, seconds, strict=True)
        share = tuple(PERCENT * work.least_s(rates) / each for work, rates, each in rounds)
        return Measurement(f"{self.name}, share of the roofline", share, "%", least=least)

    def losses(self) -> Iterator[Measurement]:
        """Yield the share of the operations' time that each kind of layer loses."""
        for kind in sorted({self._kind(each) for each in self.computed[0].operations}):
            loss = tuple(
                PERCENT * self._lost_s(kind, work, rates) / work.seconds
                for work, rates in zip(self.computed, self.limits, strict=True)
            )
            yield Measurement(f"{self.name}, time lost by {kind}", loss, "%")

    def _lost_s(self, kind: str, work: Roofline, rates: Rates) -> float:
        own = Roofline([each for each in work.operations if self._kind(each) == kind])
        return own.seconds - own.least_s(rates)

    def _kind(self, operation: Operation) -> str:
        kind = next(kind for part, kind in KINDS.items() if part in operation.name)
        if "convolution" not in kind:
            return kind
        return f"{kind} {FULL_RESOLUTION if operation.shape[-1] == self.pixels else LOWER}"
