"""What a row was measured on."""

import platform
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("wsseg", "torch", "monai", "segmentation-models-pytorch", "SimpleITK", "scipy")


def machine() -> str:
    """Return the processor and the threads that torch computes with."""
    gib = _memory_kib() / 2**20
    return f"{_processor()}, {torch.get_num_threads()} threads, {gib:.0f} GiB"


def versions() -> str:
    """Return the versions of what is measured."""
    named = [f"{package} {metadata.version(package)}" for package in PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *named])


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    extensions = [name for name in ("avx512_bf16", "amx_bf16") if any(name in x for x in lines)]
    return " with ".join([names[0] if names else platform.machine(), *extensions])


def _memory_kib() -> int:
    text = Path("/proc/meminfo").read_text(encoding="utf-8")
    return int(text.split("MemTotal:")[1].split()[0])
