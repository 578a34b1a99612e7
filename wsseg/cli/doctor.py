"""The command `wsseg doctor`."""

from collections.abc import Iterator
from pathlib import Path

import typer

PACKAGES = ("torch", "lightning-fabric", "numpy", "pydantic", "nibabel", "pydicom")


def doctor() -> None:
    """Print versions, device, precision, memory and cache.

    Add this output to a bug report. It contains no names of scans or patients.

    Example: wsseg doctor
    """
    from wsseg.errors import escape_unprintable

    for name, value in (*_software(), *_plugins(), *_hardware(), *_disk()):
        typer.echo(escape_unprintable(f"{name:16}  {value}"))


def _software() -> Iterator[tuple[str, str]]:
    import platform
    from importlib import metadata

    yield "wsseg", metadata.version("wsseg")
    yield "Python", f"{platform.python_version()} on {platform.platform()}"
    for package in PACKAGES:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "not installed"


def _plugins() -> Iterator[tuple[str, str]]:
    from importlib import metadata

    from wsseg.cli.plugin_commands import GROUP
    from wsseg.components.registry import registry

    found, commands = registry(), metadata.entry_points(group=GROUP)
    distributions = {offer.distribution for offer in found.offers.values()}
    distributions |= {
        f"{command.dist.name} {command.dist.version}" for command in commands if command.dist
    }
    for distribution in sorted(distributions - {f"wsseg {metadata.version('wsseg')}"}):
        yield "plugin", distribution
    for failure in found.failures:
        yield "not loaded", f"{failure.distribution}: {failure}"


def _hardware() -> Iterator[tuple[str, str]]:
    import os

    import torch

    from wsseg.report.formatting import counted
    from wsseg.runtime.device import device_name, used_precision

    yield "device", device_name()
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        yield (
            "GPU memory",
            f"{_gb(free)} free of {_gb(total)}, {counted(torch.cuda.device_count(), 'GPU')}",
        )
        yield "CUDA", str(torch.version.cuda)
    yield "precision", f"{used_precision('auto')} with `precision: auto`"
    yield "cores", f"{os.cpu_count()}, of which torch uses {torch.get_num_threads()}"
    if hasattr(os, "sysconf"):  # not on Windows
        yield "memory", _gb(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _disk() -> Iterator[tuple[str, str]]:
    from shutil import disk_usage

    from wsseg.runtime.cache import GB, LIMIT, entries, limit_bytes
    from wsseg.runtime.files import cache_folder

    folder, used = cache_folder(), sum(entry.bytes for entry in entries())
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    yield "cache", f"{folder}: {_gb(used)} of at most {limit_bytes() / GB:g} GB ({LIMIT})"
    yield "disk of cache", f"{_gb(disk_usage(existing).free)} free"
    yield "disk of folder", f"{_gb(disk_usage(Path()).free)} free"


def _gb(size: float) -> str:
    from wsseg.runtime.cache import GB

    return f"{size / GB:.1f} GB"
