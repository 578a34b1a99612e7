"""The training step as it would be written first: plain PyTorch, NCHW, float32, eager."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

FILL_HU, HIGHEST_HU, SCALE_HU = -1024, 160, 110
SLOPE = 0.2


class PlainUNet(nn.Module):
    """The UNet of Wu 2020: what wsseg-covid's AdditiveUNet is, its modules in the same order."""

    def __init__(self, slices: int, classes: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        downward, upward = list(pairwise([slices, *widths[:-1]])), list(pairwise(widths[::-1]))
        self.enter = nn.ModuleList(_convolution(before, after) for before, after in downward)
        self.halve = nn.ModuleList(_convolution(w, w, stride=2) for w in widths[:-1])
        self.bottom = nn.Sequential(_convolution(*widths[-2:]), _convolution(*widths[-1:] * 2))
        self.join = nn.ModuleList(_Joined(deep, shallow) for deep, shallow in upward)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, S, H, W), normalised, to logits (B, K, H, W); sides are multiples of 16."""
        skips: list[Tensor] = []
        for enter, halve in zip(self.enter, self.halve, strict=True):
            skips.append(enter(x))
            x = halve(skips[-1])
        x = self.bottom(x)
        for join in self.join:
            x = join(x, skips.pop())
        logits: Tensor = self.head(x)
        return logits


class _Joined(nn.Module):
    def __init__(self, deep: int, shallow: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(deep, shallow, 2, stride=2)
        self.convolve = nn.Sequential(
            _convolution(shallow, shallow), _convolution(shallow, shallow)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.convolve(self.up(x) + skip)
        return joined


class PlainStep:
    """One optimiser step of a network that was just built."""

    def __init__(self, network: nn.Module, lr: float) -> None:
        self._network = network.train()
        self._optimizer = torch.optim.Adam(network.parameters(), lr=lr)

    def __call__(self, image: Tensor, region: Tensor, labels: Tensor) -> float:
        """Step; return the loss, 1 - smooth Dice an image."""
        x = (image.clamp(FILL_HU, HIGHEST_HU) - FILL_HU) / SCALE_HU
        f = self._network(x.contiguous()).sigmoid() * region
        y = labels * region
        overlap, total = (f * y).sum((2, 3)), (f + y).sum((2, 3))
        loss = (1 - (2 * overlap + 1) / (total + 1)).mean()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        return float(loss.detach())


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    layers: list[Any] = [
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.LeakyReLU(SLOPE, inplace=True),
    ]
    return nn.Sequential(*layers)
