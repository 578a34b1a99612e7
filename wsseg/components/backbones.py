"""Backbones from segmentation-models-pytorch, with its own encoders and those of timm."""

import difflib
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self, final

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg.components.encoder_weights import load_encoder_weights
from wsseg.core.component import KeyProblemError
from wsseg.core.interfaces import Backbone, EncoderWeights
from wsseg.errors import InputError, known_words, one_line

TIMM_PREFIX = "tu-"  # segmentation-models-pytorch names timm's encoders tu-NAME
SIDE_MULTIPLES = (32, 64, 128)  # most networks need sides that are multiples of one of these
FIXED_SIDES = (224, 256, 384, 448, 512)  # some attention layers accept only one image size

ENCODER = "encoder"  # the attribute of a network of segmentation-models-pytorch
ERROR_LENGTH = 200  # characters of a library's error message that are repeated


@final
class Smp(Backbone):
    """A network of segmentation-models-pytorch: any of its architectures with any encoder.

    The network maps normalised images (B, C S, H, W) to logits (B, K, H, W). Images are padded with
    0 at the bottom and the right to a size that the network accepts, for most a multiple of 32.
    Some transformers accept only one image size: smaller images are padded to it, and larger ones
    raise `InputError`. A first convolution trained on RGB keeps its weights if the input has three
    planes, such as one colour slice.

    Source: Iakubovskii 2019, "Segmentation Models Pytorch"; Wightman 2019, "PyTorch Image Models"
    (timm).
    """

    encoder_module: ClassVar[str | None] = f"net.{ENCODER}"
    head_module: ClassVar[str | None] = "net.segmentation_head"

    architecture: str = "unet"
    """Name of the architecture, such as unet, unetplusplus, fpn, deeplabv3plus or dpt."""
    encoder: str = "resnet18"
    """Name of the encoder, such as resnet18; encoders of timm are written tu-NAME."""
    weights: EncoderWeights | str | None = None
    """Pre-trained weights of the encoder: a file, {file: PATH}; the weights of an installed
    package, {use: NAME}; or a name to download: a data set, such as imagenet, or a tag of timm,
    such as a1_in1k. null initialises the encoder at random."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        """Check all names when the recipe is read, long before a late stage builds its network."""
        import segmentation_models_pytorch as smp
        import timm

        if self.architecture not in smp.MODEL_ARCHITECTURES_MAPPING:
            known = known_words(self.architecture, smp.MODEL_ARCHITECTURES_MAPPING)
            raise KeyProblemError(
                ("architecture",), f"no architecture is called {self.architecture!r}; {known}"
            )
        own = smp.encoders.encoders
        encoders = [*own, *(TIMM_PREFIX + name for name in timm.list_models())]
        if self.encoder not in encoders:
            near = difflib.get_close_matches(self.encoder, encoders, n=5, cutoff=0.3)
            raise KeyProblemError(
                ("encoder",),
                f"no encoder is called {self.encoder!r}; {len(encoders)} are available (those of "
                f"timm are called tu-NAME); the closest names are: {', '.join(near) or 'none'}",
            )
        self._check_weights()
        return self

    def build(self, channels: int, classes: int) -> nn.Module:
        """Return a new module. Named `weights` are downloaded if they are not on this machine.

        Raises:
            InputError: The architecture cannot be combined with the encoder, or the weights do not
                fit the encoder, or are not on this machine and cannot be downloaded.
        """
        try:
            net = self._create(channels, classes, None)
            multiple, largest = _side_limits(net, channels)
        except Exception as error:
            raise InputError(
                f"architecture {self.architecture!r} cannot be built with encoder "
                f"{self.encoder!r}: {one_line(error)[:ERROR_LENGTH]}\n  Choose another "
                "pair: resnet18 works with most architectures, a plain vision transformer with dpt."
            ) from error
        if isinstance(self.weights, EncoderWeights):
            self._load(self.weights, net)
        elif self.weights is not None:
            net = self._create_pretrained(channels, classes, self.weights)
        return Padded(net.train(), multiple, largest)

    def untrained(self) -> Self:
        """Return the same backbone with random initial weights."""
        return self.model_copy(update={"weights": None})

    def files(self) -> tuple[Path, ...]:
        """Return the files of the weights."""
        return self.weights.files() if isinstance(self.weights, EncoderWeights) else ()

    def _check_weights(self) -> None:
        import segmentation_models_pytorch as smp

        if isinstance(self.weights, EncoderWeights):
            known, fits = self.weights.encoders, self.encoder in self.weights.encoders
            if known and not fits:
                problem = f"these weights are for {' or '.join(known)}, not for {self.encoder!r}"
                raise KeyProblemError(("weights",), problem)
        elif self.weights is not None:
            own = smp.encoders.encoders.get(self.encoder)
            tags = self._timm_tags() if own is None else list(own["pretrained_settings"])
            if self.weights not in tags:
                problem = f"encoder {self.encoder!r} has no weights {self.weights!r}"
                raise KeyProblemError(("weights",), f"{problem}; {known_words(self.weights, tags)}")

    def _load(self, weights: EncoderWeights, net: nn.Module) -> None:
        tensors = weights.tensors()
        try:
            load_encoder_weights(net.get_submodule(ENCODER), tensors)
        except InputError as error:
            place = ", ".join(map(str, weights.files())) or type(weights).__name__
            raise InputError(
                f"{place}: the weights do not fit encoder {self.encoder!r}: {error}"
            ) from None

    def _create_pretrained(self, channels: int, classes: int, weights: str) -> nn.Module:
        try:
            return self._create(channels, classes, weights)
        except Exception as error:
            raise InputError(
                f"weights {weights!r} of encoder {self.encoder!r} are not on this machine and "
                f"cannot be downloaded: {one_line(error)[:ERROR_LENGTH]}\n  Build the backbone "
                "once on a machine with internet access and copy its Hugging Face cache here, or "
                "use random weights with weights: null."
            ) from error

    def _create(self, channels: int, classes: int, named: str | None) -> nn.Module:
        import segmentation_models_pytorch as smp

        encoder: str = self.encoder
        weights: str | bool | None = named
        if weights is not None and encoder.startswith(TIMM_PREFIX):
            encoder, weights = f"{encoder}.{weights}", True
        net: nn.Module = smp.create_model(
            self.architecture, encoder, weights, in_channels=channels, classes=classes
        )
        return net

    def _timm_tags(self) -> list[str]:
        """List the tags of the pre-trained weights that timm offers for the encoder."""
        import timm

        names = timm.list_pretrained(self.encoder.removeprefix(TIMM_PREFIX) + ".*")
        return [name.partition(".")[2] for name in names]


def _side_limits(net: nn.Module, channels: int) -> tuple[int, int | None]:
    """Find the factor that sides must be multiples of, and the longest possible side or None.

    The network is run on images of different sizes.
    """
    net.eval()
    sides = (*SIDE_MULTIPLES, *FIXED_SIDES)
    for side in sides:
        if _accepts(net, channels, side, side):
            fixed = side in FIXED_SIDES and not _accepts(net, channels, side, 2 * side)
            return side, side if fixed else None
    raise ValueError(
        f"the network accepts none of the square images with sides of {', '.join(map(str, sides))} "
        "pixels"
    )


@torch.no_grad()
def _accepts(net: nn.Module, channels: int, height: int, width: int) -> bool:
    with suppress(RuntimeError, ValueError, AssertionError):
        logits: Tensor = net(torch.zeros(1, channels, height, width))
        return logits.shape[-2:] == (height, width)
    return False


@final
class Padded(nn.Module):
    """Wraps a network that needs sides that are multiples of a number; accepts any image size.

    Images (B, C S, H, W) are padded with 0 at the bottom and the right, as a convolution pads its
    border, and the logits (B, K, H, W) are cropped to the size of the image.

    Args:
        net: Maps (B, C S, H, W) to (B, K, H, W) if H and W are multiples of `multiple`.
        multiple: The sides are padded to a multiple of this number of pixels.
        largest: The longest side that `net` accepts, in pixels; None if there is no limit.

    Example:
        >>> import torch
        >>> from wsseg.tools import Padded
        >>> net = torch.nn.Sequential(torch.nn.MaxPool2d(2), torch.nn.Upsample(scale_factor=2))
        >>> Padded(net, multiple=2)(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 5, 7])
    """

    def __init__(self, net: nn.Module, multiple: int, largest: int | None = None) -> None:
        super().__init__()
        self.net = net
        self.multiple = multiple
        self.largest = largest

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for images (B, C S, H, W).

        Raises:
            InputError: The image is larger than the network accepts.
        """
        height, width = image.shape[-2:]
        if self.largest is not None and max(height, width) > self.largest:
            raise InputError(
                f"the network accepts images of at most {self.largest} x {self.largest} pixels; "
                f"these have {height} x {width}.\n"
                f"Set input.size: {self.largest}, or choose a backbone that accepts any size"
            )
        padded = F.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        logits: Tensor = self.net(padded)
        return logits[..., :height, :width]
