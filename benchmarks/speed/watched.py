"""A command's time and memory, its child processes included."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

import psutil

EVERY_S = 0.05
MIB = 2**20


@dataclass(frozen=True)
class Spent:
    """What a command took, memory at its highest."""

    seconds: float
    anonymous_mib: float  # its own; without files that are mapped and memory that is shared
    resident_mib: float  # all


def watched(folder: Path, *words: str | Path, cache: Path) -> Spent:
    """Run `wsseg` with these words in `folder`, its cache in `cache`.

    Raises:
        RuntimeError: It failed; what it said is told.
    """
    command = [sys.executable, "-m", "wsseg", *map(str, words)]
    said = folder / "said.txt"
    started = perf_counter()
    environment = os.environ | {"WSSEG_CACHE": str(cache)}
    with said.open("w") as file:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    anonymous = resident = 0
    while process.poll() is None:
        now = [memory for each in _family(process.pid) for memory in _memory(each)]
        anonymous = max(anonymous, sum(own for own, _ in now))
        resident = max(resident, sum(all_ for _, all_ in now))
        sleep(EVERY_S)
    seconds = perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {said.read_text()}")
    return Spent(seconds, anonymous / MIB, resident / MIB)


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _memory(process: psutil.Process) -> Iterator[tuple[int, int]]:
    """Yield a process's own and its whole resident memory in bytes; nothing if it just ended."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        memory = process.memory_info()
        yield memory.rss - memory.shared, memory.rss
