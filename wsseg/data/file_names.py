"""Names of files with accents, which systems spell in different ways."""

from pathlib import Path
from unicodedata import normalize


def find_path(path: Path) -> Path:
    """Return the existing path of the same name, or `path` if there is none.

    Unicode has two spellings of a letter with an accent, composed (NFC) and decomposed (NFD). A
    table often has one, and the file system the other.
    """
    if path.exists() or path == path.parent:
        return path
    folder, name = find_path(path.parent), normalize("NFC", path.name)
    if name.isascii() or not folder.is_dir():
        return folder / path.name
    same = (each for each in folder.iterdir() if normalize("NFC", each.name) == name)
    return next(same, folder / path.name)
