"""The U-net of Wu et al. 2020, and the variant in its published code.

Every 3 x 3 convolution is followed by batch normalisation and an activation. Each of the four upper
levels of the encoder has a convolution, whose output is the skip connection, and a convolution with
stride 2. The fifth level is the bottleneck. Each level of the decoder has a transposed convolution,
the skip connection and two convolutions. The variants differ in the skip connection, the bottleneck
and the activation. Three other features of the published code are settings of both variants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, ClassVar, final

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg import Backbone
from wsseg.tools import Padded

LEVELS = 5
MULTIPLE = 2 ** (LEVELS - 1)  # images are padded to multiples of it: four levels halve them


@dataclass(frozen=True)
class _Layers:
    """What follows the convolutions."""

    norm: Callable[[int], nn.Module]  # for a number of channels
    activation: Callable[[], nn.Module]
    after_upsampling: Callable[[], nn.Module]


class _UNetBackbone(Backbone):
    """The settings of both variants."""

    local: ClassVar[bool] = True
    head_module: ClassVar[str | None] = "net.head"
    width: PositiveInt = Field(default=32, examples=[4])
    """Number of channels of the first level."""
    norm_eps: PositiveFloat = 1e-5
    """The number that batch norm adds to the variance; 1e-3 in the published code."""
    norm_affine: bool = True
    """Whether batch norm has a scale and a shift that are learnt; false in the published code."""
    activated_upsampling: bool = False
    """Whether an activation follows the transposed convolutions; true in the published code."""

    def _layers(self, activation: Callable[[], nn.Module]) -> _Layers:
        return _Layers(
            norm=partial(nn.BatchNorm2d, eps=self.norm_eps, affine=self.norm_affine),
            activation=activation,
            after_upsampling=activation if self.activated_upsampling else nn.Identity,
        )


@final
class AdditiveUNet(_UNetBackbone):
    """A U-net with additive skip connections and leaky ReLU.

    The levels have `width`, 2, 4, 8 and 16 `width` channels. With 7 slices, 1 class and width 32:
    6,980,833 parameters, and 15.8 GFLOP (2 per multiply-add) for 256 x 256 pixels.

    Source: Wu et al. 2020, section II-B.
    """

    slope: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Negative slope of the leaky ReLU; the default is that of the published code."""

    def build(self, channels: int, classes: int) -> nn.Module:
        """Return a new network with random weights (He et al. 2015)."""
        layers = self._layers(partial(nn.LeakyReLU, self.slope, inplace=True))
        widths = _widths(self.width)
        bottom = nn.Sequential(
            _convolution(widths[-2], widths[-1], layers),
            _convolution(widths[-1], widths[-1], layers),
        )
        net = _UNet([channels, *widths], classes, bottom, _AddSkip, layers)
        return Padded(_initialised(net, self.slope), MULTIPLE)


@final
class ConcatUNet(_UNetBackbone):
    """A U-net with concatenated skip connections and ReLU.

    The published code has a second convolution in the bottleneck that it does not use; it is
    omitted here.

    Source: the published code of Wu et al. 2020, with `norm_eps: 1.0e-3`, `norm_affine: false` and
    `activated_upsampling: true`.
    """

    def build(self, channels: int, classes: int) -> nn.Module:
        """Return a new network with random weights (He et al. 2015)."""
        layers = self._layers(partial(nn.ReLU, inplace=True))
        widths = _widths(self.width)
        bottom = _convolution(widths[-2], widths[-1], layers)
        net = _UNet([channels, *widths], classes, bottom, _ConcatenateSkip, layers)
        return Padded(_initialised(net, slope=0), MULTIPLE)


class _UNet(nn.Module):
    def __init__(
        self,
        channels: list[int],
        classes: int,
        bottom: nn.Module,
        join: Callable[[int, int, _Layers], nn.Module],
        layers: _Layers,
    ) -> None:
        """Build the network; `channels` are those of the input and of each level."""
        super().__init__()
        widths = channels[1:]
        self.enter = nn.ModuleList(
            _convolution(before, width, layers) for before, width in pairwise(channels[:-1])
        )
        self.halve = nn.ModuleList(
            _convolution(width, width, layers, stride=2) for width in widths[:-1]
        )
        self.bottom = bottom
        self.join = nn.ModuleList(
            join(deep, shallow, layers) for deep, shallow in pairwise(widths[::-1])
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
class _Upsample(nn.ConvTranspose2d):
    """A transposed convolution of 2 x 2 with stride 2."""

    def __init__(self, deep: int, shallow: int) -> None:
        super().__init__(deep, shallow, kernel_size=2, stride=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not torch.is_grad_enabled() or self.bias is None:
            return super().forward(x, output_size)
        # Adding the bias separately is faster: on a CPU, its gradient dominates the convolution.
        up = F.conv_transpose2d(x, self.weight, None, self.stride)
        return up + self.bias.to(up.dtype)[:, None, None]


class _AddSkip(nn.Module):
    def __init__(self, deep: int, shallow: int, layers: _Layers) -> None:
        super().__init__()
        self.up = _Upsample(deep, shallow)
        self.activate = layers.after_upsampling()
        self.convolve = nn.Sequential(
            _convolution(shallow, shallow, layers), _convolution(shallow, shallow, layers)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.convolve(self.activate(self.up(x)) + skip)
        return joined


class _ConcatenateSkip(nn.Module):
    def __init__(self, deep: int, shallow: int, layers: _Layers) -> None:
        super().__init__()
        self.up = _Upsample(deep, shallow)
        self.activate = layers.after_upsampling()
        self.convolve = nn.Sequential(
            _convolution(2 * shallow, shallow, layers),
            _convolution(shallow, shallow, layers),
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.convolve(torch.cat([self.activate(self.up(x)), skip], dim=1))
        return joined


def _widths(width: int) -> list[int]:
    return [width * 2**level for level in range(LEVELS)]


def _convolution(before: int, after: int, layers: _Layers, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False),
        layers.norm(after),
        layers.activation(),
    )


def _initialised(net: nn.Module, slope: float) -> nn.Module:
    """Initialise all convolutions so that they preserve the variance; return the network.

    3 x 3 convolutions follow He et al. 2015, eq. 14. In a transposed convolution of 2 x 2 with
    stride 2, each output pixel depends on one input pixel: the fan-in is the number of channels.
    """
    for module in net.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
        elif isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            nn.init.kaiming_normal_(module.weight, a=slope)
    return net
