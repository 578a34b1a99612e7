"""Time and memory of checking, planning and the manifest over the number of cases."""

import os
import subprocess
import sys
from collections import defaultdict
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
ROUNDS = 5  # of the steps that take seconds
WSSEG = (sys.executable, "-m", "wsseg")
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
        """Yield the costs of each step for each number of cases, then the growth of the cache.

        The steps that take seconds are run in rounds, so that a machine whose speed changes is as
        fast for one number of cases as for another, and the fastest run counts.
        """
        scans = self.work / "scans"
        write_scans(scans, max(self.sizes))
        recipes = {cases: write_table(scans, cases) for cases in self.sizes}
        for cases, recipe in recipes.items():
            for step in ("data check", "data check, again"):
                yield from _measurements(step, cases, self._cost(_check(recipe), cases))
        costs: dict[tuple[str, int], list[Cost]] = defaultdict(list)
        for _ in range(ROUNDS):
            for cases, recipe in recipes.items():
                run = self.work / f"run-{cases}"
                suite = recipe.with_name(f"suite-{cases}.yaml")
                for step, command in (
                    ("bench run --dry-run", _dry_run(suite, run)),
                    ("manifest", (sys.executable, "-m", MANIFEST, str(recipe), str(run))),
                ):
                    costs[step, cases].append(self._cost(command, cases))
        for (step, cases), found in costs.items():
            yield from _measurements(step, cases, min(found, key=lambda cost: cost.cpu_s))
        yield from self._cache_growth()

    def _cache_growth(self) -> Iterator[Measurement]:
        """Yield the size of the cache after a check without a limit, and the peak with a limit."""
        cases = self.sizes[0]
        free = disk_bytes(self.work / f"cache-{cases}")
        limit, cache = CACHE_SHARE * free, self.work / "limited-cache"
        command = _check(self.work / "scans" / f"cohort-{cases}.yaml")
        environment = {"WSSEG_CACHE": str(cache), LIMIT: str(limit / GB)}
        with (self.work / "output.txt").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - this command
                command, env=os.environ | environment, stdout=output, stderr=output
            )
            peak = 0
            while process.poll() is None:
                peak = max(peak, disk_bytes(cache))
                sleep(POLL_S)
        for quantity, value in zip(CACHE_SIZES, (free, limit, peak), strict=True):
            yield Measurement("cases", CACHE, f"{quantity}, MB", value / 1e6)

    def _cost(self, command: Sequence[str], cases: int) -> Cost:
        """Run a command with the cache of a number of cases and return its cost.

        Raises:
            RuntimeError: The command failed.
        """
        started, peak = perf_counter(), 0.0
        environment = os.environ | {"WSSEG_CACHE": str(self.work / f"cache-{cases}")}
        with (self.work / "output.txt").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - commands of this benchmark
                command, env=environment, stdout=output, stderr=output
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


def _measurements(step: str, cases: int, cost: Cost) -> Iterator[Measurement]:
    for quantity, value in vars(cost).items():
        yield Measurement("cases", f"{step}, {cases} cases", quantity, value)


def _check(recipe: Path) -> tuple[str, ...]:
    return (*WSSEG, "data", "check", str(recipe))


def _dry_run(suite: Path, folder: Path) -> tuple[str, ...]:
    return (*WSSEG, "bench", "run", str(suite), "--out", str(folder), "--dry-run")


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
