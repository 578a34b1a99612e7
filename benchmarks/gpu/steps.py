"""Training steps on batches that are on the device: by the functions of wsseg, and without it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.device import device
from benchmarks.speed.paper import LABELLED_HU, RATE, Sizes, network, stage_of
from benchmarks.speed.plain_training import FILL_HU, HIGHEST_HU, SCALE_HU, PlainUNet
from wsseg.core.batch import Batch, StepContext
from wsseg.training.em import Networks, forward, targets
from wsseg.training.optimizer import new_optimizer


@dataclass(frozen=True)
class LabelledBatch:
    """A batch of slices of noise, and their labels."""

    batch: Batch
    labels: Tensor  # (B, 1, H, W)

    def to(self, where: torch.device) -> "LabelledBatch":
        """Return the batch with its tensors on a device."""
        return LabelledBatch(self.batch.to(where), self.labels.to(where, non_blocking=True))

    def repeated(self, times: int) -> "LabelledBatch":
        """Return a larger batch, of the same slices several times."""

        def repeat(tensor: Tensor) -> Tensor:
            return torch.cat([tensor] * times)  # keeps the memory format

        batch = self.batch
        return LabelledBatch(
            Batch(repeat(batch.image[:, 0])[:, None], repeat(batch.region), repeat(batch.tags)),
            repeat(self.labels),
        )


def noise_batch(sizes: Sizes, seed: int = 0, dtype: torch.dtype = torch.float32) -> LabelledBatch:
    """Return a batch as `write_scans` and loading make them, on the CPU; half of it is region."""
    generator = torch.Generator().manual_seed(seed)
    shape = (sizes.batch, sizes.pixels, sizes.pixels, sizes.slices)
    share = torch.rand(shape, generator=generator, dtype=dtype)
    image = (FILL_HU + (HIGHEST_HU - FILL_HU) * share).permute(0, 3, 1, 2)
    region = torch.zeros(sizes.batch, 1, sizes.pixels, sizes.pixels, dtype=torch.bool)
    region[:, :, sizes.pixels // 4 : -sizes.pixels // 4] = True
    batch = Batch(image[:, None], region, tags=torch.ones(sizes.batch, 1, dtype=torch.bool))
    return LabelledBatch(batch, (batch.middle > LABELLED_HU).to(dtype))


class CoreStep:
    """Optimiser steps by the functions of wsseg that its trainer calls, without the trainer."""

    def __init__(self, learn: str, sizes: Sizes, where: torch.device, dtype: torch.dtype) -> None:
        """Start from the random weights of `network`. Autocast is to `dtype`, unless float64."""
        self.stage = stage_of(learn, sizes)
        self.network: nn.Module = network(sizes).to(where)
        if dtype == torch.float64:
            self.network.double()
        self.optimizer = new_optimizer(self.stage.optimizer, self.network, encoder=None)
        # each weight is used once in a pass, so that its copy in another precision is not kept
        self._autocast: Callable[[], Any] = partial(
            torch.autocast,
            where.type,
            dtype,
            enabled=dtype == torch.bfloat16,
            cache_enabled=False,
        )

    def __call__(self, labelled: LabelledBatch) -> Tensor:
        """Take a step and return its loss, on the device."""
        batch = labelled.batch
        with self._autocast():
            outputs = forward(self.stage, Networks(self.network), batch)
            y = targets(self.stage, batch, labelled.labels, outputs.e_step, StepContext(0))
        loss = self.stage.objective(outputs.m_step, y, batch, StepContext(0))
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()


class EagerStep:
    """Optimiser steps in plain PyTorch: the same network, loss and optimiser without wsseg."""

    def __init__(self, sizes: Sizes, dtype: torch.dtype, layout: torch.memory_format) -> None:
        """Start from random weights; autocast is to `dtype`, unless float32."""
        where = device()
        network = PlainUNet(sizes.slices, 1, sizes.width).to(where).to(memory_format=layout)
        self.network, self._layout = network.train(), layout
        self._optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        self._autocast: Callable[[], Any] = partial(
            torch.autocast, where.type, dtype, enabled=dtype == torch.bfloat16
        )

    def __call__(self, labelled: LabelledBatch) -> Tensor:
        """Take a step and return its loss: the mean of 1 - smooth Dice over images."""
        region, y = labelled.batch.region, labelled.labels * labelled.batch.region
        image = labelled.batch.image[:, 0].contiguous(memory_format=self._layout)
        with self._autocast():
            logits = self.network((image.clamp(FILL_HU, HIGHEST_HU) - FILL_HU) / SCALE_HU)
        f = logits.float().sigmoid() * region
        overlap, total = (f * y).sum((2, 3)), (f + y).sum((2, 3))
        loss: Tensor = (1 - (2 * overlap + 1) / (total + 1)).mean()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return loss.detach()
