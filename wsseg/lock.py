"""One process at a time in an output folder."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wsseg.errors import InputError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the lock of a dead process of this host is taken over.

    A folder that was made for this and in which nothing came about goes with the lock.

    Raises:
        InputError: Another process works there; it is named. Or `folder` is a file.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: is, or lies below, a file; name a folder") from None
    path = folder / ".lock"
    while not _take(path):
        host, process = _holder(path)
        if host != socket.gethostname() or _alive(process):
            raise InputError(
                f"{folder}: process {process} on {host} works there. Wait for it, choose another "
                f"folder, or delete {path} if that process is gone"
            )
        path.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        if new:
            with suppress(OSError):  # something came about
                folder.rmdir()


def _take(path: Path) -> bool:
    """Create the lock with its text in one step: a link to a finished file either is or is not."""
    mine = path.with_name(f".lock.{os.getpid()}")
    mine.write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid()}))
    try:
        path.hardlink_to(mine)
    except FileExistsError:
        return False
    finally:
        mine.unlink()
    return True


def _holder(path: Path) -> tuple[str, int]:
    try:
        text = json.loads(path.read_text())
        return str(text["host"]), int(text["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return socket.gethostname(), 0  # gone or damaged: nobody's


def _alive(process: int) -> bool:
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
