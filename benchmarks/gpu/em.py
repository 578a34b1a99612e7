"""The cost of the E-step on the card."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.paper import LEARN, PAPER, Sizes, shared_trainer, take_steps, write_scans
from benchmarks.speed.timing import Measurement, rates, ratios, seconds_in_turns
from wsseg.data.batches import batches_in_advance
from wsseg.training.trainer import Trainer


@dataclass(frozen=True)
class Em:
    """A step of the trainer that learns by EM, and one that learns from masks, without waiting.

    The network, the batches of 16 slices and the augmentation are the same. With `belief:
    evaluation`, the E-step has a separate forward pass, for which nothing is required.
    """

    sizes: Sizes = PAPER
    steps: int = 10
    repeats: int = 3

    def measure(self) -> Iterator[Measurement]:
        """Yield the rates, and the ratios of a step to one on masks."""
        with TemporaryDirectory() as name:
            write_scans(Path(name), self.sizes, batches_in_advance() + self.steps + 1)
            trainers = {learn: shared_trainer(learn, self.sizes, Path(name)) for learn in LEARN}
            steps = {learn: partial(self._computing_s, each) for learn, each in trainers.items()}
            seconds = seconds_in_turns(steps, self.repeats)
        for learn, each in seconds.items():
            rate = rates(self.steps * self.sizes.batch, each)
            yield Measurement(f"learn: {learn}", rate, "slices/s")
        for learn, most in (("em", 1.05), ("em, belief: evaluation", None)):
            cost = ratios(seconds[learn], seconds["masks"])
            yield Measurement(f"a step of learn: {learn} / learn: masks", cost, "×", most=most)

    def _computing_s(self, trainer: Trainer) -> float:
        turn = take_steps(trainer, self.steps)
        return turn.seconds - turn.waited_s
