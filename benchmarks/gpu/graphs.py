"""CUDA graphs, which launch all kernels of a step at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.gpu.device import device, has_gpu, time_calls_in_turns
from benchmarks.gpu.steps import CoreStep, noise_batch
from benchmarks.speed.paper import PAPER, Sizes, network
from benchmarks.speed.timing import Measurement, ratios
from wsseg.inference.fusion import fused
from wsseg.inference.stage_prediction import BATCH_SLICES

WARM_UP = 3  # calls before a capture, as torch's documentation asks


@dataclass(frozen=True)
class Graphs:
    """Steps and predictions with CUDA graphs, which wsseg does not use, and without.

    A training step of wsseg without its trainer on 16 slices, and prediction of 4 slices with the
    network that wsseg predicts with, in bfloat16. The batches are on the card.
    """

    sizes: Sizes = PAPER
    steps: int = 10
    repeats: int = 3

    def measure(self) -> Iterator[Measurement]:
        """Yield seconds and ratios; needs a GPU."""
        if not has_gpu():
            yield Measurement("GPUs of this machine, without which there are no graphs", (0,), "")
            return
        yield from self._compared(f"prediction of {BATCH_SLICES} slices", prediction(self.sizes))
        yield from self._compared("training step", capturable_step(self.sizes))

    def _compared(self, name: str, function: Callable[[], object]) -> Iterator[Measurement]:
        alternatives = {"eager": function, "graph": captured(function)}
        seconds = time_calls_in_turns(alternatives, self.steps, self.repeats)
        for how, each in seconds.items():
            yield Measurement(f"{name}, {how}", each, "s")
        gain = ratios(seconds["eager"], seconds["graph"])
        yield Measurement(f"{name}, eager / graph", gain, "×")


def captured(function: Callable[[], object]) -> Callable[[], None]:
    """Return a function that replays the kernels of `function` as a CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def capturable_step(sizes: Sizes) -> Callable[[], Tensor]:
    """Return a training step whose optimiser counts its steps on the card."""
    step = CoreStep("masks", sizes, device(), torch.bfloat16)
    for group in step.optimizer.param_groups:
        group["capturable"] = True
    return partial(step, noise_batch(sizes).to(device()))


def prediction(sizes: Sizes) -> Callable[[], Tensor]:
    """Return the prediction of a few slices with the fused network."""
    net: nn.Module = fused(network(sizes)).to(device())
    image = noise_batch(replace(sizes, batch=BATCH_SLICES)).batch.image.to(device())

    @torch.inference_mode()
    def predict() -> Tensor:
        with torch.autocast(device().type, torch.bfloat16, cache_enabled=False):
            logits: Tensor = net(image)
        return logits

    return predict
