"""Runs a network only where an image shows something, as if it saw the whole image.

Far from what a mask leaves, an image is constant, and so is most of what a network computes. It is
run on a box, and what surrounds the box is known from an image in which there is nothing at all.
"""

from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg.core.batch import Logits

MARGIN_PIXELS = 16  # deeper layers see what is in the box from further away


@dataclass(frozen=True)
class Box:
    """Rows [top, bottom) and columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, image: Tensor) -> Tensor:
        """Return the box of (..., H, W), a view."""
        return image[..., self.top : self.bottom, self.left : self.right]


def box_around(seen: Tensor, multiple: int) -> Box:
    """Return the box around what is on in `seen`, (H, W) bool, with a margin.

    Its sides are multiples of `multiple`, so that a network that halves meets the same pixels.
    """
    sides: list[int] = []
    for axis, length in enumerate(seen.shape):
        on = seen.any(dim=1 - axis).nonzero()
        first, last = (int(on[0]), int(on[-1])) if len(on) else (0, 0)
        start = max(0, first - MARGIN_PIXELS) // multiple * multiple
        end = -(-(last + 1 + MARGIN_PIXELS) // multiple) * multiple
        sides += [start, min(end, length)]
    return Box(*sides)


class Cropped(nn.Module):
    """A network whose convolutions see, around a crop, what they see around it in a whole image.

    Exact but for what deep layers see of the box's content outside the box. For networks that are
    `Backbone.local`.
    """

    def __init__(self, network: nn.Module, nothing: Tensor) -> None:
        """Prepare `network`, which is changed, for images like `nothing`, (1, S, H, W)."""
        super().__init__()
        self._network, self._place = network, _Place()
        inputs = _inputs(network, nothing)
        finest = max(x.shape[-1] for x in inputs.values())
        self.multiple = max(finest // x.shape[-1] for x in inputs.values())
        for name, x in inputs.items():
            part = network.get_submodule(name)
            if isinstance(part, nn.Conv2d) and any(_padding(part)):
                framed = _Framed(part, x, finest // x.shape[-1], self._place)
                network.set_submodule(name, framed)

    def forward(self, image: Tensor, box: Box) -> Logits:
        """Return the logits of (B, S, H, W) in the box; they are 0 elsewhere."""
        self._place.box = box
        inner: Tensor = self._network(box.of(image))
        logits = inner.new_zeros((*inner.shape[:2], *image.shape[-2:]))
        box.of(logits).copy_(inner)
        return logits


class _Place:
    """Where the crop lies that is being looked at."""

    box = Box(0, 0, 0, 0)


class _Framed(nn.Module):
    """A convolution with the pixels around its crop in place of zeros."""

    def __init__(self, convolution: nn.Conv2d, whole: Tensor, stride: int, place: _Place) -> None:
        super().__init__()
        rows, columns = _padding(convolution)
        self._convolution, self._unpadded = convolution, copy(convolution)
        self._unpadded.padding = (0, 0)
        self._stride, self._place = stride, place  # of its input's pixels, in pixels of the image
        self.register_buffer("_whole", F.pad(whole, (columns, columns, rows, rows)))

    def forward(self, x: Tensor) -> Tensor:
        convolution, (rows, columns) = self._convolution, _padding(self._convolution)
        height, width = x.shape[-2:]
        whole = self.get_buffer("_whole")
        if whole.shape[-2:] == (height + 2 * rows, width + 2 * columns):
            return convolution.forward(x)
        top, left = self._place.box.top // self._stride, self._place.box.left // self._stride
        around = Box(top, top + height + 2 * rows, left, left + width + 2 * columns)
        return self._unpadded.forward(_framed(x, around.of(whole), rows, columns))


def _framed(x: Tensor, around: Tensor, rows: int, columns: int) -> Tensor:
    """Put `x` into the middle of `around`; only the border of that is looked at."""
    framed = torch.empty(
        (*x.shape[:2], *around.shape[-2:]),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    height, width = x.shape[-2:]
    framed[..., rows : rows + height, columns : columns + width] = x
    for border in (slice(None, rows), slice(rows + height, None)):
        framed[..., border, :] = around[..., border, :]
    for border in (slice(None, columns), slice(columns + width, None)):
        framed[..., border] = around[..., border]
    return framed


def _inputs(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Return what every part that has no parts sees of an image, by its name."""
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
    """Return how many rows and columns of zeros it adds on each side."""
    if convolution.padding_mode != "zeros" or isinstance(convolution.padding, str):
        return 0, 0
    rows, columns = convolution.padding
    return rows, columns
