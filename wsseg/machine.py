"""What a run computes on: the device and its precision."""

import ctypes
import logging
import os
from contextlib import suppress
from typing import Literal

import torch
from lightning_fabric import Fabric

Precision = Literal["auto", "bfloat16", "float32"]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def open_fabric(precision: Precision) -> Fabric:
    """Choose the device (a GPU where there is one) and the precision.

    `auto` is bfloat16 autocast where the device computes in it, else float32.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells every opening
    fast = precision == "bfloat16" or (precision == "auto" and _computes_bfloat16())
    return Fabric(accelerator="auto", devices=1, precision="bf16-mixed" if fast else "32-true")


def keep_memory() -> None:
    """Keep the memory that a training step frees for the next step, in large pages.

    Else the C library returns large tensors to the system, which clears every page of them again
    for the next layer. Counts for this process, and best before its first tensor.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch looks at it at its first tensor
    with suppress(OSError, AttributeError):  # other C libraries have other ways, or none
        c_library = ctypes.CDLL(None)
        c_library.mallopt(M_MMAP_MAX, 0)
        c_library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _computes_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    # the only way in torch to ask a CPU; AMX tiles always come with bfloat16
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001
