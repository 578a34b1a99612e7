"""Handling of Ctrl-C and of a cluster's SIGTERM between two steps instead of during one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Records whether a signal has asked the process to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextmanager
def graceful_interrupts() -> Iterator[Interrupt]:
    """Record the first SIGINT or SIGTERM instead of ending; a second one has its usual effect."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt  # only the main thread receives signals
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def record(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's form
        interrupt.requested = True
        signal.signal(number, before[signal.Signals(number)])

    for number in numbers:
        signal.signal(number, record)
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
