"""Timing of alternatives in turns, so that a busy moment of the machine affects all of them."""

import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

REPEATS = 5
KIB_PER_MIB = 1024


@dataclass(frozen=True)
class Measurement:
    """A measured quantity: a value for each round, and bounds that their median should keep."""

    name: str
    values: tuple[float, ...]
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def value(self) -> float:
        """The median over the rounds."""
        return median(self.values)


class Subject(Protocol):
    """A subject of the benchmark: its fields are its sizes, its docstring is shown on the page."""

    def measure(self) -> Iterator[Measurement]:
        """Yield measurements as they are made."""


def time_in_turns(
    alternatives: Mapping[str, Callable[[], object]], repeats: int = REPEATS
) -> dict[str, tuple[float, ...]]:
    """Return the seconds of each alternative in each round; a round runs all of them in order.

    A first round, which fills caches, is not counted.
    """
    timed = {name: partial(seconds_of, function) for name, function in alternatives.items()}
    return seconds_in_turns(timed, repeats)


def seconds_in_turns(
    alternatives: Mapping[str, Callable[[], float]], repeats: int = REPEATS
) -> dict[str, tuple[float, ...]]:
    """Do the same for alternatives that return their own seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for function in alternatives.values():
        function()
    for _ in range(repeats):
        for name, function in alternatives.items():
            gc.collect()
            seconds[name].append(function())
    return {name: tuple(values) for name, values in seconds.items()}


def seconds_of(function: Callable[[], object]) -> float:
    """Call a function and return how long it took."""
    started = perf_counter()
    function()
    return perf_counter() - started


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, ...]:
    """Divide round by round, so that both values of a ratio were measured one after the other."""
    return tuple(a / b for a, b in zip(numerators, denominators, strict=True))


def rates(amount: float, seconds: Sequence[float]) -> tuple[float, ...]:
    """Return the amount of work per second in each round."""
    return tuple(amount / each for each in seconds)


def in_new_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a new process; the function, its arguments and its result are pickled."""
    with new_process() as pool:
        return pool.submit(function, *args, **kwargs).result()


def new_process() -> ProcessPoolExecutor:
    """Return an executor with one new process."""
    return ProcessPoolExecutor(1, get_context("spawn"))


def peak_mib(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    """Return the peak increase in resident memory while a new process runs `function`."""
    return in_new_process(_peak_mib, function, args, kwargs)


def _peak_mib(
    function: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]
) -> float:
    before = resident_mib("VmRSS")
    function(*args, **kwargs)
    return resident_mib("VmHWM") - before


def resident_mib(field: str) -> float:
    """Return the resident memory of this process on Linux: VmRSS is its current, VmHWM its peak."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / KIB_PER_MIB
    raise LookupError(f"process {os.getpid()} has no {field}")
