"""What torch.compile would gain, and cost."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.paper import PAPER, Sizes, network
from benchmarks.speed.timing import REPEATS, Row, by_turns, in_new_process, ratios
from wsseg.inference.fusion import fused
from wsseg.inference.stage_prediction import BATCH_SLICES
from wsseg.runtime.device import keep_memory


@dataclass(frozen=True)
class Compiled:
    """The paper's network as wsseg runs it, and through torch.compile: nothing is asked.

    Forward and backward pass on a batch of 16, and prediction of 4 slices, in bfloat16. Compiling
    is the first call of both, without what an earlier run may have left in a cache. wsseg compiles
    nothing.
    """

    sizes: Sizes = PAPER
    repeats: int = REPEATS

    def measure(self) -> Iterator[Row]:
        """Yield the seconds with and without, and what compiling takes; needs a C++ compiler."""
        if shutil.which("g++") is None and shutil.which("clang++") is None:
            yield Row("C++ compilers on this machine, without which nothing compiles", (0,), "")
            return
        yield from in_new_process(_rows, self)


class _Passes:
    """Runs a network on one batch, and one for prediction on a few slices of it."""

    def __init__(self, net: nn.Module, ready: nn.Module, image: Tensor) -> None:
        self._net, self._ready, self._image = net, ready, image

    def step(self) -> None:
        self._net.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits: Tensor = self._net(self._image)
        torch.autograd.backward(logits.float().mean())

    @torch.inference_mode()
    def predict(self) -> None:
        self._ready.eval()
        with torch.autocast("cpu", torch.bfloat16):
            self._ready(self._image[:BATCH_SLICES])


def _rows(sizes: Compiled) -> list[Row]:
    keep_memory()  # as `wsseg train`
    settings: Any = torch.compiler.config
    settings.force_disable_caches = True
    image = torch.zeros(sizes.sizes.batch, sizes.sizes.slices, *[sizes.sizes.pixels] * 2)
    image = image.to(memory_format=torch.channels_last)
    net = network(sizes.sizes)
    eager = _Passes(net, fused(net), image)
    net = network(sizes.sizes)
    net.compile()
    fast = _Passes(net, net, image)
    started = perf_counter()
    fast.step()
    fast.predict()
    compiling = perf_counter() - started
    rows = [Row("compiling step and prediction", (compiling,), "s")]
    for what in ("step", "predict"):
        ways = {"eager": getattr(eager, what), "compiled": getattr(fast, what)}
        seconds = by_turns(ways, sizes.repeats)
        rows += [Row(f"{what}, {name}", each, "s") for name, each in seconds.items()]
        rows.append(
            Row(f"{what}, compiled / eager", ratios(seconds["compiled"], seconds["eager"]), "×")
        )
        saved = rows[-3].value - rows[-2].value
        if saved > 0:
            rows.append(Row(f"{what}s after which compiling has paid", (compiling / saved,), ""))
    return rows
