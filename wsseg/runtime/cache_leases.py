"""Which entries of the cache running processes need, so that no other deletes them.

Each process keeps a list beside the entries and holds it locked while it lives; the system unlocks
what a dead one left, even after a kill. Lists change in turns: a process that deletes has them all
to itself, so that whoever begins to use an entry finds it whole, or gone and to be made again.
"""

import fcntl
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from wsseg.runtime.files import cache_folder

LISTS, TURN, PROCESS = ".in-use", "turn", "process-"
DEPTH = 2  # an entry is <kind>/<name>, whatever lies in it


@dataclass(frozen=True)
class _Mine:
    """What this process uses, and the list in which others read it."""

    list: TextIO
    times: Counter[str] = field(default_factory=Counter)


_mine: dict[tuple[int, Path], _Mine] = {}  # by process, since a fork is another; and by cache
_one_thread = threading.Lock()


def lease(path: Path) -> None:
    """Keep the entry that `path` lies in, if any, until this process lets it go or ends."""
    _note(path, 1)


def release(path: Path) -> None:
    """Undo one `use`."""
    _note(path, -1)


@contextmanager
def exclusive_prune() -> Iterator[set[str]]:
    """Yield the entries that processes use, as "kind/name"; until the block ends, none begins to.

    Lists of processes that are gone are deleted.
    """
    folder = cache_folder() / LISTS
    with _turn(folder, fcntl.LOCK_EX):
        yield _read_all(folder)


def _note(path: Path, times: int) -> None:
    cache = cache_folder()
    if not path.is_relative_to(cache) or path == cache:
        return
    entry = "/".join(path.relative_to(cache).parts[:DEPTH])
    with _one_thread, suppress(OSError):  # nobody deletes in a cache that is for reading only
        mine = _mine_in(cache)
        with _turn(cache / LISTS, fcntl.LOCK_SH):
            before = mine.times[entry]
            mine.times[entry] = max(0, before + times)
            if bool(before) != bool(mine.times[entry]):
                mine.list.write(f"{'-' if before else '+'}{entry}\n")
                mine.list.flush()


def _mine_in(cache: Path) -> _Mine:
    key, folder = (os.getpid(), cache), cache / LISTS
    if key not in _mine:
        with _turn(folder, fcntl.LOCK_EX):
            _read_all(folder)
            descriptor, _ = tempfile.mkstemp(prefix=PROCESS, dir=folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        _mine[key] = _Mine(os.fdopen(descriptor, "w", encoding="utf-8"))
    return _mine[key]


@contextmanager
def _turn(folder: Path, kind: int) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TURN).open("a") as file:
        fcntl.flock(file, kind)
        yield


def _read_all(folder: Path) -> set[str]:
    return {name for path in folder.glob(f"{PROCESS}*") for name in _read(path)}


def _read(path: Path) -> set[str]:
    """Return what a living process uses; of a dead one delete the list."""
    with path.open("r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            last = {line[1:]: line[:1] for line in file.read().splitlines()}
            return {name for name, sign in last.items() if sign == "+"}
        path.unlink()
        return set()
