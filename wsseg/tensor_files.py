"""Tensors on the disk: safetensors, which cannot hold code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from wsseg.files import written_whole


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None
) -> None:
    """Write tensors by name, with texts `about` them, whole or not at all.

    Raises:
        UnwritableError: The disk is full, or the folder is not for writing.
    """
    with written_whole(path) as temporary:
        try:
            whole = {
                name: each.clone(memory_format=torch.contiguous_format)
                for name, each in tensors.items()
            }  # the format knows no shared memory
            save_file(whole, temporary, None if about is None else dict(about))
        except SafetensorError as error:  # of what the system says, too
            raise OSError(str(error)) from None
