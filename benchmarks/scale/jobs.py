"""A suite on a Dask cluster of this machine, under each fault: its rows, time and overhead."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from time import monotonic, sleep
from typing import IO

from benchmarks.scale.cases import disk_bytes
from benchmarks.scale.dask_cluster import DaskCluster, TimedProcess
from benchmarks.scale.faults import Fault, NotPossibleError, Situation
from benchmarks.scale.rows import Measurement
from benchmarks.scale.suite import Rows, finished_jobs, results, write_suite
from wsseg.suite.definition import load_suite, plan

POLL_S = 0.2
MAX_COMMANDS = 8  # until the suite is done


@dataclass(frozen=True)
class SuiteRun:
    """A suite's run: what it cost, and its results."""

    commands: int
    seconds: float  # of all commands
    scheduler_s: float  # CPU time of the Dask schedulers
    command_s: float  # CPU time of the commands between the first and the last job that finished
    workers_s: float  # CPU time of the workers
    rows: Rows

    @property
    def overhead(self) -> float:
        """The share of the scheduler and the command in the CPU time, while jobs ran."""
        spent = self.scheduler_s + self.command_s
        return spent / (spent + self.workers_s)


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
        undisturbed: SuiteRun | None = None
        size = 0
        for fault in faults:
            out = self.work / fault.name.replace(" ", "-")
            try:
                fault.prepare(out, size)
            except NotPossibleError as reason:
                yield Measurement("jobs", fault.name, f"not measured: {reason}", 0.0)
                continue
            try:
                run = self._run(fault, out, jobs)
                fault.check()
                size = size or disk_bytes(out)
            finally:
                fault.clean_up(out)
                rmtree(out, ignore_errors=True)
            undisturbed = undisturbed or run
            yield from _measurements(fault, run, undisturbed, jobs)

    def _run(self, fault: Fault, out: Path, jobs: int) -> SuiteRun:
        """Run the suite under a fault until a command succeeds."""
        folder = self.work / f"{out.name}-dask"
        folder.mkdir()
        cluster = DaskCluster(folder, self.workers, self._environment, fault.preload)
        cluster.start()
        seconds = command_s = 0.0
        try:
            for commands in range(1, MAX_COMMANDS + 1):
                text = folder / "command.txt"
                start = partial(self._suite_command, out, cluster)
                with text.open("wb") as file:
                    command = Watched(TimedProcess(start(file)))
                while command.process.poll() is None:
                    cluster.replace_workers()
                    cluster.poll()
                    finished = finished_jobs(out)
                    command.count(finished)
                    fault.disturb(Situation(cluster, out, jobs, finished, start))
                    sleep(POLL_S)
                seconds += monotonic() - command.started
                command_s += command.cpu_s
                output = text.read_text(encoding="utf-8")
                if "Traceback" in output:
                    raise RuntimeError(output)
                if command.process.process.returncode == 0:
                    scheduler_s, workers_s = cluster.cpu_s()
                    rows = results(out / "rows.csv")
                    return SuiteRun(commands, seconds, scheduler_s, command_s, workers_s, rows)
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


class Watched:
    """A command, and its CPU time between the first and the last job that it finished."""

    def __init__(self, process: TimedProcess) -> None:
        self.process, self.started = process, monotonic()
        self._finished: int | None = None
        self._first_s = self._last_s = 0.0

    def count(self, finished: int) -> None:
        """Note the number of finished jobs."""
        now = self.process.cpu_s
        if self._finished is None:
            self._finished = finished
        elif finished != self._finished:
            self._finished, self._last_s = finished, now
            self._first_s = self._first_s or now

    @property
    def cpu_s(self) -> float:
        """The CPU time between the first and the last job."""
        return self._last_s - self._first_s


def _settings_of_phantoms() -> tuple[str, ...]:
    """Return the options with which a recipe has the cohort of the suite."""
    values = ("cohort.cases=10", "cohort.size=64", "cohort.slices=10", "input.size=64")
    return tuple(word for each in values for word in ("--set", each))


def _measurements(
    fault: Fault, run: SuiteRun, undisturbed: SuiteRun, jobs: int
) -> Iterator[Measurement]:
    equal = sum(a == b for a, b in zip(run.rows, undisturbed.rows, strict=False))
    if len(run.rows) != len(undisturbed.rows):
        equal = 0
    values = {
        "jobs": jobs,
        "faults": fault.count,
        "commands": run.commands,
        "seconds": run.seconds,
        "CPU seconds of workers": run.workers_s,
        "CPU seconds of scheduler": run.scheduler_s,
        "CPU seconds of command": run.command_s,
        "overhead": run.overhead,
        "rows": len(run.rows),
        "equal rows": equal,
    }
    for quantity, value in values.items():
        yield Measurement("jobs", fault.name, quantity, float(value))
