"""One process at a time in an output folder."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wsseg.errors import InputError
from wsseg.runtime.files import writing


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the lock of a dead process of this host is taken over.

    A folder that was made for this and in which nothing came about goes with the lock.

    Raises:
        InputError: Another process works there; it is named. Or `folder` is a file.
        UnwritableError: The disk is full, or the folder is not for writing.
    """
    new, path = not folder.exists(), folder / ".lock"
    with writing(folder):
        _make(folder)
    try:
        with writing(folder):
            _acquire(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        if new:
            with suppress(OSError):  # something came about
                folder.rmdir()


def this_process() -> tuple[str, int]:
    """Return the host and the number of this process, by which a lock names who holds it."""
    return socket.gethostname(), os.getpid()


def holds(folder: Path, holder: tuple[str, int]) -> bool:
    """Say whether a process has `folder` locked, and lives, as far as this host can see.

    What works for another process in its folder asks this, and stops when it is not so.
    """
    host, process = holder
    return _holder(folder / ".lock") == holder and (host != socket.gethostname() or _alive(process))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: is, or lies below, a file; name a folder") from None


def _acquire(path: Path) -> None:
    """Make the lock ours, unless a living process holds it."""
    while not _take(path):
        host, process = _holder(path)
        if _works(host, process):
            raise InputError(
                f"{path.parent}: process {process} on {host} works there. Wait for it, choose "
                f"another folder, or delete {path} if that process is gone"
            )
        _drop_dead(path)


def _take(path: Path) -> bool:
    """Create the lock with its text in one step: a link to a finished file either is or is not."""
    host, process = this_process()
    mine = path.with_name(f".lock.{process}")
    try:
        mine.write_text(json.dumps({"host": host, "process": process}))
        path.hardlink_to(mine)
    except FileExistsError:
        return False
    finally:
        mine.unlink(missing_ok=True)
    return True


def _drop_dead(path: Path) -> None:
    """Remove a dead process's lock, and never that of one which took it over in the meantime.

    Who removes holds the file itself locked and looks again. A newer lock is another file.
    """
    with suppress(FileNotFoundError), path.open() as file:
        with suppress(OSError):  # some network folders have no such locks
            fcntl.flock(file, fcntl.LOCK_EX)
        same = os.fstat(file.fileno()).st_ino == path.stat().st_ino
        if same and not _works(*_holder(path)):
            path.unlink()


def _works(host: str, process: int) -> bool:
    return host != socket.gethostname() or _alive(process)


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
