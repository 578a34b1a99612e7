"""What a run computes on: the device and its precision."""

import ctypes
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy

from wsseg.errors import InputError
from wsseg.runtime.process_group import SINGLE_PROCESS, Group

Precision = Literal["auto", "bfloat16", "float32"]

PATIENCE = timedelta(days=7)  # while the leader prepares scans, the others wait for it
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
NEVER = -1  # a trim threshold that no memory reaches
KEPT = 2**25  # bytes: the largest threshold that it takes


def open_fabric(precision: Precision, group: Group = SINGLE_PROCESS) -> Fabric:
    """Choose the device (a GPU where there is one) and the precision; join the `group`, if any.

    `auto` is bfloat16 autocast where the device computes in it, else float32. From then on, small
    memory is kept: best before the process has its first tensor.

    Raises:
        InputError: The group wants more GPUs than this machine has.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells every opening
    keep_small_memory()
    fast = precision == "bfloat16" or (precision == "auto" and _computes_bfloat16())
    computing: Literal["bf16-mixed", "32-true"] = "bf16-mixed" if fast else "32-true"
    if group.processes == 1:
        return Fabric(accelerator="auto", devices=1, precision=computing)
    if 0 < torch.cuda.device_count() < group.devices:
        raise InputError(
            f"{group.devices} devices are wanted, and {torch.cuda.device_count()} GPUs are here; "
            "give --devices as many, or hide them by CUDA_VISIBLE_DEVICES= to compute on the CPU"
        )
    torchrun = "LOCAL_WORLD_SIZE" in os.environ  # or `launch`, which says the same
    fabric = Fabric(
        accelerator="auto",
        devices=group.devices,
        num_nodes=group.nodes,
        strategy=DDPStrategy(timeout=PATIENCE),
        plugins=[TorchElasticEnvironment() if torchrun else SLURMEnvironment(auto_requeue=False)],
        precision=computing,
    )
    fabric.launch()
    return fabric


def keep_memory() -> None:
    """Keep the memory that a training step frees for the next step, in large pages.

    Else the C library returns large tensors to the system, which clears every page of them again
    for the next layer. Counts for this process, and best before its first tensor.
    """
    _set_malloc({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER})


@cache
def keep_small_memory() -> None:
    """Do the same for what is smaller than `KEPT`: layers of a few slices, but no whole scan."""
    _set_malloc({M_MMAP_THRESHOLD: KEPT, M_TRIM_THRESHOLD: NEVER})


def _set_malloc(options: Mapping[int, int]) -> None:
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch looks at it at its first tensor
    with suppress(OSError, AttributeError):  # other C libraries have other ways, or none
        c_library = ctypes.CDLL(None)
        for option, value in options.items():
            c_library.mallopt(option, value)


def _computes_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    # the only way in torch to ask a CPU; AMX tiles always come with bfloat16
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001
