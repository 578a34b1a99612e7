"""Loading of pre-trained weights into encoders."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import final

from torch import Tensor, nn

from wsseg.core.interfaces import EncoderWeights
from wsseg.errors import InputError
from wsseg.runtime.tensor_files import read_tensors

TIMM_MODULE = "model."  # segmentation-models-pytorch keeps an encoder of timm in this attribute
COUNTER = "num_batches_tracked"  # of batch norm; missing in files of old torch versions
WEIGHT_DIMENSIONS = 4  # of a convolution's weights: (out, in, height, width)
MOST_NAMED = 3  # tensors in a message


@final
class FileWeights(EncoderWeights):
    """The weights in a file, .safetensors or .pth, with the names of the encoder's tensors.

    The names may have a prefix, such as `encoder.`, and other tensors, such as those of a
    classifier, are ignored. A .pth file is loaded with torch's `weights_only`, which only accepts
    tensors and runs no code.
    """

    file: Path
    """The file."""

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the tensors in the file.

        Raises:
            InputError: The file cannot be read.
        """
        return read_tensors(self.file)

    def files(self) -> tuple[Path, ...]:
        """Return the file."""
        return (self.file,)


def load_encoder_weights(encoder: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy pre-trained weights into an encoder for C S planes, the slices of all channels.

    If the first convolution has weights for another number of planes, such as 3 for colours, each
    plane gets their sum divided by C S. An image with equal planes then has the same activations as
    an image with equal colours had.

    Raises:
        InputError: A tensor is missing or has another shape.
    """
    own = encoder.state_dict()
    prefix = _prefix([name.removeprefix(TIMM_MODULE) for name in own], tensors)
    found = {name: prefix + name.removeprefix(TIMM_MODULE) for name in own}
    missing = [name for name, of in found.items() if of not in tensors and COUNTER not in name]
    if missing:
        raise InputError(
            f"the tensors {_listed(missing)} of the encoder are missing; the file has "
            f"{_listed(list(tensors))}"
        )
    fitted = {name: tensors[of] for name, of in found.items() if of in tensors}
    first = next((name for name in fitted if own[name].dim() == WEIGHT_DIMENSIONS), None)
    if first is not None:
        fitted[first] = _for_planes(fitted[first], own[first])
    wrong = [name for name, each in fitted.items() if each.shape != own[name].shape]
    if wrong:
        shapes = [tuple(each.shape) for each in (fitted[wrong[0]], own[wrong[0]])]
        raise InputError(
            f"the tensor {wrong[0]} has shape {shapes[0]}, but that of the encoder has {shapes[1]} "
            f"({len(wrong)} of {len(own)} tensors do not fit)"
        )
    encoder.load_state_dict(own | fitted)


def _prefix(names: list[str], tensors: Collection[str]) -> str:
    """Return the prefix of most of the encoder's names in a file, such as `encoder.`."""
    candidates = [each.removesuffix(names[0]) for each in tensors if each.endswith(names[0])]
    return max(candidates, key=lambda prefix: sum(prefix + n in tensors for n in names), default="")


def _for_planes(weight: Tensor, own: Tensor) -> Tensor:
    """Return the weights of a first convolution, (out, in, height, width), for the planes of `own`.

    Weights for the same number of planes, such as RGB for a colour picture, are not changed.
    """
    planes = own.shape[1]
    if weight.dim() != own.dim() or weight.shape[1] == planes:
        return weight
    return (weight.sum(1, keepdim=True) / planes).expand(-1, planes, -1, -1)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
