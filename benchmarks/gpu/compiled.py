"""Gain and cost of torch.compile on the card."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import torch

from benchmarks.gpu.device import device, synchronize, time_calls_in_turns
from benchmarks.gpu.steps import CoreStep, noise_batch
from benchmarks.speed.paper import PAPER, Sizes
from benchmarks.speed.timing import Measurement, ratios


@dataclass(frozen=True)
class Compiled:
    """The paper's network with torch.compile, which wsseg does not use, and without.

    A training step of wsseg without its trainer on 16 slices, in bfloat16. The time of compiling is
    that of the first step, without caches of earlier runs.
    """

    sizes: Sizes = PAPER
    steps: int = 10
    repeats: int = 3

    def measure(self) -> Iterator[Measurement]:
        """Yield the seconds with and without compiling, and of compiling; needs a C compiler."""
        if not any(map(shutil.which, ("cc", "gcc", "g++", "clang", "clang++"))):
            yield Measurement(
                "C compilers on this machine, without which nothing compiles", (0,), ""
            )
            return
        settings: Any = torch.compiler.config
        settings.force_disable_caches = True
        batch = noise_batch(self.sizes).to(device())
        eager, compiled = (
            CoreStep("masks", self.sizes, device(), torch.bfloat16) for _ in range(2)
        )
        compiled.network.compile()
        started = perf_counter()
        compiled(batch)
        synchronize()
        compiling = perf_counter() - started
        yield Measurement("compiling a training step", (compiling,), "s")
        alternatives = {"eager": partial(eager, batch), "compiled": partial(compiled, batch)}
        seconds = time_calls_in_turns(alternatives, self.steps, self.repeats)
        for name, each in seconds.items():
            yield Measurement(f"training step, {name}", each, "s")
        gain = ratios(seconds["eager"], seconds["compiled"])
        yield Measurement("training step, eager / compiled", gain, "×")
