"""`wsseg` in a process of its own, which can be limited, timed and killed."""

import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = (  # by the server that processes are forked from: to import them takes seconds
    "__main__",
    "albumentations",
    "pydicom",
    "wsseg.suite.runner",
    "wsseg.cli",
    "wsseg.evaluation.evaluate",
    "wsseg.training.trainer",
    "wsseg.report.build",
    "wsseg.inference.batch_prediction",
    "wsseg.report.figures.sections",
    "wsseg.training",
    "wsseg_covid",
)
SAID = "said.txt"
UNLIMITED = resource.RLIM_INFINITY


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code (None: it was killed for taking too long) and its words.

    A negative code is the signal that it died of.
    """

    code: int | None
    said: str


@dataclass(frozen=True)
class Command:
    """A command line of `wsseg`, run inside a folder; what it prints goes to `said.txt` there."""

    words: tuple[str, ...]
    folder: Path
    memory_bytes: int = UNLIMITED  # that it may ask for besides what it has at its start
    file_bytes: int = UNLIMITED  # that one file may have, as if the disk were full then
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> BaseProcess:
        """Run it; the caller joins or kills it."""
        process = _server().Process(target=_run, args=(self,))
        process.start()
        return process

    def run(self, most_seconds: float) -> Ended:
        """Run it to its end, or to the end of its time."""
        process = self.start()
        process.join(most_seconds)
        if process.exitcode is None:
            kill(process)
            return Ended(None, self.said())
        return Ended(process.exitcode, self.said())

    def said(self) -> str:
        """Return what it printed, also to standard error."""
        path = self.folder / SAID
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def kill(process: BaseProcess) -> None:
    """End a process as `kill -9` does, and wait until it is gone."""
    process.kill()
    process.join()


@lru_cache(maxsize=1)
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _run(command: Command) -> None:
    with (command.folder / SAID).open("wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.chdir(command.folder)
    os.environ.update(command.environment)
    if command.memory_bytes != UNLIMITED:
        _limit(resource.RLIMIT_DATA, command.memory_bytes + _data_bytes())
    _limit(resource.RLIMIT_FSIZE, command.file_bytes)
    sys.argv = ["wsseg", *command.words]
    import torch

    from wsseg.cli import main

    torch.set_num_threads(1)  # more would wait for each other on a busy machine
    main()


def _limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def _data_bytes() -> int:
    """Return the private memory of this process: libraries take more of it where cores are many."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    data = next(line for line in lines if line.startswith("VmData:"))
    return 2**10 * int(data.split()[1])


def words(*parts: object) -> tuple[str, ...]:
    """Return a command line's words."""
    return tuple(map(str, parts))


def tree(folder: Path) -> dict[str, bytes]:
    """Return what every file below a folder holds, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
