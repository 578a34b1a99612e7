"""The cache of prepared data: what it contains, its size limit, and deletion of old entries."""

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
LIMIT, DEFAULT_GB = "WSSEG_CACHE_GB", 50.0
MEASURE_AFTER = 0.05  # share of the limit that is written before the cache is measured again
ABANDONED_S = 86400.0  # older temporary files and folders were left by a killed process
BLOCK_BYTES = 512  # unit of st_blocks
log = logging.getLogger("wsseg")


@dataclass(frozen=True)
class Entry:
    """A folder of the cache: a prepared scan, or a cohort that was generated or converted."""

    folder: Path
    bytes: int  # on the disk
    used: float  # time of the last use, in seconds since 1970

    @property
    def kind(self) -> str:
        """The name of the folder that the cache keeps entries of this kind in."""
        return self.folder.parent.name

    @property
    def name(self) -> str:
        """The entry's name in leases, "kind/folder"."""
        return f"{self.kind}/{self.folder.name}"


def entries() -> list[Entry]:
    """Return the entries of the cache, least recently used first."""
    found = []
    for folder in chain(*map(_listed, _listed(cache_folder()))):
        if folder.is_symlink() or folder.name.startswith(".") or not folder.is_dir():
            continue
        if states := list(_states(folder)):  # empty if another process has just deleted it
            used = max(state.st_mtime for state in states)
            found.append(Entry(folder, sum(map(disk_bytes, states[1:])), used))
    return sorted(found, key=lambda entry: entry.used)


def _states(folder: Path) -> Iterator[os.stat_result]:
    """Yield the states of a folder and its contents; skip what other processes delete meanwhile."""
    inside = (Path(at, name) for at, *names in os.walk(folder) for name in chain(*names))
    for path in (folder, *inside):
        with suppress(FileNotFoundError):
            yield path.lstat()


def disk_bytes(state: os.stat_result) -> int:
    """Return the bytes that a file of this state takes on the disk."""
    blocks: int | None = getattr(state, "st_blocks", None)  # Windows does not report it
    return state.st_size if blocks is None else blocks * BLOCK_BYTES


def prune(candidates: Sequence[Entry], max_bytes: float) -> list[Entry]:
    """Delete the least recently used entries until the rest fit `max_bytes`; return the deleted.

    Leased entries stay, so more than `max_bytes` may remain. An entry is renamed before its files
    are deleted, so that a kill in between leaves no incomplete entry.
    """
    total, deleted = sum(entry.bytes for entry in candidates), []
    with exclusive_prune() as leased:
        for entry in sorted(candidates, key=lambda entry: entry.used):
            if total > max_bytes and entry.name not in leased and entry.folder.is_dir():
                entry.folder.rename(_deletion_path(entry))
                total -= entry.bytes
                deleted.append(entry)
    for entry in deleted:
        shutil.rmtree(_deletion_path(entry))
    return deleted


def sweep() -> None:
    """Delete temporary files and folders that killed processes left more than a day ago."""
    below_kinds = list(chain(*map(_listed, _listed(cache_folder()))))
    for path in (*below_kinds, *chain(*map(_listed, below_kinds))):
        if path.name.startswith(".") and _is_abandoned(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _listed(folder: Path) -> list[Path]:
    """Return what a folder contains; nothing if it is a file, or another process has renamed it."""
    try:
        with os.scandir(folder) as found:
            return [Path(each) for each in found]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_abandoned(path: Path) -> bool:
    """Return whether a temporary file or folder is old; one that has been renamed is not."""
    try:
        return time.time() - path.lstat().st_mtime >= ABANDONED_S
    except FileNotFoundError:
        return False


def limit_bytes() -> float:
    """Return the size limit of the cache: $WSSEG_CACHE_GB, by default 50 GB.

    Raises:
        InputError: The variable is not a number of gigabytes.
    """
    text = os.environ.get(LIMIT) or str(DEFAULT_GB)
    try:
        limit = float(text) * GB
    except ValueError:
        limit = -1.0
    if limit < 0 or not isfinite(limit):
        raise InputError(
            f"{LIMIT} is {text!r}; set it to a number of gigabytes, such as {DEFAULT_GB:g}"
        )
    return limit


class SizeLimiter:
    """Keeps the cache within its size limit while this process writes into it."""

    def __init__(self) -> None:
        self._unmeasured: dict[Path, float] = {}  # bytes written since the last measurement
        self._warned = False

    def add(self, new_bytes: int) -> None:
        """Count bytes that were written; above the limit, prune the cache.

        The cache is measured at the first call, and again whenever a twentieth of the limit has
        been written.
        """
        cache, limit = cache_folder(), limit_bytes()
        unmeasured = self._unmeasured.get(cache, limit) + new_bytes
        self._unmeasured[cache] = unmeasured
        if unmeasured < MEASURE_AFTER * limit:
            return
        self._unmeasured[cache] = 0
        sweep()
        present = entries()
        before = sum(entry.bytes for entry in present)
        deleted = prune(present, limit) if before > limit else []
        left = before - sum(entry.bytes for entry in deleted)
        if deleted:
            log.info("%s: deleted the %d least recently used entries", cache, len(deleted))
        if left > limit and not self._warned:
            self._warned = True
            log.warning(
                "%s: contains %.2f GB, all in use, which exceeds its limit of %.2f GB (%s)",
                *(cache, left / GB, limit / GB, LIMIT),
            )


def _deletion_path(entry: Entry) -> Path:
    """Return where an entry is moved while its files are deleted."""
    return entry.folder.with_name(f".{entry.folder.name}.leaving")
