"""What guessing the labels costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.paper import LEARN, PAPER, Sizes, fit, take_steps, write_scans
from benchmarks.speed.timing import REPEATS, Row, in_new_process, rates, ratios, told_by_turns
from wsseg.runtime.device import keep_memory
from wsseg.runtime.threads import PREFETCHED
from wsseg.training.trainer import Trainer


@dataclass(frozen=True)
class Em:
    """A step of EM beside a step on masks: the same network, batches and augmentation.

    By default the E-step believes the logits of the M-step's own forward pass. With `belief:
    evaluation` it has a pass of its own, and no bound is asked of it.
    """

    sizes: Sizes = PAPER
    steps: int = 3
    repeats: int = REPEATS

    def measure(self) -> Iterator[Row]:
        """Yield the rates and their ratios to the step on masks."""
        seconds = in_new_process(_seconds, self)
        for name, each in seconds.items():
            yield Row(f"learn: {name}", rates(self.steps * self.sizes.batch, each), "slices/s")
        for name, most in (("em", 1.1), ("em, belief: evaluation", None)):
            cost = ratios(seconds[name], seconds["masks"])
            yield Row(f"a step of learn: {name} / learn: masks", cost, "×", most=most)


def _seconds(em: Em) -> dict[str, tuple[float, ...]]:
    keep_memory()  # as `wsseg train`
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_scans(folder, em.sizes, PREFETCHED + em.steps + 1)
        fits = {learn: fit(learn, em.sizes, folder) for learn in LEARN}
        ways = {learn: partial(_steps, each, em.steps) for learn, each in fits.items()}
        return told_by_turns(ways, em.repeats)


def _steps(fit: Trainer, number: int) -> float:
    return take_steps(fit, number).seconds
