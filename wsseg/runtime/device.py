"""The device and the precision that a run computes with, and the settings of its memory."""

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
from wsseg.runtime.processor import processor

Precision = Literal["auto", "bfloat16", "float32"]

COLLECTIVE_TIMEOUT = timedelta(days=7)  # the others wait while the leader prepares scans
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
NEVER_TRIM = -1
LARGEST_MMAP_THRESHOLD = 2**25  # bytes


def open_fabric(precision: Precision, group: Group = SINGLE_PROCESS) -> Fabric:
    """Return a Fabric on a GPU, or else the CPU, with `precision`; join `group`.

    `auto` is bfloat16 autocast if the device computes in bfloat16, else float32. Also keeps small
    freed memory (`keep_small_memory`), which works best before the first tensor.

    Raises:
        InputError: The group needs more GPUs than this machine has.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # or it logs each Fabric
    keep_small_memory()
    bfloat16 = used_precision(precision) == "bfloat16"
    fabric_precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed" if bfloat16 else "32-true"
    if group.processes == 1:
        return Fabric(accelerator="auto", devices=1, precision=fabric_precision)
    if 0 < torch.cuda.device_count() < group.devices:
        raise InputError(
            f"{group.devices} devices are requested, but this machine has "
            f"{torch.cuda.device_count()} GPUs; reduce --devices, or hide the GPUs with "
            "CUDA_VISIBLE_DEVICES= to compute on the CPU"
        )
    torchrun = "LOCAL_WORLD_SIZE" in os.environ  # set by `launch` as well
    fabric = Fabric(
        accelerator="auto",
        devices=group.devices,
        num_nodes=group.nodes,
        strategy=DDPStrategy(timeout=COLLECTIVE_TIMEOUT),
        plugins=[TorchElasticEnvironment() if torchrun else SLURMEnvironment(auto_requeue=False)],
        precision=fabric_precision,
    )
    fabric.launch()
    return fabric


def used_precision(precision: Precision) -> Literal["bfloat16", "float32"]:
    """Return the precision that networks compute with on this machine."""
    if precision == "auto":
        return "bfloat16" if _computes_bfloat16() else "float32"
    return precision


def device_name() -> str:
    """Return the name of the GPU, or of the CPU if there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else processor()


def keep_memory() -> None:
    """Make the C library keep freed memory of any size, in large pages, for the next step.

    Otherwise it returns large tensors to the system, which clears all their pages again for the
    next layer. Applies to this process, and works best before its first tensor.
    """
    _set_malloc({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER_TRIM})


@cache
def keep_small_memory() -> None:
    """Make the C library keep freed blocks of up to 32 MiB: layers of a few slices, not scans."""
    _set_malloc({M_MMAP_THRESHOLD: LARGEST_MMAP_THRESHOLD, M_TRIM_THRESHOLD: NEVER_TRIM})


def _set_malloc(options: Mapping[int, int]) -> None:
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # read by torch at its first tensor
    with suppress(OSError, AttributeError, TypeError):  # other C libraries have no mallopt
        c_library = ctypes.CDLL(None)
        for option, value in options.items():
            c_library.mallopt(option, value)


def _computes_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    # torch has no public function for CPUs; AMX tiles always support bfloat16
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001
