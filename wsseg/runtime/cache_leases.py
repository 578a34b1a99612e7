"""Leases of cache entries: while a process uses an entry, no other process deletes it.

Each process lists its entries in a file of the cache and keeps a lock on a second file while it
lives. The system releases the lock of a dead process, even after a kill, and its list then no
longer counts. One more lock is held to change a list or delete an entry, so that a process that
starts to use an entry finds it complete or not at all.

All locks are exclusive: they are held for milliseconds, except those that show that a process
lives. filelock's shared locks need SQLite or a heartbeat thread, without any benefit here.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from wsseg.runtime.files import cache_folder

LISTS, TURN, PROCESS, ALIVE = ".in-use", "turn", "process-", ".alive"
ENTRY_DEPTH = 2  # an entry is <kind>/<name> with everything below it
POLL_S = 0.005


@dataclass(frozen=True)
class _OwnList:
    """The entries that this process uses, and the file that lists them for other processes."""

    file: Path
    alive: FileLock
    uses: Counter[str] = field(default_factory=Counter)


_own_lists: dict[tuple[int, Path], _OwnList] = {}  # by process ID (a fork is new) and cache
_one_thread = threading.Lock()


def lease(path: Path) -> None:
    """Keep the cache entry that contains `path` from being deleted while this process lives.

    Paths outside the cache are ignored. Leases are counted: each needs its own `release`.

    Example:
        >>> from wsseg.tools import cache_folder, lease
        >>> lease(cache_folder() / "my-plugin" / "atlas" / "image.nii.gz")
    """
    _change(path, 1)


def release(path: Path) -> None:
    """Undo one `lease` of the cache entry that contains `path`."""
    _change(path, -1)


@contextmanager
def exclusive_prune() -> Iterator[set[str]]:
    """Yield the leased entries as "kind/name"; no process leases another until the block ends.

    Also deletes the lists of dead processes.
    """
    folder = cache_folder() / LISTS
    with _turn(folder):
        yield _leased(folder)


def _change(path: Path, step: int) -> None:
    cache = cache_folder()
    if not path.is_relative_to(cache) or path == cache:
        return
    entry = "/".join(path.relative_to(cache).parts[:ENTRY_DEPTH])
    with _one_thread, suppress(OSError):  # a read-only cache is never pruned
        own = _own_list(cache)
        before = own.uses[entry]
        after = max(0, before + step)
        if bool(before) != bool(after):
            with _turn(cache / LISTS), own.file.open("a", encoding="utf-8") as file:
                file.write(f"{'+' if after else '-'}{entry}\n")
        own.uses[entry] = after


def _own_list(cache: Path) -> _OwnList:
    key, folder = (os.getpid(), cache), cache / LISTS
    if key not in _own_lists:
        with _turn(folder):
            _leased(folder)
            path = folder / f"{PROCESS}{uuid4().hex}"
            path.touch(exist_ok=False)
            alive = _alive_lock(path)
            alive.acquire()
        _own_lists[key] = _OwnList(path, alive)
    return _own_lists[key]


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / TURN, poll_interval=POLL_S):
        yield


def _leased(folder: Path) -> set[str]:
    lists = [path for path in folder.glob(f"{PROCESS}*") if path.suffix != ALIVE]
    return {entry for path in lists for entry in _read(path)}


def _read(path: Path) -> set[str]:
    """Return what a living process uses; delete the list of a dead one."""
    alive = _alive_lock(path)
    try:
        alive.acquire(blocking=False)
    except Timeout:
        last = {line[1:]: line[:1] for line in path.read_text(encoding="utf-8").splitlines()}
        return {entry for entry, sign in last.items() if sign == "+"}
    path.unlink()
    alive.release()
    Path(alive.lock_file).unlink(missing_ok=True)
    return set()


def _alive_lock(path: Path) -> FileLock:
    return FileLock(path.with_name(path.name + ALIVE), thread_local=False)
