"""Training of the paper's UNet against plain PyTorch and the limits of the card."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.gpu.card import TERA, Card
from benchmarks.gpu.device import (
    device,
    peak_gib,
    searched_algorithms,
    tf32,
    time_calls_in_turns,
)
from benchmarks.gpu.steps import CoreStep, EagerStep, LabelledBatch, noise_batch
from benchmarks.roofline import Rates, roofline
from benchmarks.speed.paper import (
    AUGMENT,
    PAPER,
    Sizes,
    Turn,
    scans,
    shared_trainer,
    take_steps,
    write_scans,
)
from benchmarks.speed.timing import Measurement, rates, ratios, seconds_of
from wsseg.data.batches import (
    Slices,
    batches_in_advance,
    epoch_draws,
    load_batches,
    split_into_batches,
)

PERCENT = 100
CONTIGUOUS, CHANNELS_LAST = torch.contiguous_format, torch.channels_last


@dataclass(frozen=True)
class Training:
    """Training of the paper's UNet from masks in batches of 16, in bfloat16.

    The rate of the trainer excludes the time that it waits for batches, which has its own row; it
    includes the transfer to the card. Plain PyTorch is the same network, loss and optimiser, eager,
    on batches that are on the card: in float32 with PyTorch's defaults (TF32 in convolutions), in
    float32 without TF32, and in bfloat16 autocast with channels_last. "Core" is the same for the
    functions of wsseg that its trainer calls. The roofline is the sum, over all operations of a
    step, of the time that each needs at the rate of the bfloat16 product or of the copy on the
    card, whichever is longer.
    """

    sizes: Sizes = PAPER
    card: Card = field(default_factory=Card)
    steps: int = 10
    repeats: int = 3

    def measure(self) -> Iterator[Measurement]:
        """Yield rates, their ratios, shares of the limits, waiting and memory."""
        turns = list(self._trainer_turns())
        batch = noise_batch(self.sizes).to(device())
        core = CoreStep("masks", self.sizes, device(), torch.bfloat16)
        plain = EagerStep(self.sizes, torch.float32, CONTIGUOUS)
        fast = EagerStep(self.sizes, torch.bfloat16, CHANNELS_LAST)
        alternatives = {
            "core": partial(core, batch),
            "plain PyTorch, float32": partial(plain, batch),
            "plain PyTorch, bfloat16, channels_last": partial(fast, batch),
        }
        seconds = time_calls_in_turns(alternatives, self.steps, self.repeats)
        seconds = {"trainer": tuple((t.seconds - t.waited_s) / self.steps for t in turns)} | seconds
        for name, each in seconds.items():
            yield self._rate(name, each)
        for name, least in (
            ("plain PyTorch, float32", 3),
            ("plain PyTorch, bfloat16, channels_last", 1.3),
        ):
            gain = ratios(seconds[name], seconds["trainer"])
            yield Measurement(f"trainer / {name}", gain, "×", least=least)
        yield from self._limits(seconds, lambda: core(batch))
        yield from self._loading(turns)
        for name, step in alternatives.items():
            yield Measurement(f"peak memory, {name}", (peak_gib(step),), "GiB")
        yield from self._other_settings(core, plain, batch)

    def _trainer_turns(self) -> Iterator[Turn]:
        """Train several times from the first batch; a first turn is not counted."""
        with TemporaryDirectory() as name:
            write_scans(Path(name), self.sizes, batches_in_advance() + self.steps + 1)
            trainer = shared_trainer("masks", self.sizes, Path(name))
            take_steps(trainer, self.steps)
            for _ in range(self.repeats):
                yield take_steps(trainer, self.steps)

    def _rate(self, name: str, seconds: tuple[float, ...]) -> Measurement:
        return Measurement(f"training, {name}", rates(self.sizes.batch, seconds), "slices/s")

    def _limits(
        self, seconds: dict[str, tuple[float, ...]], step: Callable[[], object]
    ) -> Iterator[Measurement]:
        """Yield the shares of the card's limits that the trainer reaches."""
        work, limits = roofline(step), self.card.rates()
        own = seconds["trainer"]
        yield Measurement("a step, products and sums", (work.flop / TERA,), "TFLOP")
        yield Measurement("trainer, products and sums", rates(work.flop / TERA, own), "TFLOP/s")
        for name, part in _times_at_limits(work.flop, work.bytes_moved, limits).items():
            share = tuple(PERCENT * part / each for each in own)
            yield Measurement(f"trainer, share of {name}", share, "%")
        least = work.least_s(limits)
        yield Measurement("a step at the roofline of its operations", (least,), "s")
        for name, bound in (("trainer", 50), ("core", None)):
            share = tuple(PERCENT * least / each for each in seconds[name])
            yield Measurement(f"{name}, share of the roofline", share, "%", least=bound)

    def _loading(self, turns: list[Turn]) -> Iterator[Measurement]:
        """Yield how fast batches are loaded, and how long the trainer waits for them."""
        waits = tuple(PERCENT * turn.waited_s / turn.seconds for turn in turns)
        yield Measurement("trainer, share of time waiting for batches", waits, "%", most=3)
        total = tuple(turn.seconds / self.steps for turn in turns)
        yield self._rate("trainer, with waiting for batches", total)
        with TemporaryDirectory() as name:
            write_scans(Path(name), self.sizes, batches_in_advance() + self.steps)
            load = partial(_load, self.sizes, Path(name), self.steps)
            loading = tuple(seconds_of(load) / self.steps for _ in range(self.repeats))
        rate = rates(self.sizes.batch, loading)
        yield Measurement("loading with augmentation alone", rate, "slices/s")

    def _other_settings(
        self, core: CoreStep, plain: EagerStep, batch: LabelledBatch
    ) -> Iterator[Measurement]:
        """Yield the rates with settings of PyTorch that wsseg leaves at their defaults."""
        with tf32(allowed=False):
            yield self._alone("plain PyTorch, float32 without TF32", partial(plain, batch))
        with searched_algorithms():
            yield self._alone("core, cudnn.benchmark", partial(core, batch))

    def _alone(self, name: str, step: Callable[[], object]) -> Measurement:
        return self._rate(name, time_calls_in_turns({name: step}, self.steps, self.repeats)[name])


def _times_at_limits(flop: int, bytes_moved: int, limits: Rates) -> dict[str, float]:
    """Return the seconds that products and that memory alone would take at their limits."""
    return {
        "the bfloat16 product's rate": flop / limits.flop_per_s,
        "the copy's rate, if each operation reads and writes its tensors once": (
            bytes_moved / limits.bytes_per_s
        ),
    }


def _load(sizes: Sizes, folder: Path, batches: int) -> None:
    """Load and augment batches without using them."""
    own = list(scans(folder, labels=True))
    draws = split_into_batches(epoch_draws(own, "uniform", 0, 0), sizes.batch)[:batches]
    with closing(load_batches(Slices(own, sizes.input, AUGMENT), draws)) as loading:
        for _ in loading:
            pass
