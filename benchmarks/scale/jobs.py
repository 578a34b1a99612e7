"""A suite on a Dask cluster of this machine, under each fault: its rows, time and overhead."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from time import monotonic, sleep
from typing import IO

from benchmarks.scale.cases import disk_bytes
from benchmarks.scale.dask_cluster import DaskCluster, TimedProcess
from benchmarks.scale.faults import Fault, NotPossibleError, Situation, Undisturbed
from benchmarks.scale.rows import FAILED, Measurement
from benchmarks.scale.suite import Rows, finished_jobs, results, write_suite
from wsseg.suite.definition import load_suite, plan

POLL_S = 0.2
MAX_COMMANDS = 8  # until the suite is done


@dataclass(frozen=True)
class CpuTime:
    """CPU seconds of the processes that run a suite."""

    command: float
    scheduler: float
    workers: float

    def __add__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def overhead(self) -> float:
        """The share of the command and the scheduler."""
        spent = self.command + self.scheduler
        return spent / max(spent + self.workers, 1e-9)


NONE = CpuTime(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class SuiteRun:
    """A suite's run: what it cost, and its results."""

    commands: int
    seconds: float  # of all commands
    cpu: CpuTime  # between the first and the last job that finished in each command
    rows: Rows


@dataclass(frozen=True)
class SuiteBenchmark:
    """A suite of `jobs` jobs on a Dask cluster of `workers` workers, in the folder `work`."""

    work: Path
    jobs: int
    workers: int

    def measure(self, faults: Iterator[Fault]) -> Iterator[Measurement]:
        """Yield the measurements of the suite under each fault; the first one is undisturbed."""
        suite = write_suite(self.work, self.jobs)
        jobs = len(plan(load_suite(suite), self.work))
        with (self.work / "phantoms.txt").open("wb") as file:  # drawn before anything is timed
            drawing = ("data", "check", "covid/demo-em", *_settings_of_phantoms())
            self._command(*drawing, output=file).wait()
        first: SuiteRun | None = None
        undisturbed = Undisturbed(0.0, 0)
        for fault in faults:
            out = self.work / fault.name.replace(" ", "-")
            try:
                fault.prepare(out, undisturbed)
            except NotPossibleError as reason:
                yield Measurement("jobs", fault.name, f"not measured: {reason}", 0.0)
                continue
            try:
                run = self._run(fault, out, jobs)
                fault.check()
            except RuntimeError as error:
                if first is None:
                    raise
                last_line = str(error).strip().rpartition("\n")[2]
                yield Measurement("jobs", fault.name, f"{FAILED}: {last_line}", 0.0)
                continue
            else:
                if first is None:
                    first, undisturbed = run, Undisturbed(run.seconds, disk_bytes(out))
            finally:
                fault.clean_up(out)
                rmtree(out, ignore_errors=True)
            yield from _measurements(fault, run, first, jobs)

    def _run(self, fault: Fault, out: Path, jobs: int) -> SuiteRun:
        """Run the suite under a fault until a command succeeds."""
        folder = self.work / f"{out.name}-dask"
        folder.mkdir()
        cluster = DaskCluster(folder, self.workers, self._environment, fault.preload)
        cluster.start()
        seconds, cpu = 0.0, NONE
        try:
            for commands in range(1, MAX_COMMANDS + 1):
                text = folder / "command.txt"
                start = partial(self._suite_command, out, cluster)
                with text.open("wb") as file:
                    command = TimedProcess(start(file))
                started, jobs_time = monotonic(), TimeOfJobs()
                while command.poll() is None:
                    cluster.replace_workers()
                    cluster.poll()
                    finished = finished_jobs(out)
                    jobs_time.update(finished, CpuTime(command.cpu_s, *cluster.cpu_s()))
                    fault.disturb(Situation(cluster, out, jobs, finished, start))
                    sleep(POLL_S)
                seconds += monotonic() - started
                cpu += jobs_time.cpu
                output = text.read_text(encoding="utf-8")
                if "Traceback" in output:
                    raise RuntimeError(output)
                if command.process.returncode == 0:
                    return SuiteRun(commands, seconds, cpu, results(out / "rows.csv"))
                print(output.rstrip().rpartition("\n")[2], flush=True)
                fault.repair(Situation(cluster, out, jobs, finished_jobs(out), start))
        finally:
            cluster.stop()
        raise RuntimeError(f"{fault.name}: not done after {MAX_COMMANDS} commands: {output}")

    @property
    def _environment(self) -> dict[str, str]:
        return {"WSSEG_CACHE": str(self.work / "cache"), "OMP_NUM_THREADS": "1"}

    def _suite_command(
        self, out: Path, cluster: DaskCluster, output: int | IO[bytes] = subprocess.PIPE
    ) -> "subprocess.Popen[bytes]":
        words = ("bench", "run", str(self.work / "suite.yaml"), "--out", str(out), "--threads", "1")
        options = ("--backend", "dask", "--scheduler", cluster.address)
        return self._command(*words, *options, output=output)

    def _command(self, *words: str, output: int | IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - this command
            [sys.executable, "-m", "wsseg", *words],
            cwd=self.work,
            env=os.environ | self._environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


class TimeOfJobs:
    """The CPU time between the first and the last job that finishes during a command."""

    def __init__(self) -> None:
        self._finished: int | None = None
        self._first: CpuTime | None = None
        self.cpu = NONE

    def update(self, finished: int, now: CpuTime) -> None:
        """Note the number of finished jobs and the CPU time so far."""
        if self._finished is None:
            self._finished = finished
        elif finished != self._finished:
            self._finished = finished
            self._first = self._first or now
            self.cpu = now - self._first


def _settings_of_phantoms() -> tuple[str, ...]:
    """Return the options with which a recipe has the cohort of the suite."""
    values = ("cohort.cases=10", "cohort.size=64", "cohort.slices=10", "input.size=64")
    return tuple(word for each in values for word in ("--set", each))


def _measurements(fault: Fault, run: SuiteRun, first: SuiteRun, jobs: int) -> Iterator[Measurement]:
    equal = sum(a == b for a, b in zip(run.rows, first.rows, strict=False))
    if len(run.rows) != len(first.rows):
        equal = 0
    values = {
        "jobs": jobs,
        "faults": fault.count,
        "commands": run.commands,
        "seconds": run.seconds,
        "CPU seconds of workers": run.cpu.workers,
        "CPU seconds of scheduler": run.cpu.scheduler,
        "CPU seconds of command": run.cpu.command,
        "overhead": run.cpu.overhead,
        "rows": len(run.rows),
        "equal rows": equal,
    }
    for quantity, value in values.items():
        yield Measurement("jobs", fault.name, quantity, float(value))
