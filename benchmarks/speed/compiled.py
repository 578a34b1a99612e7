"""Gain and cost of torch.compile."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.paper import PAPER, Sizes, network
from benchmarks.speed.timing import REPEATS, Measurement, in_new_process, ratios, time_in_turns
from wsseg.inference.fusion import fused
from wsseg.inference.stage_prediction import BATCH_SLICES
from wsseg.runtime.device import keep_memory, used_precision


@dataclass(frozen=True)
class Compiled:
    """The paper's network as wsseg runs it, and with torch.compile, which wsseg does not use.

    Forward and backward pass on a batch of 16, and prediction of 4 slices, in the precision of
    wsseg. The time of compiling is that of the first call of both, without caches of earlier runs.
    There is no requirement.
    """

    sizes: Sizes = PAPER
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield the seconds with and without compiling, and of compiling; needs a C++ compiler."""
        if shutil.which("g++") is None and shutil.which("clang++") is None:
            yield Measurement(
                "C++ compilers on this machine, without which nothing compiles", (0,), ""
            )
            return
        yield from in_new_process(_measurements, self)


class _Passes:
    """Runs a network on a batch, and a network for prediction on a few slices of it."""

    def __init__(self, net: nn.Module, predictor: nn.Module, image: Tensor) -> None:
        self._net, self._predictor, self._image = net, predictor, image
        self._bfloat16 = used_precision("auto") == "bfloat16"

    def step(self) -> None:
        self._net.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            logits: Tensor = self._net(self._image)
        torch.autograd.backward(logits.float().mean())

    @torch.inference_mode()
    def predict(self) -> None:
        self._predictor.eval()
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            self._predictor(self._image[:BATCH_SLICES])


def _measurements(subject: Compiled) -> list[Measurement]:
    keep_memory()  # as `wsseg train`
    settings: Any = torch.compiler.config
    settings.force_disable_caches = True
    image = torch.zeros(subject.sizes.batch, subject.sizes.slices, *[subject.sizes.pixels] * 2)
    image = image.to(memory_format=torch.channels_last)[:, None]
    net = network(subject.sizes)
    eager = _Passes(net, fused(net), image)
    net = network(subject.sizes)
    net.compile()
    compiled = _Passes(net, net, image)
    started = perf_counter()
    compiled.step()
    compiled.predict()
    compiling = perf_counter() - started
    rows = [Measurement("compilation of step and prediction", (compiling,), "s")]
    for what in ("step", "predict"):
        alternatives = {"eager": getattr(eager, what), "compiled": getattr(compiled, what)}
        seconds = time_in_turns(alternatives, subject.repeats)
        rows += [Measurement(f"{what}, {name}", each, "s") for name, each in seconds.items()]
        rows.append(
            Measurement(
                f"{what}, compiled / eager", ratios(seconds["compiled"], seconds["eager"]), "×"
            )
        )
        saved = rows[-3].value - rows[-2].value
        if saved > 0:
            rows.append(
                Measurement(f"{what}s until compilation pays off", (compiling / saved,), "")
            )
    return rows
