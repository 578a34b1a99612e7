"""Times of ways to do one thing, taken by turns so that a busy moment meets all of them."""

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

REPEATS = 5
KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Row:
    """A line of the table: one measured value a repeat, and what is asked of their median."""

    name: str
    values: tuple[float, ...]
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def value(self) -> float:
        """The median of the repeats."""
        return median(self.values)


def by_turns(
    ways: Mapping[str, Callable[[], object]], repeats: int = REPEATS
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of each way, one a round; each round runs all of them, A B A B ...

    A round before the first warms caches and is not counted.
    """
    return told_by_turns({name: partial(seconds_of, way) for name, way in ways.items()}, repeats)


def told_by_turns(
    ways: Mapping[str, Callable[[], float]], repeats: int = REPEATS
) -> dict[str, tuple[float, ...]]:
    """Do the same with ways that tell themselves how many of their seconds count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(repeats):
        for name, way in ways.items():
            gc.collect()
            seconds[name].append(way())
    return {name: tuple(values) for name, values in seconds.items()}


def seconds_of(way: Callable[[], object]) -> float:
    """Do it, and return how long it took."""
    started = perf_counter()
    way()
    return perf_counter() - started


def ratios(above: Sequence[float], below: Sequence[float]) -> tuple[float, ...]:
    """Divide round by round, so that both numbers of a ratio were taken side by side."""
    return tuple(a / b for a, b in zip(above, below, strict=True))


def rates(amount: float, seconds: Sequence[float]) -> tuple[float, ...]:
    """Return what was done in a second, in each round."""
    return tuple(amount / each for each in seconds)


def in_new_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` in a process of its own; it, its arguments and its result are pickled."""
    with new_process() as pool:
        return pool.submit(function, *args, **kwargs).result()


def new_process() -> ProcessPoolExecutor:
    """Return a process that starts empty."""
    return ProcessPoolExecutor(1, get_context("spawn"))


def peak_mib(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """Return by how much `function` raises the memory of a new process, at its highest."""
    return in_new_process(_peak_mib, function, args, kwargs)


def _peak_mib(
    function: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]
) -> float:
    before = resident_mib("VmRSS")
    function(*args, **kwargs)
    return resident_mib("VmHWM") - before


def resident_mib(field: str) -> float:
    """Return this process's memory as Linux tells it: VmRSS is now, VmHWM the highest so far."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / KIB_PER_MIB
    raise LookupError(f"process {os.getpid()} has no {field}")
