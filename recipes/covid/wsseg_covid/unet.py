"""The UNet of Wu 2020, and its variant in the published code.

Every 3x3 convolution is followed by batch norm and an activation. On each of four levels: a
convolution, the skip leaves here, a convolution with stride 2. Then the bottom, the fifth level.
Up again: a transposed convolution, the skip joins, two convolutions. The variants differ in how
the skip joins, in the bottom and in the activation.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Annotated, ClassVar, TypeAlias, final

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg import Backbone
from wsseg.tools import Padded

LEVELS = 5
MULTIPLE = 2 ** (LEVELS - 1)  # what the sides of an image are padded to: each level but one halves

Activation: TypeAlias = Callable[[], nn.Module]


@final
class AdditiveUNet(Backbone):
    """The UNet of Wu 2020, section II-B: skips are added, leaky ReLU.

    Its levels have `width`, 2, 4, 8 and 16 `width` channels. With 7 slices, 1 class and width 32:
    6,980,833 parameters, and 15.8 GFLOP (2 a multiplication and addition) for 256 x 256 pixels.
    The paper is silent about `slope`; its authors' file has 0.2.
    """

    local: ClassVar[bool] = True
    width: PositiveInt = Field(default=32, examples=[4])
    slope: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def build(self, slices: int, classes: int) -> nn.Module:
        """Return a new module with He's random weights."""
        activation = partial(nn.LeakyReLU, self.slope, inplace=True)
        widths = _widths(self.width)
        bottom = nn.Sequential(
            _convolution(widths[-2], widths[-1], activation),
            _convolution(widths[-1], widths[-1], activation),
        )
        net = _UNet(slices, classes, widths, bottom=bottom, join=_Added, activation=activation)
        return Padded(_initialised(net, self.slope), MULTIPLE)


@final
class ConcatUNet(Backbone):
    """The UNet of the published code of Wu 2020: skips are concatenated, ReLU.

    There, the second convolution of the last level has weights but no use; here it is absent.
    """

    local: ClassVar[bool] = True
    width: PositiveInt = Field(default=32, examples=[4])

    def build(self, slices: int, classes: int) -> nn.Module:
        """Return a new module with He's random weights."""
        activation = partial(nn.ReLU, inplace=True)
        widths = _widths(self.width)
        bottom = _convolution(widths[-2], widths[-1], activation)
        net = _UNet(
            slices, classes, widths, bottom=bottom, join=_Concatenated, activation=activation
        )
        return Padded(_initialised(net, slope=0), MULTIPLE)


class _UNet(nn.Module):
    def __init__(
        self,
        slices: int,
        classes: int,
        widths: list[int],
        *,
        bottom: nn.Module,
        join: Callable[[int, int, Activation], nn.Module],
        activation: Activation,
    ) -> None:
        super().__init__()
        self.enter = nn.ModuleList(
            _convolution(before, width, activation)
            for before, width in pairwise([slices, *widths[:-1]])
        )
        self.halve = nn.ModuleList(
            _convolution(width, width, activation, stride=2) for width in widths[:-1]
        )
        self.bottom = bottom
        self.join = nn.ModuleList(
            join(deep, shallow, activation) for deep, shallow in pairwise(widths[::-1])
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for enter, halve in zip(self.enter, self.halve, strict=True):
            skips.append(enter(x))
            x = halve(skips[-1])
        x = self.bottom(x)
        for join in self.join:
            x = join(x, skips.pop())
        logits: Tensor = self.head(x)
        return logits


@final
class _Doubled(nn.ConvTranspose2d):
    """A transposed convolution of 2 x 2 with stride 2."""

    def __init__(self, deep: int, shallow: int) -> None:
        super().__init__(deep, shallow, kernel_size=2, stride=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not torch.is_grad_enabled() or self.bias is None:
            return super().forward(x, output_size)
        # The bias on its own: on a CPU, torch takes longer for its gradient here than for the rest.
        up = F.conv_transpose2d(x, self.weight, None, self.stride)
        return up + self.bias.to(up.dtype)[:, None, None]


class _Added(nn.Module):
    def __init__(self, deep: int, shallow: int, activation: Activation) -> None:
        super().__init__()
        self.up = _Doubled(deep, shallow)
        self.convolve = nn.Sequential(
            _convolution(shallow, shallow, activation), _convolution(shallow, shallow, activation)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.convolve(self.up(x) + skip)
        return joined


class _Concatenated(nn.Module):
    def __init__(self, deep: int, shallow: int, activation: Activation) -> None:
        super().__init__()
        self.up = _Doubled(deep, shallow)
        self.convolve = nn.Sequential(
            _convolution(2 * shallow, shallow, activation),
            _convolution(shallow, shallow, activation),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.convolve(torch.cat([self.up(x), skip], dim=1))
        return joined


def _widths(width: int) -> list[int]:
    return [width * 2**level for level in range(LEVELS)]


def _convolution(before: int, after: int, activation: Activation, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        activation(),
    )


def _initialised(net: nn.Module, slope: float) -> nn.Module:
    """Give 3x3 convolutions He's weights, and transposed ones such that they keep the variance.

    He et al. 2015, eq. 14. With stride 2 and a 2 x 2 kernel, an output pixel of a transposed
    convolution sees one input pixel, so that its fan-in is the number of channels.
    """
    for module in net.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
        elif isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            nn.init.kaiming_normal_(module.weight, a=slope)
    return net
