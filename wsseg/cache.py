"""What the cache folder holds, and how to give its space back."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsseg.files import cache_folder


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


def entries() -> list[Entry]:
    """Return what the cache holds, the longest unused first."""
    found = []
    for folder in cache_folder().glob("*/*/"):
        if folder.is_symlink():
            continue
        states = [file.lstat() for file in folder.rglob("*")]
        used = max(s.st_mtime for s in [*states, folder.stat()])
        found.append(Entry(folder, sum(s.st_blocks * 512 for s in states), used))
    return sorted(found, key=lambda entry: entry.used)


def prune(kept: Sequence[Entry], most_bytes: int) -> list[Entry]:
    """Delete the longest unused of `kept` until the rest has at most `most_bytes`; return them.

    A run that still needs one of them makes it again. An entry leaves its place before its files
    go, so that a kill in between leaves no half of one.
    """
    total, deleted = sum(entry.bytes for entry in kept), []
    for entry in sorted(kept, key=lambda entry: entry.used):
        if total <= most_bytes:
            break
        leaving = entry.folder.with_name(f".{entry.folder.name}.leaving")
        entry.folder.rename(leaving)
        shutil.rmtree(leaving)
        total -= entry.bytes
        deleted.append(entry)
    return deleted
