"""Neighbours overlap in time, and no more of them than three are held."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from wsseg.runtime.threads import PREFETCHED, THREADS, map_in_threads, pipelined, prefetch

WAIT_S = 20


def test_each_thing_goes_through_all_steps_in_order() -> None:
    steps = (lambda x: x + 1, lambda x: x * 10, lambda x: -x)
    assert list(pipelined(range(5), *steps)) == [-10, -20, -30, -40, -50]
    assert not list(pipelined([], *steps))


def test_the_next_is_read_and_the_last_written_while_one_is_worked_on() -> None:
    """Each of the three steps waits for the two others at its neighbours: alone, none would end."""
    middle = threading.Barrier(3, timeout=WAIT_S)

    def meet(which: int, thing: int) -> int:
        if thing == which:
            middle.wait()
        return thing

    steps = [lambda thing, n=n: meet(n, thing) for n in (3, 2, 1)]
    assert list(pipelined(range(5), *steps)) == list(range(5))


def test_never_more_than_three_are_held() -> None:
    held, most = Counter[int](), 0
    lock = threading.Lock()

    def before(thing: int) -> int:
        nonlocal most
        with lock:
            held[thing] += 1
            most = max(most, held.total())
        return thing

    def after(thing: int) -> int:
        with lock:
            held[thing] -= 1
        return thing

    list(pipelined(range(50), before, lambda thing: thing, after))
    assert 1 <= most <= 3 + 1  # one may be read while the last result waits to be fetched


@pytest.mark.parametrize("step", range(3))
def test_what_a_step_raises_ends_all(step: int) -> None:
    def fail(thing: int) -> int:
        if thing == 2:
            raise OSError("disk full")
        return thing

    steps = [fail if n == step else lambda thing: thing for n in range(3)]
    done: list[int] = []
    with pytest.raises(OSError, match="disk full"):
        done.extend(pipelined(range(5), *steps))


def test_threads_share_the_work_and_keep_the_order() -> None:
    """The first of two waits for the second: one thread alone would wait for ever."""
    both = threading.Barrier(2, timeout=WAIT_S)

    def meet(thing: int) -> int:
        if thing < 2:
            both.wait()
        return -thing

    assert list(map_in_threads(meet, range(5))) == [0, -1, -2, -3, -4]


def test_threads_are_given_only_some_at_a_time() -> None:
    things = iter(range(1000))
    done = map_in_threads(lambda thing: thing, things)
    assert next(done) == 0
    assert next(things) <= 2 * THREADS + 1


def test_things_are_made_ahead_in_order_by_one_other_thread() -> None:
    makers = set[int]()

    def things() -> Iterator[int]:
        for thing in range(20):
            makers.add(threading.get_ident())
            yield thing

    with closing(prefetch(things())) as coming:
        assert next(coming) == 0
        assert list(coming) == list(range(1, 20))
    assert makers.isdisjoint({threading.get_ident()})
    assert len(makers) == 1
    assert list(prefetch([])) == []


def test_only_a_few_are_made_ahead() -> None:
    left = iter(range(100))
    with closing(prefetch(left)) as coming:  # which waits for those that were begun
        next(coming)
    assert next(left) <= PREFETCHED + 1


def test_what_ends_the_making_is_raised_after_what_was_made() -> None:
    def things() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    coming = prefetch(things())
    assert next(coming) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(coming)
