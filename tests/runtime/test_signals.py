"""Tests of interrupts that are handled between two steps."""

import os
import signal
import threading

import pytest

from wsseg.runtime.signals import graceful_interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_recorded_and_the_block_continues(number: signal.Signals) -> None:
    with graceful_interrupts() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested


def test_a_second_ctrl_c_interrupts_as_usual() -> None:
    with graceful_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_signal_handlers_are_restored_after_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with graceful_interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_the_handlers_are_unchanged() -> None:
    """Only the main thread of a process receives signals."""
    handlers = []

    def work() -> None:
        with graceful_interrupts():
            handlers.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before]
