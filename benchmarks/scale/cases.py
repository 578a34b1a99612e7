"""Time and memory of checking, planning and the manifest over the number of cases."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.scale.cohort import write_scans, write_table
from benchmarks.scale.rows import Measurement
from wsseg.runtime.cache import GB, LIMIT

MANIFEST = "benchmarks.scale.write_manifest"
CACHE = "cache"  # the name of its measurements
CACHE_SIZES = ("without a limit", "limit", "peak with the limit")
POLL_S = 0.1
KIB_PER_MIB = 1024
REPEATS = 3  # of each step but the first, which fills the cache
CACHE_SHARE = 0.25  # limit of the cache, relative to its size without a limit


@dataclass(frozen=True)
class Cost:
    """What a command cost."""

    seconds: float
    cpu_s: float
    peak_mib: float  # anonymous memory, without the libraries that processes share


@dataclass(frozen=True)
class CohortBenchmark:
    """A simulated cohort in the folder `work`, of which the first cases are used."""

    work: Path
    sizes: Sequence[int]

    def measure(self) -> Iterator[Measurement]:
        """Yield the costs of each step for each number of cases, then the growth of the cache."""
        scans = self.work / "scans"
        write_scans(scans, max(self.sizes))
        for cases in self.sizes:
            recipe, cache = write_table(scans, cases), self.work / f"cache-{cases}"
            suite, run = recipe.with_name(f"suite-{cases}.yaml"), self.work / f"run-{cases}"
            wsseg = (sys.executable, "-m", "wsseg")
            steps = {
                "data check": (*wsseg, "data", "check", str(recipe)),
                "data check, again": (*wsseg, "data", "check", str(recipe)),
                "bench run --dry-run": (
                    *wsseg,
                    "bench",
                    "run",
                    str(suite),
                    "--out",
                    str(run),
                    "--dry-run",
                ),
                "manifest": (sys.executable, "-m", MANIFEST, str(recipe), str(run)),
            }
            for number, (step, command) in enumerate(steps.items()):
                runs = [
                    self._cost(command, {"WSSEG_CACHE": str(cache)})
                    for _ in range(REPEATS if number else 1)
                ]
                cost = sorted(runs, key=lambda run: run.cpu_s)[len(runs) // 2]
                for quantity, value in vars(cost).items():
                    yield Measurement("cases", f"{step}, {cases} cases", quantity, value)
        yield from self._cache_growth()

    def _cache_growth(self) -> Iterator[Measurement]:
        """Yield the size of the cache after a check without a limit, and the peak with a limit."""
        cases = self.sizes[0]
        free = disk_bytes(self.work / f"cache-{cases}")
        limit, cache = CACHE_SHARE * free, self.work / "limited-cache"
        command = [sys.executable, "-m", "wsseg", "data", "check"]
        recipe = self.work / "scans" / f"cohort-{cases}.yaml"
        environment = {"WSSEG_CACHE": str(cache), LIMIT: str(limit / GB)}
        with (self.work / "output.txt").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - this command
                [*command, str(recipe)], env=os.environ | environment, stdout=output, stderr=output
            )
            peak = 0
            while process.poll() is None:
                peak = max(peak, disk_bytes(cache))
                sleep(POLL_S)
        for quantity, value in zip(CACHE_SIZES, (free, limit, peak), strict=True):
            yield Measurement("cases", CACHE, f"{quantity}, MB", value / 1e6)

    def _cost(self, command: Sequence[str], environment: dict[str, str]) -> Cost:
        """Run a command and return its cost.

        Raises:
            RuntimeError: The command failed.
        """
        started, peak = perf_counter(), 0.0
        with (self.work / "output.txt").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - commands of this benchmark
                command, env=os.environ | environment, stdout=output, stderr=output
            )
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            peak = max(peak, anonymous_mib(process.pid))
            sleep(POLL_S)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            text = (self.work / "output.txt").read_text(encoding="utf-8")
            raise RuntimeError(f"{' '.join(command)}: {text}")
        return Cost(perf_counter() - started, usage.ru_utime + usage.ru_stime, peak)


def anonymous_mib(pid: int) -> float:
    """Return the memory of a process that no file backs, or 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / KIB_PER_MIB


def disk_bytes(folder: Path) -> int:
    """Return the size of the files below a folder, some of which may be deleted meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(place, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
