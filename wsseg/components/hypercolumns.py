"""A backbone that classifies each pixel by the features of a frozen, pre-trained encoder."""

from pathlib import Path
from typing import Annotated, ClassVar, Self, cast, final

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from wsseg.components.backbones import Padded, Smp
from wsseg.core.interfaces import Backbone, EncoderWeights

LEVELS = slice(2, 5)  # of the encoder's features: 1/4, 1/8 and 1/16 of the image's resolution


@final
class Hypercolumns(Backbone):
    """A small classifier of each pixel by the features of a frozen, pre-trained encoder.

    The features of a pixel are those of the encoder at 1/4, 1/8 and 1/16 of the resolution, each
    averaged over 3 x 3 cells, interpolated to 1/4 of the resolution, and standardised. Two 1 x 1
    convolutions with a ReLU between them turn them into logits, which are interpolated to the size
    of the image.

    Only the classifier is trained, so that few weights are fitted to weak labels. `smp` trains the
    encoder, too.

    Source: Hariharan et al. 2015, "Hypercolumns for object segmentation and fine-grained
    localization"; for the averages Roth et al. 2022, "Towards total recall in industrial anomaly
    detection".

    Example:
        >>> net = Hypercolumns(encoder="resnet18", weights=None).build(channels=1, classes=2)
        >>> net(torch.zeros(4, 1, 64, 48)).shape
        torch.Size([4, 2, 64, 48])
    """

    head_module: ClassVar[str | None] = "net.head"

    encoder: str
    """Name of the encoder in segmentation-models-pytorch, such as mobilenet_v2; encoders of timm
    are written tu-NAME."""
    weights: Annotated[
        EncoderWeights | str | None, Field(examples=[{"use": "file", "file": "encoder.pth"}])
    ]
    """Pre-trained weights of the encoder, as for the backbone `smp`; null: random features."""
    hidden: PositiveInt = 32
    """Number of channels between the two convolutions."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Probability that a hidden channel of an image is set to 0 in a training step."""

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        self._whole_network()
        return self

    def build(self, channels: int, classes: int) -> nn.Module:
        """Return a new module. Named `weights` are downloaded if they are not on this machine.

        Raises:
            InputError: The encoder has no features at several resolutions, or the weights do not
                fit it, or are not on this machine and cannot be downloaded.
        """
        whole = cast("Padded", self._whole_network().build(channels, classes))
        encoder = cast("nn.Module", whole.net.encoder)
        widths = cast("list[int]", encoder.out_channels)[LEVELS]
        net = _PixelClassifier(encoder, sum(widths), self.hidden, classes, self.dropout)
        return Padded(net, whole.multiple, whole.largest)

    def untrained(self) -> Self:
        """Return the same backbone with random initial weights."""
        return self.model_copy(update={"weights": None})

    def files(self) -> tuple[Path, ...]:
        """Return the files of the weights."""
        return self._whole_network().files()

    def _whole_network(self) -> Smp:
        """Return a backbone with this encoder and a decoder; only its encoder is used."""
        return Smp(encoder=self.encoder, weights=self.weights)


class _PixelClassifier(nn.Module):
    """Maps images (B, C S, H, W) to logits (B, K, H, W) by the features of an encoder."""

    def __init__(
        self, encoder: nn.Module, features: int, hidden: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(requires_grad=False).eval()
        self.standardise = nn.BatchNorm2d(features, affine=False)
        self.hidden = nn.Conv2d(features, hidden, kernel_size=1)
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(hidden, classes, kernel_size=1)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - the signature of torch
        """Set the mode of all layers but those of the encoder, which stays in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        with torch.no_grad():
            levels = self.encoder(image)[LEVELS]
        size = levels[0].shape[-2:]
        columns = torch.cat([_averaged(each, size) for each in levels], dim=1)
        hidden = self.dropout(self.hidden(self.standardise(columns)).relu())
        return F.interpolate(self.head(hidden), image.shape[-2:], mode="bilinear")


def _averaged(features: Tensor, size: torch.Size) -> Tensor:
    """Return the means over 3 x 3 cells, interpolated to a size; cells outside do not count."""
    means = F.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)
    return F.interpolate(means, size, mode="bilinear")
