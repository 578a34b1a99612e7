"""Tests of iterators that overlap work in threads."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from wsseg.runtime.threads import PREFETCHED, THREADS, map_in_threads, pipelined, prefetch

WAIT_S = 20


def test_a_pipeline_applies_all_steps_to_each_item_in_order() -> None:
    steps = (lambda x: x + 1, lambda x: x * 10, lambda x: -x)
    assert list(pipelined(range(5), *steps)) == [-10, -20, -30, -40, -50]
    assert not list(pipelined([], *steps))


def test_a_pipeline_works_on_three_items_at_the_same_time() -> None:
    """Three steps on three items meet at a barrier, which they can pass only together."""
    middle = threading.Barrier(3, timeout=WAIT_S)

    def meet(which: int, item: int) -> int:
        if item == which:
            middle.wait()
        return item

    steps = [lambda item, n=n: meet(n, item) for n in (3, 2, 1)]
    assert list(pipelined(range(5), *steps)) == list(range(5))


def test_a_pipeline_keeps_three_items_in_memory() -> None:
    in_memory, most = Counter[int](), 0
    lock = threading.Lock()

    def before(item: int) -> int:
        nonlocal most
        with lock:
            in_memory[item] += 1
            most = max(most, in_memory.total())
        return item

    def after(item: int) -> int:
        with lock:
            in_memory[item] -= 1
        return item

    list(pipelined(range(50), before, lambda item: item, after))
    assert 1 <= most <= 3 + 1  # one may be read while the last result waits for the caller


@pytest.mark.parametrize("step", range(3))
def test_an_error_in_any_step_ends_the_pipeline(step: int) -> None:
    def fail(item: int) -> int:
        if item == 2:
            raise OSError("disk full")
        return item

    steps = [fail if n == step else lambda item: item for n in range(3)]
    done: list[int] = []
    with pytest.raises(OSError, match="disk full"):
        done.extend(pipelined(range(5), *steps))


def test_two_threads_share_the_items_and_keep_their_order() -> None:
    """The first two items meet at a barrier: a single thread would wait for ever."""
    both = threading.Barrier(2, timeout=WAIT_S)

    def meet(item: int) -> int:
        if item < 2:
            both.wait()
        return -item

    assert list(map_in_threads(meet, range(5))) == [0, -1, -2, -3, -4]


def test_map_in_threads_takes_only_a_few_items_in_advance() -> None:
    items = iter(range(1000))
    done = map_in_threads(lambda item: item, items)
    assert next(done) == 0
    assert next(items) <= 2 * THREADS + 1


def test_items_are_prefetched_in_order_by_one_other_thread() -> None:
    producers = set[int]()

    def items() -> Iterator[int]:
        for item in range(20):
            producers.add(threading.get_ident())
            yield item

    with closing(prefetch(items())) as prefetched:
        assert next(prefetched) == 0
        assert list(prefetched) == list(range(1, 20))
    assert producers.isdisjoint({threading.get_ident()})
    assert len(producers) == 1
    assert list(prefetch([])) == []


def test_only_a_few_items_are_prefetched() -> None:
    left = iter(range(100))
    with closing(prefetch(left)) as prefetched:  # closing waits for started items
        next(prefetched)
    assert next(left) <= PREFETCHED + 1


def test_an_error_while_prefetching_is_raised_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("disk failure")

    prefetched = prefetch(items())
    assert next(prefetched) == 1
    with pytest.raises(OSError, match="disk failure"):
        next(prefetched)
