"""Makes each flush of a file to the disk take longer: a preload script of Dask workers.

Every file of wsseg that is written atomically is flushed once.
"""

import os
from time import sleep

DELAY_S = 0.1

_fsync = os.fsync


def slow_fsync(file: int) -> None:
    """Flush a file, and wait."""
    sleep(DELAY_S)
    _fsync(file)


def dask_setup(worker: object) -> None:  # noqa: ARG001 - Dask calls it with the worker
    """Replace `os.fsync` in this process."""
    os.fsync = slow_fsync  # type: ignore[assignment]
