"""Training with encoders and architectures of segmentation-models-pytorch."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from benchmarks.roofline import GROUPED, Roofline, roofline
from benchmarks.speed.limits import GIGA
from benchmarks.speed.roofline_shares import PERCENT
from benchmarks.speed.timing import REPEATS, Measurement, in_new_process, rates, time_in_turns
from wsseg.components.backbones import Smp
from wsseg.runtime.device import keep_memory, used_precision
from wsseg.runtime.memory_format import to_channels_last

ALONE = "encoder alone"


@dataclass(frozen=True)
class Encoders:
    """Training steps with a batch of 8 slices, in channels-last, in the precision of wsseg.

    The networks are those of `backbone: {use: smp}` with random weights. "Encoder alone" has a
    1 x 1 convolution at 1/32 of the resolution instead of a decoder. GFLOP are those of
    convolutions, forward and backward; loading is not included. The last rows are measured
    operation by operation in one step of each network.

    They tell where the time of an encoder with depthwise convolutions, such as mobilenet_v2, goes:
    the GFLOP of a network minus those of its encoder alone are those of its decoder, which the
    architecture determines. pspnet uses only the first three of the encoder's five levels.
    """

    pixels: int = 256  # side length
    batch: int = 8
    encoders: tuple[str, ...] = ("mobilenet_v2", "resnet18")
    architectures: tuple[str, ...] = (ALONE, "pspnet", "linknet", "fpn", "unet")
    repeats: int = REPEATS

    def measure(self) -> Iterator[Measurement]:
        """Yield the rate and the operations of each network."""
        seconds, computed = in_new_process(_train, self)
        for name, each in seconds.items():
            yield Measurement(f"training, {name}", rates(self.batch, each), "slices/s")
        for name, work in computed.items():
            yield Measurement(f"a slice, {name}", (work.flop / GIGA / self.batch,), "GFLOP")
        for name, work in computed.items():
            grouped = Roofline([each for each in work.operations if GROUPED in each.name])
            if grouped.operations:
                share = PERCENT * grouped.seconds / work.seconds
                yield Measurement(f"time in depthwise convolutions, {name}", (share,), "%")


class EncoderAlone(nn.Module):
    """An encoder and a 1 x 1 convolution of its deepest features, without a decoder."""

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.encoder: nn.Module = smp.encoders.get_encoder(encoder, in_channels=1, weights=None)
        self.head = nn.LazyConv2d(1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits at 1/32 of the resolution."""
        logits: Tensor = self.head(self.encoder(image)[-1])
        return logits


class Step:
    """Optimiser steps on the same batch of noise; the loss is the mean of the squared logits."""

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        self._image = image
        with torch.no_grad():
            network.train()(image)  # makes lazy layers
        self._network = to_channels_last(network)
        self._optimizer = torch.optim.Adam(network.parameters())

    def __call__(self) -> None:
        """Take a step."""
        bfloat16 = used_precision("auto") == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = self._network(self._image)
        torch.autograd.backward(logits.float().square().mean())
        self._optimizer.step()
        self._optimizer.zero_grad()


def _train(subject: Encoders) -> tuple[dict[str, tuple[float, ...]], dict[str, Roofline]]:
    """Return the seconds of a step of each network, and its operations."""
    keep_memory()  # as `wsseg train`
    image = torch.randn(subject.batch, 1, subject.pixels, subject.pixels)
    steps = {
        f"{encoder}, {architecture}": Step(_network(encoder, architecture), image)
        for encoder, architecture in product(subject.encoders, subject.architectures)
    }
    seconds = time_in_turns(steps, subject.repeats)
    return seconds, {name: roofline(step) for name, step in steps.items()}


def _network(encoder: str, architecture: str) -> nn.Module:
    if architecture == ALONE:
        return EncoderAlone(encoder)
    return Smp(architecture=architecture, encoder=encoder).build(1, 1)
