"""The device that is measured: its settings, time and memory."""

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any

import torch
from lightning_fabric import Fabric

from benchmarks.pages import machine, versions
from benchmarks.speed.timing import seconds_in_turns

GIB = 2**30


def device() -> torch.device:
    """Return the first GPU, or the CPU in a trial without one."""
    return torch.device("cuda:0" if has_gpu() else "cpu")


def float32_fabric(where: torch.device) -> Fabric:
    """Return a Fabric that computes on a device in float32."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it logs each Fabric
    return Fabric(accelerator=where.type, devices=1, precision="32-true")


def has_gpu() -> bool:
    """Return whether torch finds an NVIDIA GPU."""
    return torch.cuda.is_available()


def described_device() -> str:
    """Return the name and memory of the GPU, and the machine that it is part of."""
    if not has_gpu():
        return f"no GPU: a trial; {machine()}"
    card = torch.cuda.get_device_properties(0)
    return f"{card.name}, {card.total_memory / GIB:.0f} GiB; {machine()}"


def described_versions() -> str:
    """Return the versions of the packages, of CUDA and of cuDNN."""
    if not has_gpu():
        return versions()
    return f"{versions()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def synchronize() -> None:
    """Wait until the GPU has finished."""
    if has_gpu():
        torch.cuda.synchronize()


def time_calls_in_turns(
    alternatives: Mapping[str, Callable[[], object]], calls: int, repeats: int
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of a call of each alternative in each round, the mean over `calls` calls.

    The time is taken when the GPU has finished. A first round is not counted.
    """
    timed = {name: partial(_seconds_of_call, each, calls) for name, each in alternatives.items()}
    return seconds_in_turns(timed, repeats)


def _seconds_of_call(function: Callable[[], object], calls: int) -> float:
    synchronize()
    started = perf_counter()
    for _ in range(calls):
        function()
    synchronize()
    return (perf_counter() - started) / calls


def peak_gib(function: Callable[[], object]) -> float:
    """Return the largest memory that tensors have on the GPU during a call; 0 without a GPU."""
    free_memory()
    if not has_gpu():
        function()
        return 0.0
    torch.cuda.reset_peak_memory_stats()
    function()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / GIB


def free_memory() -> None:
    """Return unused memory of the GPU to the driver."""
    gc.collect()
    if has_gpu():
        torch.cuda.empty_cache()


@contextmanager
def tf32(*, allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32, with 10 bits of mantissa, in float32 convolutions and products."""
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


@contextmanager
def searched_algorithms() -> Iterator[None]:
    """Let cuDNN time its algorithms for each new shape, and use the fastest."""
    cudnn: Any = torch.backends.cudnn
    before, cudnn.benchmark = cudnn.benchmark, True
    try:
        yield
    finally:
        cudnn.benchmark = before
