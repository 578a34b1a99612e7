"""Prediction on a crop, with a halo taken from a constant image.

Outside the region of interest, an image is constant, and so are the activations of a network far
from it. The network therefore only runs on a crop. Around the crop, each convolution gets the
activations of a constant image instead of zeros.
"""

from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg.core.batch import Logits

MARGIN_PIXELS = 16  # around the content, because deep layers have large receptive fields


@dataclass(frozen=True)
class Box:
    """Rows [top, bottom) and columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    def crop(self, image: Tensor) -> Tensor:
        """Return the box of (..., H, W) as a view."""
        return image[..., self.top : self.bottom, self.left : self.right]


def box_around(content: Tensor, multiple: int) -> Box:
    """Return the bounding box of `content`, (H, W) bool, with a margin.

    It starts and ends at multiples of `multiple`, so that layers with a stride sample the same
    pixels as in the uncropped image.
    """
    sides: list[int] = []
    for axis, length in enumerate(content.shape):
        on = content.any(dim=1 - axis).nonzero()
        first, last = (int(on[0]), int(on[-1])) if len(on) else (0, 0)
        start = max(0, first - MARGIN_PIXELS) // multiple * multiple
        end = -(-(last + 1 + MARGIN_PIXELS) // multiple) * multiple
        sides += [start, min(end, length)]
    return Box(*sides)


class CroppedNetwork(nn.Module):
    """Runs a network on crops, with nearly the same logits as on the uncropped image.

    The result is exact if no receptive field contains both the content and pixels outside the box,
    and an approximation if deep layers have larger receptive fields. `Backbone.local` must be true.
    """

    def __init__(self, network: nn.Module, constant: Tensor) -> None:
        """Replace the convolutions of `network`, for images of the shape of `constant`.

        `constant`, (1, C, S, H, W), has the values of the images outside their content.
        """
        super().__init__()
        self._network, self._position = network, _CropPosition()
        inputs = _layer_inputs(network, constant)
        finest = max(x.shape[-1] for x in inputs.values())
        self.multiple = max(finest // x.shape[-1] for x in inputs.values())
        for name, x in inputs.items():
            part = network.get_submodule(name)
            if isinstance(part, nn.Conv2d) and any(_padding(part)):
                haloed = _HaloConvolution(part, x, finest // x.shape[-1], self._position)
                network.set_submodule(name, haloed)

    def forward(self, image: Tensor, box: Box) -> Logits:
        """Return the logits of images, (B, C, S, H, W); they are 0 outside the box."""
        self._position.box = box
        inner: Tensor = self._network(box.crop(image))
        logits = inner.new_zeros((*inner.shape[:2], *image.shape[-2:]))
        box.crop(logits).copy_(inner)
        return logits


class _CropPosition:
    """The box of the current crop, shared by all convolutions of a network."""

    box = Box(0, 0, 0, 0)


class _HaloConvolution(nn.Module):
    """A convolution that pads a crop with the activations of a constant image."""

    def __init__(
        self, convolution: nn.Conv2d, constant: Tensor, stride: int, position: _CropPosition
    ) -> None:
        super().__init__()
        rows, columns = _padding(convolution)
        self._convolution, self._unpadded = convolution, copy(convolution)
        self._unpadded.padding = (0, 0)
        self._stride, self._position = stride, position  # pixels of the image per pixel of x
        self.register_buffer("_padded", F.pad(constant, (columns, columns, rows, rows)))

    def forward(self, x: Tensor) -> Tensor:
        convolution, (rows, columns) = self._convolution, _padding(self._convolution)
        height, width = x.shape[-2:]
        padded = self.get_buffer("_padded")
        if padded.shape[-2:] == (height + 2 * rows, width + 2 * columns):
            return convolution.forward(x)
        box = self._position.box
        top, left = box.top // self._stride, box.left // self._stride
        around = Box(top, top + height + 2 * rows, left, left + width + 2 * columns)
        return self._unpadded.forward(_with_halo(x, around.crop(padded), rows, columns))


def _with_halo(x: Tensor, around: Tensor, rows: int, columns: int) -> Tensor:
    """Return `x` surrounded by the border of `around`."""
    haloed = torch.empty(
        (*x.shape[:2], *around.shape[-2:]),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    height, width = x.shape[-2:]
    haloed[..., rows : rows + height, columns : columns + width] = x
    for border in (slice(None, rows), slice(rows + height, None)):
        haloed[..., border, :] = around[..., border, :]
    for border in (slice(None, columns), slice(columns + width, None)):
        haloed[..., border] = around[..., border]
    return haloed


def _layer_inputs(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Return the input of every layer without sublayers, by name."""
    inputs: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_pre_hook(
            lambda _, args, name=name: inputs.__setitem__(name, args[0])
        )
        for name, module in network.named_modules()
        if not list(module.children())
    ]
    network(image)
    for hook in hooks:
        hook.remove()
    return inputs


def _padding(convolution: nn.Conv2d) -> tuple[int, int]:
    """Return how many rows and columns of zeros the convolution adds on each side."""
    if convolution.padding_mode != "zeros" or isinstance(convolution.padding, str):
        return 0, 0
    rows, columns = convolution.padding
    return rows, columns
