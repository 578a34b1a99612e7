"""Training steps, compared with plain PyTorch and the limit of the machine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.roofline import Roofline
from benchmarks.speed.limits import GIGA, NetworkLimits
from benchmarks.speed.paper import (
    AUGMENT,
    PAPER,
    RATE,
    Sizes,
    Turn,
    flop_per_slice,
    scans,
    shared_trainer,
    step_operations,
    take_steps,
    write_scans,
)
from benchmarks.speed.plain_training import PlainStep, PlainUNet
from benchmarks.speed.roofline_shares import PERCENT, RooflineShares
from benchmarks.speed.timing import (
    REPEATS,
    Measurement,
    new_process,
    rates,
    ratios,
    seconds_in_turns,
    seconds_of,
)
from wsseg.data.batches import (
    Slices,
    batches_in_advance,
    epoch_draws,
    load_batches,
    split_into_batches,
)
from wsseg.runtime.device import keep_memory


@dataclass(frozen=True)
class Train:
    """Training of the paper's UNet from masks in batches of 16, with augmentation and loading.

    The trainer of wsseg is compared with plain PyTorch (NCHW, float32, eager; the same network,
    loss, augmentation and loading, written out in `plain_training.py`), each in its own process.
    wsseg computes in bfloat16 where the CPU has it. FLOP are those of the convolutions, forward and
    backward. The first three steps of a turn are not counted: their batches were loaded in advance,
    and memory is allocated in them.

    The roofline is the sum, over the operations of a step, of the time that each needs at the rate
    of a matrix product in the same precision, or of a memory copy if that is longer. At least 75 %
    of the rate at the roofline is required. The last rows are the time that each kind of layer
    takes beyond its own part of that sum, in % of the time of all operations; it is negative where
    tensors stay in the cache, which is faster than a copy.
    """

    sizes: Sizes = PAPER
    steps: int = 3
    n: int = 4096
    mib: int = 512
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield the rates, their ratios and the share of a step that waits for data."""
        limits = NetworkLimits(self.n, self.mib)
        seconds, waits, computed = self._seconds(limits)
        slices = self.steps * self.sizes.batch
        for name in ("wsseg", "plain PyTorch"):
            yield Measurement(f"training, {name}", rates(slices, seconds[name]), "slices/s")
        gain = ratios(seconds["plain PyTorch"], seconds["wsseg"])
        yield Measurement("training, wsseg / plain PyTorch", gain, "×", least=3)
        work = rates(slices * flop_per_slice(self.sizes) / GIGA, seconds["wsseg"])
        yield Measurement("training, wsseg, arithmetic rate", work, "GFLOP/s")
        yield Measurement("training, share of time waiting for batches", waits, "%", most=5)
        shares = RooflineShares("training", self.sizes.pixels, computed, limits.rates(seconds))
        yield shares.share(tuple(each / self.steps for each in seconds["wsseg"]), least=75)
        yield from shares.losses()

    def _seconds(
        self, limits: NetworkLimits
    ) -> tuple[dict[str, tuple[float, ...]], tuple[float, ...], list[Roofline]]:
        waits, computed = list[float](), list[Roofline]()
        with (
            TemporaryDirectory() as name,
            new_process() as wsseg_process,
            new_process() as plain_process,
        ):
            folder = Path(name)
            write_scans(folder, self.sizes, batches_in_advance() + self.steps + 1)

            def wsseg() -> float:
                turn = wsseg_process.submit(_wsseg, self.sizes, folder, self.steps).result()
                waits.append(PERCENT * turn.waited_s / turn.seconds)
                return turn.seconds

            def plain() -> float:
                return plain_process.submit(_plain, self.sizes, folder, self.steps).result()

            def layers() -> float:
                computed.append(wsseg_process.submit(_operations, self.sizes, folder).result())
                return computed[-1].seconds

            alternatives: dict[str, Callable[[], float]] = {
                **{name: partial(seconds_of, each) for name, each in limits.alternatives().items()},
                "wsseg": wsseg,
                "layers": layers,
                "plain PyTorch": plain,
            }
            return seconds_in_turns(alternatives, self.repeats), tuple(waits[1:]), computed[1:]


def _wsseg(sizes: Sizes, folder: Path, steps: int) -> Turn:
    keep_memory()  # as `wsseg train`
    return take_steps(shared_trainer("masks", sizes, folder), steps)


def _operations(sizes: Sizes, folder: Path) -> Roofline:
    return step_operations(shared_trainer("masks", sizes, folder))


@cache
def _plain_step(sizes: Sizes) -> PlainStep:
    return PlainStep(PlainUNet(sizes.slices, 1, sizes.width), RATE)


def _plain(sizes: Sizes, folder: Path, steps: int) -> float:
    step, started = _plain_step(sizes), 0.0
    own = list(scans(folder, labels=True))
    draws = epoch_draws(own, "uniform", 0, 0)
    batches = split_into_batches(draws, sizes.batch)[: batches_in_advance() + steps]
    for number, (_, batch, labels) in enumerate(
        load_batches(Slices(own, sizes.input, AUGMENT), batches)
    ):
        if number == batches_in_advance():
            started = perf_counter()
        assert labels is not None, "the scans have labels"  # noqa: S101
        step(batch.image[:, 0], batch.region, labels)
    return perf_counter() - started
