"""Tests of iterators that overlap work in threads."""

import threading
from collections import Counter
from contextlib import closing

import pytest

from wsseg.runtime.threads import map_in_threads, most_pending, pipelined

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


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_map_in_threads_takes_only_a_few_items_in_advance(threads: int) -> None:
    items = iter(range(1000))
    with closing(map_in_threads(lambda item: item, items, threads)) as done:
        assert next(done) == 0
    assert next(items) <= most_pending(threads) == 2 * threads + 1


def test_a_single_other_thread_takes_the_items_in_order() -> None:
    workers, taken = set[int](), []

    def take(item: int) -> int:
        workers.add(threading.get_ident())
        taken.append(item)
        return item

    assert list(map_in_threads(take, range(20), threads=1)) == taken == list(range(20))
    assert len(workers) == 1
    assert workers.isdisjoint({threading.get_ident()})
    assert not list(map_in_threads(take, [], threads=1))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_an_error_is_raised_after_the_results_before_it(threads: int) -> None:
    def fail(item: int) -> int:
        if item == 2:
            raise OSError("disk failure")
        return item

    done: list[int] = []
    with pytest.raises(OSError, match="disk failure"):
        done.extend(map_in_threads(fail, range(9), threads))
    assert done == [0, 1]
