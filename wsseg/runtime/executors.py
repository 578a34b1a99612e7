"""Who does the work: this process, several of this machine, or the workers of a Dask cluster."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, final

import joblib

from wsseg.errors import InputError
from wsseg.runtime.launcher import exit_with_parent

T = TypeVar("T")
R = TypeVar("R")

ANSWER_S = 10  # within which a scheduler that is there answers
Backend: TypeAlias = Literal["loky", "dask"]


class WorkerDiedError(Exception):
    """A worker was killed each time it was at this, also when it was at nothing else."""

    def __str__(self) -> str:
        return "its worker was killed, also when nothing else ran; was the memory too small?"


class Workers(ABC):
    """Does one piece of work for each of many things."""

    @abstractmethod
    def each(
        self, work: Callable[[T], R], things: Sequence[T]
    ) -> Iterator[tuple[T, R | WorkerDiedError]]:
        """Yield each thing with what `work` returned for it, as they finish.

        `work` and its things are pickled, so they should be small, and `work` is a function of a
        module. What it raises ends everything: it should return what may go wrong.
        """


@final
@dataclass(frozen=True)
class ThisProcess(Workers):
    """One thing after the other, here."""

    threads: int | None = None  # of torch; None: as many as it takes by itself

    def each(
        self, work: Callable[[T], R], things: Sequence[T]
    ) -> Iterator[tuple[T, R | WorkerDiedError]]:
        """See `Workers.each`."""
        for thing in things:
            yield thing, _with_threads(work, self.threads, thing)


@final
@dataclass(frozen=True)
class Processes(Workers):
    """Several processes of this machine, by joblib and its backend loky."""

    number: int
    threads: int | None = None  # of torch in each; None: the cores, shared among the processes

    def each(
        self, work: Callable[[T], R], things: Sequence[T]
    ) -> Iterator[tuple[T, R | WorkerDiedError]]:
        """See `Workers.each`. What a killed worker had in hand is done again, alone."""
        left, again = dict(enumerate(things)), dict[int, T]()
        while left:
            begun: list[int] = []
            try:
                for index, result in self._attempt(work, dict(left), begun):
                    yield left.pop(index), result
            except BrokenProcessPool:
                again |= {index: left.pop(index) for index in tuple(begun) if index in left}
        for index, thing in again.items():
            try:
                for _, result in self._attempt(work, {index: thing}, []):
                    yield thing, result
            except BrokenProcessPool:
                yield thing, WorkerDiedError()

    def _attempt(
        self, work: Callable[[T], R], things: Mapping[int, T], begun: list[int]
    ) -> Iterator[tuple[int, R]]:
        """Do the work while no worker dies, noting what was `begun`."""

        def calls() -> Iterator[Any]:
            for index, thing in things.items():
                begun.append(index)
                yield joblib.delayed(_numbered)(work, self.threads, index, thing)

        with joblib.parallel_config(
            "loky",
            inner_max_num_threads=self.threads,
            initializer=exit_with_parent,
            initargs=(os.getpid(),),
        ):
            yield from joblib.Parallel(
                max(2, self.number),  # joblib does the work of one process in this one
                pre_dispatch=self.number,
                batch_size=1,
                return_as="generator_unordered",
            )(calls())


@final
@dataclass(frozen=True)
class Cluster(Workers):
    """The workers of a Dask cluster.

    Not by joblib's backend for it (1.6), which waits for ever for what a killed worker had in hand.
    """

    client: Any
    threads: int | None = None  # of torch in each; None: as the worker was started

    def each(
        self, work: Callable[[T], R], things: Sequence[T]
    ) -> Iterator[tuple[T, R | WorkerDiedError]]:
        """See `Workers.each`. The scheduler gives what a dead worker had to another, thrice."""
        from distributed import KilledWorker, as_completed

        do = partial(_there, Path.cwd(), work, self.threads)
        futures = {self.client.submit(do, thing, pure=False): thing for thing in things}
        try:
            for future in as_completed(futures, loop=self.client.loop):
                try:
                    yield futures[future], future.result()
                except KilledWorker:
                    yield futures[future], WorkerDiedError()
                except ImportError as error:
                    raise InputError(
                        f"a Dask worker cannot do this ({error}); install what is installed here "
                        "where the workers run"
                    ) from None
        finally:
            self.client.cancel(list(futures))


def threads_each(jobs: int) -> int:
    """Return how many threads of torch each of `jobs` on this machine has if nobody says."""
    if jobs == 1 or "OMP_NUM_THREADS" in os.environ:  # joblib too leaves that as it is
        import torch

        return torch.get_num_threads()
    return max(1, int(joblib.cpu_count()) // jobs)


@contextmanager
def open_workers(
    backend: Backend = "loky",
    jobs: int | None = None,
    scheduler: str | None = None,
    threads: int | None = None,
) -> Iterator[Workers]:
    """Return who works: `jobs` processes, without it this one; or a Dask scheduler's workers.

    Raises:
        InputError: What is asked for does not fit together, or no scheduler with workers answers.
    """
    if backend == "loky":
        if scheduler is not None:
            raise InputError("--scheduler is the address for --backend dask; add that")
        yield ThisProcess(threads) if jobs in (None, 1) else Processes(jobs, threads)
        return
    if scheduler is None:
        raise InputError("--backend dask needs --scheduler ADDRESS, for example tcp://node7:8786")
    if jobs is not None:
        raise InputError("--jobs is for --backend loky; with dask each worker's thread is a job")
    with _connected(scheduler) as client:
        yield Cluster(client, threads)


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--backend dask needs Dask; install it: pip install 'wsseg[dask]'"
        ) from None
    try:
        client = Client(scheduler, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers ({reason})") from None
    with client:
        yield client


def _there(folder: Path, work: Callable[[T], R], threads: int | None, thing: T) -> R:
    """Work in the folder that relative paths are relative to; the file system is shared."""
    os.chdir(folder)
    return _with_threads(work, threads, thing)


def _with_threads(work: Callable[[T], R], threads: int | None, thing: T) -> R:
    if threads is not None:
        import torch  # seconds, in a new process

        torch.set_num_threads(threads)
    return work(thing)


def _numbered(work: Callable[[T], R], threads: int | None, index: int, thing: T) -> tuple[int, R]:
    return index, _with_threads(work, threads, thing)
