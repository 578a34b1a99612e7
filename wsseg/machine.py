"""What a run computes on: the device and its precision."""

import logging
from typing import Literal

import torch
from lightning_fabric import Fabric

Precision = Literal["auto", "bfloat16", "float32"]


def open_fabric(precision: Precision) -> Fabric:
    """Choose the device (a GPU where there is one) and the precision.

    `auto` is bfloat16 autocast where the device computes in it, else float32.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells every opening
    fast = precision == "bfloat16" or (precision == "auto" and _computes_bfloat16())
    return Fabric(accelerator="auto", devices=1, precision="bf16-mixed" if fast else "32-true")


def _computes_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    # the only way in torch to ask a CPU; AMX tiles always come with bfloat16
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001
