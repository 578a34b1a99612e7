"""Iterators that overlap work in threads and keep only a few items in memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")

THREADS = 2  # for work that releases Python's lock: NumPy, zlib, OpenCV


def map_in_threads(
    work: Callable[[T], R], items: Iterable[T], threads: int = THREADS
) -> Generator[R, None, None]:
    """Yield `work(item)` for each item, in order, computed by `threads` threads, two by default.

    At most `most_pending` results are computed in advance, so `items` may be long or large.

    Example:
        >>> from wsseg.tools import map_in_threads
        >>> list(map_in_threads(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) == most_pending(threads):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def most_pending(threads: int) -> int:
    """Return how many results `map_in_threads` computes before the first one is used."""
    return 2 * threads + 1


def run_in_threads(work: Callable[[T], None], items: Iterable[T]) -> None:
    """Call `work(item)` for each item in two threads, and return when all calls have ended.

    Example:
        >>> from wsseg.tools import run_in_threads
        >>> squares = {}
        >>> run_in_threads(lambda n: squares.update({n: n * n}), range(3))
        >>> sorted(squares.items())
        [(0, 0), (1, 1), (2, 4)]
    """
    for _ in map_in_threads(work, items):
        pass


def pipelined(
    items: Sequence[T], before: Callable[[T], A], work: Callable[[A], B], after: Callable[[B], R]
) -> Iterator[R]:
    """Yield `after(work(before(item)))` for each item, in order.

    While this thread works on an item, a second thread runs `before` on the next item and a third
    runs `after` on the previous one. Never more than these three items are in memory.
    """
    with ThreadPoolExecutor(1) as readers, ThreadPoolExecutor(1) as writers:
        read = [readers.submit(before, item) for item in items[:1]]
        written: list[Future[R]] = []
        for index in range(len(items)):
            ready = read.pop().result()
            read += [readers.submit(before, item) for item in items[index + 1 : index + 2]]
            done = work(ready)
            if written:
                yield written.pop().result()
            written.append(writers.submit(after, done))
        if written:
            yield written.pop().result()
