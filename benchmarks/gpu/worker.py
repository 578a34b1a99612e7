"""A process that measures parts one after the other, and is replaced when one of them fails."""

import os
import signal
import traceback
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any, Self

from benchmarks.gpu.page import Row


class TooLongError(Exception):
    """A part was not finished in its time."""


class PartError(Exception):
    """A part failed; the message is the first line of the error."""


class NoGpuError(Exception):
    """torch finds no GPU."""


class Worker:
    """Measures parts in another process, which is started again after a failure.

    `machine` and `versions` describe the card in rows.
    """

    def __init__(self, until: float, *, trial: bool) -> None:
        """Prepare to start the process; `until` is a time of the clock `monotonic`."""
        self._until, self._trial = until, trial
        self._process: Any = None  # its class depends on the system
        self._connection: Connection | None = None
        self._is_ready = False  # for the next part
        self.machine = self.versions = ""

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def prepare(self) -> None:
        """Start the process unless it runs, and wait until it is ready for a part.

        Raises:
            NoGpuError: There is no GPU, and it is not a trial.
            TooLongError: The given time is over.
            PartError: The process failed.
        """
        if self._connection is None:
            self._start()
        assert self._connection is not None  # noqa: S101
        if not self._is_ready:
            self.machine, self.versions = _receive(self._connection, self._until)
            self._is_ready = True

    def measure(self, part: str, until: float) -> Iterator[Row]:
        """Yield the rows of a part as they are measured.

        Raises:
            TooLongError: It was not finished at the time `until`.
            PartError: It failed, or its process ended.
        """
        try:
            self.prepare()
            assert self._connection is not None  # noqa: S101
            self._is_ready = False
            self._connection.send(part)
            while (row := _receive(self._connection, until)) is not None:
                yield row
        except (TooLongError, PartError):
            self._stop()  # an error can leave the GPU unusable for its process
            raise

    def _start(self) -> None:
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other,), kwargs={"trial": self._trial})
        self._process.start()
        other.close()

    def _stop(self) -> None:
        """End the process and all that it has started."""
        if self._connection is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._connection, self._is_ready = None, False


def serve(connection: Connection, *, trial: bool) -> None:
    """Before each part, send a description of the card; then its rows and None, or its error."""
    os.setsid()  # so that the processes of this one end with it
    try:
        from benchmarks.gpu.device import described_device, described_versions, has_gpu
        from benchmarks.gpu.parts import PARTS, TRIAL

        if not (trial or has_gpu()):
            connection.send(NoGpuError("torch finds no NVIDIA GPU; --trial runs without one"))
            return
        about = described_device(), described_versions()
        parts = TRIAL if trial else PARTS
        while True:
            connection.send(about)
            name = connection.recv()
            for measurement in parts[name].measure():
                connection.send(Row.of(name, measurement, *about))
            connection.send(None)
    except EOFError:
        return  # the main process has ended
    except Exception as error:  # noqa: BLE001 - shown in a row
        traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        connection.send(PartError(f"{type(error).__name__}: {lines[0]}"))


def _receive(connection: Connection, until: float) -> Any:
    if not connection.poll(max(0, until - monotonic())):
        raise TooLongError
    try:
        received = connection.recv()
    except (EOFError, ConnectionResetError):
        raise PartError("its process ended") from None
    if isinstance(received, Exception):
        raise received
    return received
