"""A training step in plain PyTorch: NCHW, float32, eager."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

FILL_HU, HIGHEST_HU, SCALE_HU = -1024, 160, 110
SLOPE = 0.2


class PlainUNet(nn.Module):
    """The UNet of Wu 2020, with the modules of AdditiveUNet of wsseg-covid in the same order."""

    def __init__(self, slices: int, classes: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        downward, upward = list(pairwise([slices, *widths[:-1]])), list(pairwise(widths[::-1]))
        self.enter = nn.ModuleList(_convolution(before, after) for before, after in downward)
        self.halve = nn.ModuleList(_convolution(w, w, stride=2) for w in widths[:-1])
        self.bottom = nn.Sequential(_convolution(*widths[-2:]), _convolution(*widths[-1:] * 2))
        self.join = nn.ModuleList(_Join(deep, shallow) for deep, shallow in upward)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images (B, S, H, W) to logits (B, K, H, W); 16 divides H and W."""
        skips: list[Tensor] = []
        for enter, halve in zip(self.enter, self.halve, strict=True):
            skips.append(enter(x))
            x = halve(skips[-1])
        x = self.bottom(x)
        for join in self.join:
            x = join(x, skips.pop())
        logits: Tensor = self.head(x)
        return logits


class _Join(nn.Module):
    def __init__(self, deep: int, shallow: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(deep, shallow, 2, stride=2)
        self.convolve = nn.Sequential(
            _convolution(shallow, shallow), _convolution(shallow, shallow)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        output: Tensor = self.convolve(self.up(x) + skip)
        return output


class PlainStep:
    """Training steps of a new network."""

    def __init__(self, network: nn.Module, lr: float) -> None:
        self._network = network.train()
        self._optimizer = torch.optim.Adam(network.parameters(), lr=lr)

    def __call__(self, image: Tensor, region: Tensor, labels: Tensor) -> float:
        """Make a step and return the loss, the mean of 1 - smooth Dice over images."""
        x = (image.clamp(FILL_HU, HIGHEST_HU) - FILL_HU) / SCALE_HU
        f = self._network(x.contiguous()).sigmoid() * region
        y = labels * region
        overlap, total = (f * y).sum((2, 3)), (f + y).sum((2, 3))
        loss = (1 - (2 * overlap + 1) / (total + 1)).mean()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return float(loss.detach())


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    layers: list[Any] = [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(SLOPE, inplace=True),
    ]
    return nn.Sequential(*layers)
