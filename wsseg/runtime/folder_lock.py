"""A lock that allows one process at a time to write to a folder, on one host or a shared disk."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import MarkerSoftFileLock, OwnerRecord, Timeout

from wsseg.errors import InputError
from wsseg.runtime.files import writing

NAME = ".lock"
TAKEOVER_S = 0.2  # long enough for filelock to take over the lock of a dead process
DAMAGED_S = 3.0  # filelock takes over a marker without an owner once it has not changed for 2 s
CHECK_S = 1.0


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock `folder` for this process while the block runs.

    The lock is a file that names its process and host; it works on any shared disk. The lock of a
    dead process of this host is taken over. A folder that was created for the lock and is still
    empty when the block ends is removed.

    Raises:
        InputError: Another process has locked the folder, or `folder` is a file.
        UnwritableError: The disk is full, or the folder is read-only.
    """
    is_new = not folder.exists()
    with writing(folder):
        _create(folder)
    lock = _marker(folder)
    try:
        with writing(folder):
            _acquire(lock, folder)
        try:
            yield
        finally:
            lock.release()
    finally:
        if is_new:
            with suppress(OSError):  # not empty
                folder.rmdir()


def holder_of(folder: Path) -> OwnerRecord | None:
    """Return the process that has locked `folder`, or None."""
    return _marker(folder).owner


class LockWatch:
    """Checks whether a process still holds the lock of a folder and seems to be alive.

    Workers that write into another process's folder stop when this is false. The lock is read at
    most once a second, so that a shared disk is not accessed in each training step.
    """

    def __init__(self, folder: Path, holder: OwnerRecord | None) -> None:
        self._folder, self._holder = folder, holder
        self._held, self._next_check = True, 0.0

    def __call__(self) -> bool:
        """Return whether the lock was held at the last check."""
        if time.monotonic() >= self._next_check:
            self._held = self._holder is not None and _is_held(self._folder, self._holder)
            self._next_check = time.monotonic() + CHECK_S
        return self._held


def _is_held(folder: Path, holder: OwnerRecord) -> bool:
    lock = _marker(folder)
    if lock.owner != holder:
        return False
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return lock.owner == holder
    lock.release()  # it was the lock of a dead process
    return False


def _marker(folder: Path) -> MarkerSoftFileLock:
    return MarkerSoftFileLock(folder / NAME, thread_local=False)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: not a folder, or inside a file; give a folder") from None


def _acquire(lock: MarkerSoftFileLock, folder: Path) -> None:
    try:
        lock.acquire(timeout=TAKEOVER_S if lock.owner else DAMAGED_S)
    except Timeout:
        raise InputError(
            f"{folder}: {_described(lock.owner)} is using this folder. Wait for it, choose another "
            f"folder, or delete {folder / NAME} if that process has ended"
        ) from None


def _described(owner: OwnerRecord | None) -> str:
    if owner is None:
        return "another process"
    host = owner.hostname.partition("?")[0]  # in a container, filelock appends ?pidns-...
    return f"process {owner.pid} on {host}"
