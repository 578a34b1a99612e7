"""What the cache folder holds, how it is kept within bounds, and how to give its space back."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from pathlib import Path

from wsseg.errors import InputError
from wsseg.runtime.cache_leases import exclusive_prune
from wsseg.runtime.files import cache_folder

GB = 10**9
LIMIT, USUAL_GB = "WSSEG_CACHE_GB", 50.0
COUNTED_AGAIN = 0.05  # of the limit, that is written before the whole is counted again
ABANDONED_S = 86400.0  # a temporary file or folder this old is one that a kill left
log = logging.getLogger("wsseg")


@dataclass(frozen=True)
class Entry:
    """One thing kept to save work: a prepared scan, a cohort that was drawn or converted."""

    folder: Path
    bytes: int  # on the disk
    used: float  # when last, in seconds since 1970

    @property
    def kind(self) -> str:
        """What it is, in the cache's words."""
        return self.folder.parent.name

    @property
    def name(self) -> str:
        """What lists of entries in use call it."""
        return f"{self.kind}/{self.folder.name}"


def entries() -> list[Entry]:
    """Return what the cache holds, the longest unused first."""
    found = []
    for folder in cache_folder().glob("*/*/"):
        if folder.is_symlink() or folder.name.startswith("."):
            continue
        if states := list(_states(folder)):  # or another has just deleted it
            used = max(state.st_mtime for state in states)
            found.append(Entry(folder, sum(s.st_blocks * 512 for s in states[1:]), used))
    return sorted(found, key=lambda entry: entry.used)


def _states(folder: Path) -> Iterator[os.stat_result]:
    """Yield the states of a folder and of all in it, but for what others delete meanwhile."""
    inside = (Path(at, name) for at, *names in os.walk(folder) for name in chain(*names))
    for path in (folder, *inside):
        with suppress(FileNotFoundError):
            yield path.lstat()


def prune(kept: Sequence[Entry], most_bytes: float) -> list[Entry]:
    """Delete the longest unused of `kept` until the rest has at most `most_bytes`; return them.

    What a running process uses stays, and so there may be more left. An entry leaves its place
    before its files go, so that a kill in between leaves no half of one.
    """
    total, deleted = sum(entry.bytes for entry in kept), []
    with exclusive_prune() as used:
        for entry in sorted(kept, key=lambda entry: entry.used):
            if total > most_bytes and entry.name not in used and entry.folder.is_dir():
                entry.folder.rename(_leaving(entry))
                total -= entry.bytes
                deleted.append(entry)
    for entry in deleted:
        shutil.rmtree(_leaving(entry))
    return deleted


def sweep() -> None:
    """Delete the temporary files and folders that processes left when they were killed."""
    for path in (*cache_folder().glob("*/.*"), *cache_folder().glob("*/*/.*")):
        if not os.path.lexists(path) or time.time() - path.lstat().st_mtime < ABANDONED_S:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def limit_bytes() -> float:
    """Return how much the cache may hold: $WSSEG_CACHE_GB, 50 by default.

    Raises:
        InputError: That is no number of gigabytes.
    """
    text = os.environ.get(LIMIT) or str(USUAL_GB)
    try:
        limit = float(text) * GB
    except ValueError:
        limit = -1.0
    if limit < 0 or not isfinite(limit):
        raise InputError(f"{LIMIT} is {text!r}; it is a number of gigabytes, such as {USUAL_GB:g}")
    return limit


class Bound:
    """Keeps the cache within its limit while this process writes into it."""

    def __init__(self) -> None:
        self._uncounted: dict[Path, float] = {}  # bytes written since the whole was counted
        self._told = False

    def grown(self, new_bytes: int) -> None:
        """Count what was written; past the limit, delete what was longest unused.

        The whole is counted at the first writing, and again after each twentieth of the limit.
        """
        cache, limit = cache_folder(), limit_bytes()
        uncounted = self._uncounted.get(cache, limit) + new_bytes
        self._uncounted[cache] = uncounted
        if uncounted < COUNTED_AGAIN * limit:
            return
        self._uncounted[cache] = 0
        sweep()
        kept = entries()
        gone = prune(kept, limit) if sum(entry.bytes for entry in kept) > limit else []
        left = sum(entry.bytes for entry in kept) - sum(entry.bytes for entry in gone)
        if gone:
            log.info("%s: deleted %d entries that were longest unused", cache, len(gone))
        if left > limit and not self._told:
            self._told = True
            log.warning(
                "%s: holds %.2f GB, all in use, and so more than its limit of %.2f GB (%s)",
                *(cache, left / GB, limit / GB, LIMIT),
            )


def _leaving(entry: Entry) -> Path:
    """Return what an entry is called while its files go."""
    return entry.folder.with_name(f".{entry.folder.name}.leaving")
