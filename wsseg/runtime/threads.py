"""Work on many things of which neighbours overlap in time, while few of them are held."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")

THREADS = 2  # what they run lets go of Python's lock: arrays, zlib, OpenCV
PREFETCHED = 3


def prefetch(things: Iterable[T]) -> Generator[T, None, None]:
    """Yield `things`, of which one thread makes the next few meanwhile."""
    iterator, end = iter(things), object()
    with ThreadPoolExecutor(1) as maker:
        coming = deque(maker.submit(next, iterator, end) for _ in range(PREFETCHED))
        while (thing := coming.popleft().result()) is not end:
            coming.append(maker.submit(next, iterator, end))
            yield cast("T", thing)


def map_in_threads(work: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
    """Yield work(thing) for each of `things`, in order, and have only some in hand at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        begun: deque[Future[R]] = deque()
        for thing in things:
            begun.append(pool.submit(work, thing))
            if len(begun) > 2 * THREADS:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def run_in_threads(work: Callable[[T], None], things: Iterable[T]) -> None:
    """Do work(thing) for each of `things`, and return when all is done."""
    for _ in map_in_threads(work, things):
        pass


def pipelined(
    things: Sequence[T], before: Callable[[T], A], work: Callable[[A], B], after: Callable[[B], R]
) -> Iterator[R]:
    """Yield after(work(before(thing))) for each of `things`, in order.

    While this thread works, one other does what comes before of the next thing and one what comes
    after of the last: never of more, so that as much memory is held for many as for three.
    """
    with ThreadPoolExecutor(1) as readers, ThreadPoolExecutor(1) as writers:
        coming = [readers.submit(before, thing) for thing in things[:1]]
        going: list[Future[R]] = []
        for index in range(len(things)):
            begun = coming.pop().result()
            coming += [readers.submit(before, thing) for thing in things[index + 1 : index + 2]]
            done = work(begun)
            if going:
                yield going.pop().result()
            going.append(writers.submit(after, done))
        if going:
            yield going.pop().result()
