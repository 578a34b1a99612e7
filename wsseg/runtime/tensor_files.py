"""Reading of named tensors from files of safetensors and of torch."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from wsseg.errors import InputError

SAFETENSORS_SUFFIX = ".safetensors"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the named tensors of a .safetensors file, or of a .pth file.

    A .pth file is a pickle. It is loaded with torch's `weights_only`, which accepts tensors only
    and runs no code.

    Raises:
        InputError: There is no such file, or it is damaged or contains something else.

    Example:
        >>> from pathlib import Path
        >>> import torch
        >>> from wsseg.tools import read_tensors
        >>> torch.save({"conv.weight": torch.ones(8, 3)}, "weights.pth")
        >>> read_tensors(Path("weights.pth"))["conv.weight"].shape
        torch.Size([8, 3])
    """
    if not path.is_file():
        raise InputError(f"{path}: file not found")
    try:
        if path.suffix == SAFETENSORS_SUFFIX:
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        kind = type(error).__name__
        raise InputError(
            f"{path}: the file is damaged, or contains more than tensors ({kind})"
        ) from error
    named = dict(found) if isinstance(found, Mapping) else {}
    if not named or not all(isinstance(each, Tensor) for each in named.values()):
        raise InputError(f"{path}: the file contains no named tensors; save a state_dict")
    return named
