"""Inference and training with MONAI, also with the settings of nnU-Net."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.gpu.agreement import SIZES
from benchmarks.gpu.device import device, peak_gib, time_calls_in_turns
from benchmarks.gpu.prediction import PlainPrediction
from benchmarks.gpu.steps import CoreStep, LabelledBatch, noise_batch
from benchmarks.gpu.trained import trained_run
from benchmarks.roofline import roofline
from benchmarks.speed import paper, phantom_run
from benchmarks.speed.empty_cache import empty_cache
from benchmarks.speed.limits import GIGA
from benchmarks.speed.plain_training import FILL_HU, SCALE_HU
from benchmarks.speed.prediction import batch_of, logits_in_parts
from benchmarks.speed.timing import Measurement, rates, ratios
from wsseg.runtime.memory_format import to_channels_last

MIRRORED_AXES = ((), (2,), (3,), (2, 3))
LEVELS = 7  # of nnU-Net's plan for 256 x 256 pixels
MOST_CHANNELS = 512


@dataclass(frozen=True)
class Peers:
    """Slices on the card to their logits, and training steps, in wsseg and with MONAI.

    All run the network and weights of wsseg on the same 8 slices. MONAI's sliding-window inferer
    has a window as large as a slice, in float32 with PyTorch's defaults and in bfloat16 with
    channels_last, or windows as in nnU-Net: half the sides, overlap of a half, Gaussian weights,
    and the mean over four mirrored images. Training as in nnU-Net: MONAI's DynUNet, instance norm,
    Dice and cross-entropy, SGD with Nesterov momentum, in bfloat16, without deep supervision. It is
    another network; the table shows the operations per slice of both.
    """

    run: phantom_run.Sizes = field(default_factory=lambda: SIZES)
    training: paper.Sizes = paper.PAPER
    steps: int = 10
    repeats: int = 3

    def measure(self) -> Iterator[Measurement]:
        """Yield times, rates and ratios."""
        yield from self._inference()
        yield from self._training()

    def _inference(self) -> Iterator[Measurement]:
        trained = trained_run(self.run)
        run = trained.open("bfloat16")
        with empty_cache():
            batch = batch_of(run, trained.case).to(device())
        full_slices, network = phantom_run.without_cropping(run), PlainPrediction(run).network
        image, side = batch.image[:, 0].contiguous(), self.run.size
        fast = partial(_in_bfloat16, to_channels_last(deepcopy(network)), batch.image[:, 0])
        alternatives: dict[str, Callable[[], object]] = {
            "wsseg": partial(logits_in_parts, run, batch),
            "wsseg, not cropped": partial(logits_in_parts, full_slices, batch),
            "plain PyTorch, float32": partial(network, image),
            "MONAI, window as large as a slice, float32": partial(slide, network, image, side),
            "MONAI, window as large as a slice, bfloat16": partial(fast, partial(slide, side=side)),
            "MONAI, as in nnU-Net, bfloat16": partial(fast, partial(slide_mirrored, side=side)),
        }
        with torch.inference_mode():
            seconds = time_calls_in_turns(alternatives, self.steps, self.repeats)
        for name, each in seconds.items():
            yield Measurement(f"{len(image)} slices, {name}", each, "s")
        for name, each in seconds.items():
            if not name.startswith("wsseg"):
                gain = ratios(each, seconds["wsseg"])
                yield Measurement(f"{name} / wsseg", gain, "×")

    def _training(self) -> Iterator[Measurement]:
        batch = noise_batch(self.training).to(device())
        ours = CoreStep("masks", self.training, device(), torch.bfloat16)
        alternatives: dict[str, Callable[[], object]] = {
            "wsseg, without its trainer": partial(ours, batch),
            "MONAI, as in nnU-Net": partial(DynUNetStep(self.training), batch),
        }
        seconds = time_calls_in_turns(alternatives, self.steps, self.repeats)
        for name, step in alternatives.items():
            rate = rates(self.training.batch, seconds[name])
            yield Measurement(f"training, {name}", rate, "slices/s")
            flop = roofline(step).flop / self.training.batch / GIGA
            yield Measurement(f"training, {name}, operations of a slice", (flop,), "GFLOP")
            yield Measurement(f"training, {name}, peak memory", (peak_gib(step),), "GiB")


class DynUNetStep:
    """Optimiser steps with MONAI's DynUNet and the settings of nnU-Net."""

    def __init__(self, sizes: paper.Sizes) -> None:
        from monai.networks.nets.dynunet import DynUNet

        strides = [1] + [2] * (min(LEVELS, sizes.pixels.bit_length() - 2) - 1)
        filters = [min(sizes.width * 2**level, MOST_CHANNELS) for level in range(len(strides))]
        kernels = [3] * len(strides)
        network = DynUNet(
            2, sizes.slices, 1, kernels, strides, strides[1:], filters, norm_name="instance"
        )
        self._network = network.to(device()).to(memory_format=torch.channels_last).train()
        self._optimizer = torch.optim.SGD(
            network.parameters(), lr=0.01, momentum=0.99, nesterov=True, weight_decay=3e-5
        )

    def __call__(self, labelled: LabelledBatch) -> Tensor:
        """Take a step and return its loss, on the device."""
        image, y = (labelled.batch.image[:, 0] - FILL_HU) / SCALE_HU, labelled.labels
        with torch.autocast(device().type, torch.bfloat16):
            logits: Tensor = self._network(image)
        logits = logits.float()
        f = logits.sigmoid()
        dice = (2 * (f * y).sum((0, 2, 3)) + 1e-5) / ((f + y).sum((0, 2, 3)) + 1e-5)
        loss = F.binary_cross_entropy_with_logits(logits, y) - dice.mean()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return loss.detach()


def slide(network: nn.Module, image: Tensor, side: int, **settings: Any) -> Tensor:
    """Run a network in MONAI's windows of `side` x `side` pixels."""
    from monai.inferers.inferer import SlidingWindowInferer

    inferer = SlidingWindowInferer((side, side), sw_batch_size=len(image), **settings)
    logits = inferer(image, network)
    assert isinstance(logits, Tensor)  # noqa: S101
    return logits


def slide_mirrored(network: nn.Module, image: Tensor, side: int) -> Tensor:
    """Run a network as nnU-Net does: overlapping windows, and the mean over mirrored images."""
    sliding = partial(slide, network, side=side // 2, overlap=0.5, mode="gaussian")
    return torch.stack([sliding(image.flip(axes)).flip(axes) for axes in MIRRORED_AXES]).mean(0)


def _in_bfloat16(
    network: nn.Module, image: Tensor, infer: Callable[[nn.Module, Tensor], Tensor]
) -> Tensor:
    with torch.autocast(device().type, torch.bfloat16):
        return infer(network, image)
