"""File names with accents, which operating systems encode in different ways."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize


def find_path(path: Path) -> Path:
    """Return the existing path with the same name in any encoding, or `path` if there is none.

    Unicode has two encodings of an accented letter, composed (NFC) and decomposed (NFD). A table
    often has one, and the file system the other.
    """
    if path.exists() or path == path.parent:
        return path
    folder, name = find_path(path.parent), normalize("NFC", path.name)
    if name.isascii() or not folder.is_dir():
        return folder / path.name
    return _composed_names(folder, folder.stat().st_mtime_ns).get(name, folder / path.name)


@lru_cache(maxsize=8)
def _composed_names(folder: Path, changed_ns: int) -> Mapping[str, Path]:  # noqa: ARG001
    """Return the paths in a folder by their names in NFC; cached until the folder changes."""
    return {normalize("NFC", path.name): path for path in reversed(list(folder.iterdir()))}
