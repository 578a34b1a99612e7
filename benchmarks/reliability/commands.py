"""Commands of `wsseg` in their own processes, which can be limited, timed and killed."""

import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock

PRELOADED = (  # modules that take seconds to import; processes are forked from a server with them
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
OUTPUT = "output.txt"
UNLIMITED = resource.RLIM_INFINITY
# Starting a process reads the exit codes of all that have ended. Each can be read once: a second
# thread that reads at the same time gets 255.
READING_EXIT_CODES = Lock()


@dataclass(frozen=True)
class Result:
    """The exit code and the output of a command.

    The code is None if the command was killed at its time limit, and negative if a signal ended it.
    """

    code: int | None
    output: str


@dataclass(frozen=True)
class Command:
    """A command line of `wsseg`, run in a folder; its output goes to `output.txt` there."""

    words: tuple[str, ...]
    folder: Path
    memory_bytes: int = UNLIMITED  # that it may allocate in addition to its memory at the start
    file_bytes: int = UNLIMITED  # of one file, after which writing fails as on a full disk
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> BaseProcess:
        """Start the command; the caller joins or kills the process."""
        process = _server().Process(target=_run, args=(self,))
        with READING_EXIT_CODES:
            process.start()
        return process

    def run(self, timeout_s: float) -> Result:
        """Run the command, and kill it after `timeout_s`."""
        process = self.start()
        wait([process.sentinel], timeout_s)
        with READING_EXIT_CODES:
            code = process.exitcode
            if code is None:
                kill(process)
        return Result(code, self.output())

    def output(self) -> str:
        """Return the output of the command, including standard error."""
        path = self.folder / OUTPUT
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def kill(process: BaseProcess) -> None:
    """Kill a process by SIGKILL and wait for its end."""
    process.kill()
    process.join()


@lru_cache(maxsize=1)
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _run(command: Command) -> None:
    with (command.folder / OUTPUT).open("wb") as file:
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

    torch.set_num_threads(1)  # more threads are slower on a busy machine
    main()


def _limit(resource_type: int, soft_limit: int) -> None:
    resource.setrlimit(resource_type, (soft_limit, resource.getrlimit(resource_type)[1]))


def _data_bytes() -> int:
    """Return the private memory of this process; it depends on the number of cores."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    data = next(line for line in lines if line.startswith("VmData:"))
    return 2**10 * int(data.split()[1])


def words(*parts: object) -> tuple[str, ...]:
    """Return the arguments of a command line as strings."""
    return tuple(map(str, parts))


def file_contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files below a folder, by their relative paths."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
