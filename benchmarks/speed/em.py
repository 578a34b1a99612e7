"""The cost of the E-step."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.paper import LEARN, PAPER, Sizes, shared_trainer, take_steps, write_scans
from benchmarks.speed.timing import (
    REPEATS,
    Measurement,
    in_new_process,
    rates,
    ratios,
    seconds_in_turns,
)
from wsseg.data.batches import batches_in_advance
from wsseg.runtime.device import keep_memory
from wsseg.training.trainer import Trainer


@dataclass(frozen=True)
class Em:
    """A training step of EM and one on masks, with the same network, batches and augmentation.

    By default the E-step uses the logits of the M-step's own forward pass. With `belief:
    evaluation` it has a separate forward pass, for which nothing is required.
    """

    sizes: Sizes = PAPER
    steps: int = 3
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield the rates, and the ratios of a step to one on masks."""
        seconds = in_new_process(_seconds, self)
        for name, each in seconds.items():
            yield Measurement(
                f"learn: {name}", rates(self.steps * self.sizes.batch, each), "slices/s"
            )
        for name, most in (("em", 1.1), ("em, belief: evaluation", None)):
            cost = ratios(seconds[name], seconds["masks"])
            yield Measurement(f"a step of learn: {name} / learn: masks", cost, "×", most=most)


def _seconds(em: Em) -> dict[str, tuple[float, ...]]:
    keep_memory()  # as `wsseg train`
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_scans(folder, em.sizes, batches_in_advance() + em.steps + 1)
        trainers = {learn: shared_trainer(learn, em.sizes, folder) for learn in LEARN}
        alternatives = {learn: partial(_steps, each, em.steps) for learn, each in trainers.items()}
        return seconds_in_turns(alternatives, em.repeats)


def _steps(trainer: Trainer, number: int) -> float:
    return take_steps(trainer, number).seconds
