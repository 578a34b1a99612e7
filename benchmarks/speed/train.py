"""A training step, beside plain PyTorch and the machine's limit."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.speed.limits import GIGA, MatrixProduct
from benchmarks.speed.paper import (
    AUGMENT,
    LOADERS,
    PAPER,
    RATE,
    Sizes,
    fit,
    flop_a_slice,
    scans,
    take_steps,
    warm_augmentation,
    write_scans,
)
from benchmarks.speed.plain_training import PlainStep, PlainUNet
from benchmarks.speed.timing import REPEATS, Row, by_turns, new_process, rates, ratios
from wsseg.data.slices import Slices, batches_of, epoch_draws, loader
from wsseg.machine import keep_memory


@dataclass(frozen=True)
class Train:
    """The paper's UNet, learning from masks with a batch of 16; augmentation and loading included.

    wsseg's own `Fit` beside plain PyTorch (NCHW, float32, eager; the same network, loss,
    augmentation and loader, written out in `plain_training.py`), each in a process of its own.
    FLOP are those of the convolutions, forward and backward, counted by torch; the limit is the
    matrix product in bfloat16. A turn starts the loader anew; the share of a step that waits for
    its batch is that of the turn's last step.
    """

    sizes: Sizes = PAPER
    steps: int = 2
    n: int = 4096
    repeats: int = REPEATS

    def measure(self) -> Iterator[Row]:
        """Yield the rates, their ratios and the share of a step that waits for data."""
        product = MatrixProduct(self.n, torch.bfloat16)
        seconds, waits = self._seconds(product)
        slices = self.steps * self.sizes.batch
        for name in ("wsseg", "plain PyTorch"):
            yield Row(f"training, {name}", rates(slices, seconds[name]), "slices/s")
        gain = ratios(seconds["plain PyTorch"], seconds["wsseg"])
        yield Row("training, wsseg / plain PyTorch", gain, "×", least=3)
        work = rates(slices * flop_a_slice(self.sizes) / GIGA, seconds["wsseg"])
        limit = rates(product.flop / GIGA, seconds["limit"])
        yield Row("training, wsseg, products and sums", work, "GFLOP/s")
        share = tuple(100 * each for each in ratios(work, limit))
        yield Row("training, share of the matrix product's rate", share, "%", least=75)
        yield Row("training, share of a step that waits for its batch", waits, "%", most=5)

    def _seconds(
        self, product: MatrixProduct
    ) -> tuple[dict[str, tuple[float, ...]], tuple[float, ...]]:
        waits: list[float] = []
        with TemporaryDirectory() as name, new_process() as ours, new_process() as theirs:
            folder = Path(name)
            write_scans(folder, self.sizes, self.steps + 1)
            seconds = by_turns(
                {
                    "limit": product,
                    "wsseg": lambda: waits.append(
                        ours.submit(_wsseg, self.sizes, folder, self.steps).result()
                    ),
                    "plain PyTorch": lambda: theirs.submit(
                        _plain, self.sizes, folder, self.steps
                    ).result(),
                },
                self.repeats,
            )
        return seconds, tuple(waits[1:])


def _wsseg(sizes: Sizes, folder: Path, steps: int) -> float:
    """Take steps; return the percentage of the last one that waited for its batch."""
    keep_memory()  # as `wsseg train`
    last = take_steps(fit("masks", sizes, folder), steps)
    return 100 * last.waited_s / last.seconds


@cache
def _plain_step(sizes: Sizes) -> PlainStep:
    warm_augmentation()
    return PlainStep(PlainUNet(sizes.slices, 1, sizes.width), RATE)


def _plain(sizes: Sizes, folder: Path, steps: int) -> None:
    step = _plain_step(sizes)
    own = list(scans(folder, labels=True))
    draws = batches_of([epoch_draws(own, "uniform", 0, 0)], sizes.batch)[:steps]
    for batch, labels in loader(Slices(own, sizes.input, AUGMENT), draws, LOADERS):
        step(batch.image, batch.region, labels)
