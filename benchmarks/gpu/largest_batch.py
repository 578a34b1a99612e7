"""Larger batches, up to the largest that fits on the card."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.gpu.device import device, free_memory, peak_gib, time_calls_in_turns
from benchmarks.gpu.steps import CoreStep, LabelledBatch, noise_batch
from benchmarks.speed.paper import PAPER, Sizes
from benchmarks.speed.timing import Measurement, rates


@dataclass(frozen=True)
class LargestBatch:
    """Steps of the paper's UNet in bfloat16 on batches of 16, 32, 64, ... slices on the card.

    The steps are those of wsseg without its trainer. The last batch is the largest that fits, or
    the largest that is tried.
    """

    sizes: Sizes = PAPER
    doublings: int = 6  # 16 to 1024 slices
    steps: int = 2
    repeats: int = 3

    def measure(self) -> Iterator[Measurement]:
        """Yield the rate and the peak memory of each batch."""
        batch = noise_batch(self.sizes).to(device())
        fitting = 0
        for doubling in range(self.doublings + 1):
            try:
                yield from self._step(batch.repeated(2**doubling))
            except torch.OutOfMemoryError:
                break
            fitting = self.sizes.batch * 2**doubling
        free_memory()
        yield Measurement("largest batch that fits", (fitting,), "slices")

    def _step(self, batch: LabelledBatch) -> Iterator[Measurement]:
        step = partial(CoreStep("masks", self.sizes, device(), torch.bfloat16), batch)
        memory, size = peak_gib(step), len(batch.labels)
        seconds = time_calls_in_turns({"step": step}, self.steps, self.repeats)["step"]
        yield Measurement(f"batch of {size}, training", rates(size, seconds), "slices/s")
        yield Measurement(f"batch of {size}, peak memory", (memory,), "GiB")
