"""Executors that apply a function to many items: here, in processes, or on a Dask cluster."""

import logging
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, final

import joblib

from wsseg.errors import InputError, WorkError
from wsseg.runtime.launcher import exit_with_parent

T = TypeVar("T")
R = TypeVar("R")

CONNECT_TIMEOUT_S = 10
Backend: TypeAlias = Literal["loky", "dask"]


class WorkerDiedError(Exception):
    """The worker was killed each time it processed an item, even when it ran alone."""

    def __str__(self) -> str:
        return "its worker process was killed, even when it ran alone; possibly out of memory"


class Workers(ABC):
    """An executor that applies a function to many items."""

    @abstractmethod
    def imap_unordered(
        self, work: Callable[[T], R], items: Sequence[T]
    ) -> Iterator[tuple[T, R | WorkerDiedError]]:
        """Yield each item with the result of `work(item)`, in the order of completion.

        `work` and the items are pickled, so they should be small, and `work` must be defined at
        the top level of a module. If `work` raises an error, the iteration ends; expected errors
        should be returned instead.
        """


@final
@dataclass(frozen=True)
class ThisProcess(Workers):
    """Runs the work in this process, item by item."""

    threads: int | None = None  # of torch; None: unchanged

    def imap_unordered(
        self, work: Callable[[T], R], items: Sequence[T]
    ) -> Iterator[tuple[T, R | WorkerDiedError]]:
        """See `Workers.imap_unordered`."""
        for item in items:
            yield item, _with_threads(work, self.threads, item)


@final
@dataclass(frozen=True)
class Processes(Workers):
    """Runs the work in several processes of this machine, with joblib and its backend loky."""

    number: int
    threads: int | None = None  # of torch per process; None: an equal share of the cores

    def imap_unordered(
        self, work: Callable[[T], R], items: Sequence[T]
    ) -> Iterator[tuple[T, R | WorkerDiedError]]:
        """See `Workers.imap_unordered`. The items of a killed worker are repeated, one by one."""
        left, repeat = dict(enumerate(items)), dict[int, T]()
        while left:
            started: list[int] = []
            try:
                for index, result in self._attempt(work, dict(left), started):
                    yield left.pop(index), result
            except BrokenProcessPool:
                repeat |= {index: left.pop(index) for index in tuple(started) if index in left}
        for index, item in repeat.items():
            try:
                for _, result in self._attempt(work, {index: item}, []):
                    yield item, result
            except BrokenProcessPool:
                yield item, WorkerDiedError()

    def _attempt(
        self, work: Callable[[T], R], items: Mapping[int, T], started: list[int]
    ) -> Iterator[tuple[int, R]]:
        """Yield results until a worker dies; add the index of each started item to `started`."""

        def calls() -> Iterator[Any]:
            for index, item in items.items():
                started.append(index)
                yield joblib.delayed(_indexed)(work, self.threads, index, item)

        # loky replaces workers that keep much memory between items, which loses no result.
        warnings.filterwarnings("ignore", "A worker stopped", UserWarning)
        with joblib.parallel_config(
            "loky",
            inner_max_num_threads=self.threads,
            initializer=exit_with_parent,
            initargs=(os.getpid(),),
        ):
            yield from joblib.Parallel(
                max(2, self.number),  # with 1, joblib would use this process
                pre_dispatch=self.number,
                batch_size=1,
                return_as="generator_unordered",
            )(calls())


@final
@dataclass(frozen=True)
class Cluster(Workers):
    """Runs the work on the workers of a Dask cluster.

    joblib's Dask backend (1.6) is not used: it waits forever for the items of a killed worker.
    """

    client: Any
    threads: int | None = None  # of torch per worker; None: unchanged

    def imap_unordered(
        self, work: Callable[[T], R], items: Sequence[T]
    ) -> Iterator[tuple[T, R | WorkerDiedError]]:
        """See `Workers.imap_unordered`. Dask repeats a dead worker's items up to three times.

        Raises:
            WorkError: The connection to the scheduler was lost.
        """
        from distributed import CancelledError, KilledWorker, as_completed
        from distributed.comm.core import CommClosedError

        remote = partial(_in_folder, Path.cwd(), work, self.threads)
        futures = {self.client.submit(remote, item, pure=False): item for item in items}
        try:
            for future in as_completed(futures, loop=self.client.loop):
                try:
                    yield futures[future], future.result()
                except KilledWorker:
                    yield futures[future], WorkerDiedError()
                except (CancelledError, CommClosedError):
                    # The client logs a traceback if it is closed while reconnecting.
                    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
                    raise WorkError(
                        "the connection to the Dask scheduler was lost. If it has ended, start it "
                        "and its workers again; then run the same command again"
                    ) from None
                except ImportError as error:
                    raise InputError(
                        f"a package is missing on a Dask worker ({error}); install the same "
                        "packages on the workers as here"
                    ) from None
        finally:
            self.client.cancel(list(futures))


def threads_per_process(jobs: int) -> int:
    """Return the default number of torch threads in each of `jobs` processes of this machine."""
    if jobs == 1 or "OMP_NUM_THREADS" in os.environ:  # joblib respects the variable too
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
    """Yield an executor: this process, `jobs` processes, or the workers of a Dask scheduler.

    Raises:
        InputError: The options contradict each other, or no Dask scheduler answers.
    """
    if backend == "loky":
        if scheduler is not None:
            raise InputError("--scheduler works only with --backend dask; add --backend dask")
        yield ThisProcess(threads) if jobs in (None, 1) else Processes(jobs, threads)
        return
    if scheduler is None:
        raise InputError("--backend dask needs --scheduler ADDRESS, for example tcp://node7:8786")
    if jobs is not None:
        raise InputError(
            "--jobs works only with --backend loky; remove it, since each thread of a Dask worker "
            "runs one job"
        )
    with _connected(scheduler) as client:
        yield Cluster(client, threads)


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--backend dask needs Dask: pip install 'wsseg[dask]'") from None
    try:
        client = Client(scheduler, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers ({reason})") from None
    with client:
        yield client


def _in_folder(folder: Path, work: Callable[[T], R], threads: int | None, item: T) -> R:
    """Do the work in `folder` on the shared disk, so that relative paths stay valid."""
    os.chdir(folder)
    return _with_threads(work, threads, item)


def _with_threads(work: Callable[[T], R], threads: int | None, item: T) -> R:
    if threads is not None:
        import torch  # the import takes seconds in a new process

        torch.set_num_threads(threads)
    return work(item)


def _indexed(work: Callable[[T], R], threads: int | None, index: int, item: T) -> tuple[int, R]:
    return index, _with_threads(work, threads, item)
