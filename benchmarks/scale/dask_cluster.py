"""A Dask cluster on this machine whose processes can be killed, replaced and timed."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 300.0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a running process of this machine, or 0 if it has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(state[11]) + int(state[12])) / TICKS_PER_S  # utime and stime


@dataclass
class TimedProcess:
    """A process whose CPU time is known after its end: it is read at each `poll`."""

    process: "subprocess.Popen[bytes]"
    cpu_s: float = 0.0

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        self.cpu_s = max(self.cpu_s, cpu_seconds(self.process.pid))
        return self.process.poll()

    def kill(self) -> None:
        """Kill the process by SIGKILL and wait for its end."""
        self.poll()
        self.process.kill()
        self.process.wait()


@dataclass
class DaskCluster:
    """A Dask scheduler and its workers, of one thread each."""

    folder: Path
    number: int
    environment: Mapping[str, str]
    preload: Path | None = None  # a Python file that each worker runs first
    schedulers: list[TimedProcess] = field(default_factory=list)  # with those that have ended
    workers: list[TimedProcess] = field(default_factory=list)

    @property
    def address_file(self) -> Path:
        """The file in which the scheduler writes its address."""
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        return str(json.loads(self.address_file.read_text(encoding="utf-8"))["address"])

    def start(self) -> None:
        """Start a scheduler, and the workers.

        Raises:
            RuntimeError: The scheduler does not start.
        """
        self.address_file.unlink(missing_ok=True)
        words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        words += ["--scheduler-file", str(self.address_file)]
        self.schedulers.append(self._process("distributed.cli.dask_scheduler", *words))
        deadline = monotonic() + START_TIMEOUT_S
        while not self.address_file.exists():
            if monotonic() > deadline or self.schedulers[-1].poll() is not None:
                raise RuntimeError(f"no Dask scheduler: see {self.folder}/dask.txt")
            sleep(0.1)
        self.replace_workers()

    def poll(self) -> None:
        """Update the CPU times of all processes."""
        for each in (*self.schedulers, *self.workers):
            each.poll()

    def replace_workers(self) -> int:
        """Start a new worker for each one that has ended, and return the number of new ones.

        Without a scheduler, none is started.
        """
        if self.schedulers[-1].poll() is not None:
            return 0
        missing = self.number - sum(each.poll() is None for each in self.workers)
        words = ["--no-dashboard", "--no-nanny", "--nthreads", "1"]
        words += ["--scheduler-file", str(self.address_file)]
        words += ["--local-directory", str(self.folder / "dask")]
        words += [] if self.preload is None else ["--preload", str(self.preload)]
        for _ in range(missing):
            self.workers.append(self._process("distributed.cli.dask_worker", *words))
        return missing

    def kill_worker(self, random: Random) -> None:
        """Kill one of the workers that run."""
        random.choice([each for each in self.workers if each.poll() is None]).kill()

    def kill_scheduler(self) -> None:
        """Kill the scheduler; its workers then end by themselves."""
        self.schedulers[-1].kill()

    def stop(self) -> None:
        """Kill all processes."""
        for each in (*self.workers, *self.schedulers):
            each.kill()

    def cpu_s(self) -> tuple[float, float]:
        """Return the CPU times of all schedulers and of all workers so far."""
        return sum(each.cpu_s for each in self.schedulers), sum(each.cpu_s for each in self.workers)

    def _process(self, module: str, *words: str) -> TimedProcess:
        with (self.folder / "dask.txt").open("ab") as log:
            return TimedProcess(
                subprocess.Popen(  # noqa: S603 - Dask's own commands
                    [sys.executable, "-m", module, *words],
                    env=os.environ | self.environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
