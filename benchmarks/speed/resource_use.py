"""Time and memory of a command, including its child processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

import psutil

INTERVAL_S = 0.05
BYTES_PER_MIB = 2**20


@dataclass(frozen=True)
class ResourceUse:
    """The duration and the peak memory of a command."""

    seconds: float
    anonymous_mib: float  # without mapped files and shared memory
    resident_mib: float  # everything


def measure_command(folder: Path, *words: str | Path, cache: Path) -> ResourceUse:
    """Run `wsseg` with the arguments `words` in `folder`, with its cache in `cache`.

    Raises:
        RuntimeError: The command failed; the message contains its output.
    """
    command = [sys.executable, "-m", "wsseg", *map(str, words)]
    output = folder / "output.txt"
    started = perf_counter()
    environment = os.environ | {"WSSEG_CACHE": str(cache)}
    with output.open("w") as file:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    anonymous = resident = 0
    while process.poll() is None:
        now = [memory for each in _process_tree(process.pid) for memory in _memory_bytes(each)]
        anonymous = max(anonymous, sum(own for own, _ in now))
        resident = max(resident, sum(total for _, total in now))
        sleep(INTERVAL_S)
    seconds = perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output.read_text()}")
    return ResourceUse(seconds, anonymous / BYTES_PER_MIB, resident / BYTES_PER_MIB)


def _process_tree(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _memory_bytes(process: psutil.Process) -> Iterator[tuple[int, int]]:
    """Yield the anonymous and the resident memory of a process, or nothing if it has ended."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        memory = process.memory_info()
        yield memory.rss - memory.shared, memory.rss
