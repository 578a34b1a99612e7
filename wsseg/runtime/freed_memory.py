"""The return of freed memory to the system."""

import ctypes
from contextlib import suppress


def return_freed_memory() -> None:
    """Give freed memory that the C library still keeps back to the system.

    `runtime.device` makes the C library keep the memory of a network's layers, so that the next
    batch can use it. After the last batch, masks on the grid of a scan may need it. Does nothing if
    the C library is not glibc.
    """
    with suppress(OSError, AttributeError, TypeError):  # other C libraries have no malloc_trim
        ctypes.CDLL(None).malloc_trim(0)
