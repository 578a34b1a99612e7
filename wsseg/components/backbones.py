"""Backbones of segmentation-models-pytorch, with its own encoders and timm's."""

import difflib
from contextlib import suppress
from typing import Self, final

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg.core.component import KeyProblemError
from wsseg.core.interfaces import Backbone
from wsseg.errors import InputError, in_a_line, known_words

TIMM = "tu-"  # how segmentation-models-pytorch marks an encoder of timm
MULTIPLES = (32, 64, 128)  # what a network may want the sides of an image to be multiples of
FIXED = (224, 256, 384, 448, 512)  # or what attention may have been laid out for, and nothing else

LONGEST = 200  # letters of what a library said that are told


@final
class Smp(Backbone):
    """Any architecture of segmentation-models-pytorch with any encoder, by their names there.

    Encoders of timm are written tu-NAME. `weights` names what the encoder was trained on before:
    imagenet and the like, for timm the tag, such as a1_in1k; null starts it at random. Sides that
    the network cannot take are padded with 0 inside, in most to a multiple of 32. Some
    transformers take images of one size: smaller ones are padded to it, larger ones refused.
    """

    architecture: str = "unet"
    encoder: str = "resnet18"
    weights: str | None = None

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        """Look all names up when a recipe is read, hours before a late stage's network is built."""
        import segmentation_models_pytorch as smp
        import timm

        if self.architecture not in smp.MODEL_ARCHITECTURES_MAPPING:
            known = known_words(self.architecture, smp.MODEL_ARCHITECTURES_MAPPING)
            raise KeyProblemError(
                ("architecture",), f"no architecture is called {self.architecture!r}; {known}"
            )
        own = smp.encoders.encoders
        encoders = [*own, *(TIMM + name for name in timm.list_models())]
        if self.encoder not in encoders:
            near = difflib.get_close_matches(self.encoder, encoders, n=5, cutoff=0.3)
            raise KeyProblemError(
                ("encoder",),
                f"no encoder is called {self.encoder!r}; there are {len(encoders)}, those of timm "
                f"written tu-NAME; the nearest: {', '.join(near) or 'none'}",
            )
        weights = own[self.encoder]["pretrained_settings"] if self.encoder in own else self._tags()
        if self.weights is not None and self.weights not in weights:
            known = known_words(self.weights, weights)
            raise KeyProblemError(
                ("weights",), f"encoder {self.encoder!r} has no weights {self.weights!r}; {known}"
            )
        return self

    def build(self, slices: int, classes: int) -> nn.Module:
        """Return a new module; `weights` that the machine does not have are downloaded.

        Raises `InputError` for an architecture and an encoder that do not go together, and for
        weights that are not here and cannot be fetched.
        """
        try:
            net = self._create(slices, classes, pretrained=False)
            multiple, largest = _sides(net, slices)
        except Exception as error:
            raise InputError(
                f"architecture {self.architecture!r} cannot be built with encoder "
                f"{self.encoder!r}: {in_a_line(error)[:LONGEST]}\n  Take another; resnet18 goes "
                "with most, a plain vision transformer with dpt."
            ) from error
        if self.weights is not None:
            net = self._pretrained(slices, classes)
        return Padded(net.train(), multiple, largest)

    def untrained(self) -> Self:
        """Return the same network, to be built at random."""
        return self.model_copy(update={"weights": None})

    def _pretrained(self, slices: int, classes: int) -> nn.Module:
        try:
            return self._create(slices, classes, pretrained=True)
        except Exception as error:
            raise InputError(
                f"weights {self.weights!r} of encoder {self.encoder!r} are not on this machine and "
                f"cannot be fetched: {in_a_line(error)[:LONGEST]}\n  Build it once where there is "
                "a network and copy its Hugging Face cache here, or start at random with weights: "
                "null."
            ) from error

    def _create(self, slices: int, classes: int, *, pretrained: bool) -> nn.Module:
        import segmentation_models_pytorch as smp

        encoder: str = self.encoder
        weights: str | bool | None = self.weights if pretrained else None
        if weights is not None and encoder.startswith(TIMM):
            encoder, weights = f"{encoder}.{weights}", True
        net: nn.Module = smp.create_model(
            self.architecture, encoder, weights, in_channels=slices, classes=classes
        )
        return net

    def _tags(self) -> list[str]:
        """List what timm has weights of its encoder for."""
        import timm

        names = timm.list_pretrained(self.encoder.removeprefix(TIMM) + ".*")
        return [name.partition(".")[2] for name in names]


def _sides(net: nn.Module, slices: int) -> tuple[int, int | None]:
    """Return what sides must be multiples of, and the longest side if there is one."""
    net.eval()
    for side in (*MULTIPLES, *FIXED):
        if _takes(net, slices, side, side):
            fixed = side in FIXED and not _takes(net, slices, side, 2 * side)
            return side, side if fixed else None
    raise ValueError(f"takes no square of {', '.join(map(str, (*MULTIPLES, *FIXED)))} pixels")


@torch.no_grad()
def _takes(net: nn.Module, slices: int, height: int, width: int) -> bool:
    with suppress(RuntimeError, ValueError, AssertionError):
        logits: Tensor = net(torch.zeros(1, slices, height, width))
        return logits.shape[-2:] == (height, width)
    return False


@final
class Padded(nn.Module):
    """Runs `net` on images whose sides are rounded up to a multiple, and crops its logits back.

    Filled with 0 at the bottom and the right, as a convolution fills its own border. `largest` is
    the longest side that `net` can take; None: any.
    """

    def __init__(self, net: nn.Module, multiple: int, largest: int | None = None) -> None:
        super().__init__()
        self.net = net
        self.multiple = multiple
        self.largest = largest

    def forward(self, image: Tensor) -> Tensor:
        """Return logits of the height and width of `image`, (B, S, H, W).

        Raises `InputError` for an image that is too large.
        """
        height, width = image.shape[-2:]
        if self.largest is not None and max(height, width) > self.largest:
            raise InputError(
                f"the network takes images of at most {self.largest} x {self.largest} pixels; "
                f"these are {height} x {width}.\n"
                f"Set input.size: {self.largest}, or take a backbone for any size"
            )
        padded = F.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        logits: Tensor = self.net(padded)
        return logits[..., :height, :width]
