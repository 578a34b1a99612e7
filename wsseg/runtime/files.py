"""Files and folders that are written atomically, digests, and the location of the cache."""

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wsseg.errors import InputError, UnwritableError

SIDE_FILE = "._"  # start of the names of files in which macOS keeps attributes of another file
NAME_END = 40  # characters of up to four bytes: the complete name fits into 255 bytes
TEMPORARY = re.compile(r"\.\d+-\d+\..+")  # names that `_temporary_name` returns


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Report an OSError in the block as an `UnwritableError` that names `path`.

    The system's own message often does not name the file.

    Raises:
        UnwritableError: The block raised an OSError.
    """
    try:
        yield
    except UnwritableError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise UnwritableError(f"{path}: cannot be written ({reason})") from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, renamed to `path` if the block succeeds.

    The temporary path has the suffix of `path`, as many writers choose the format by it. The data
    are flushed to the disk before the renaming. The file has the permissions of other new files,
    even if it is written by a library that gives access to the owner only. If the block fails, an
    existing file is unchanged.

    Raises:
        UnwritableError: The disk is full, or the folder is read-only.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from wsseg.tools import atomic_write
        >>> path = Path(mkdtemp()) / "table.csv"
        >>> with atomic_write(path) as temporary:
        ...     _ = temporary.write_text("case,volume_ml")
        >>> path.read_text()
        'case,volume_ml'
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_temporary_name(path))
    try:
        with writing(path):
            temporary.touch()
            permissions = stat.S_IMODE(temporary.stat().st_mode)  # follow the umask
            yield temporary
            if stat.S_IMODE(temporary.stat().st_mode) != permissions:
                temporary.chmod(permissions)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `path`, renamed to `path` if the block succeeds.

    If another process has created `path` in the meantime, its folder is kept and ours is deleted.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from wsseg.tools import atomic_folder
        >>> path = Path(mkdtemp()) / "atlas"
        >>> with atomic_folder(path) as temporary:
        ...     _ = (temporary / "labels.txt").write_text("1 liver")
        >>> [file.name for file in path.iterdir()]
        ['labels.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{_temporary_name(path)}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())  # mkdtemp gives access to the owner only
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files of killed writers below a folder that no other process writes to."""
    for path in [each for each in folder.rglob(".*") if TEMPORARY.fullmatch(each.name)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically.

    Raises:
        UnwritableError: The disk is full, or the folder is read-only.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from wsseg.tools import write_text
        >>> path = Path(mkdtemp()) / "new" / "notes.txt"
        >>> write_text(path, "φ is fixed")
        >>> path.read_text(encoding="utf-8")
        'φ is fixed'
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: The file is not JSON, or is nested too deeply for Python.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def append_line(path: Path, value: Any) -> None:
    """Append `value` to a JSON Lines file; readers ignore a last line that a crash cut short."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, in the order of their names; a link cycle is followed once.

    Raises:
        InputError: A folder cannot be listed.
    """
    visited: set[str] = set()

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of the digests of all files below a folder, as hexadecimal.

    The names of the files below a folder do not matter.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from wsseg.tools import sha256
        >>> path = Path(mkdtemp()) / "file"
        >>> _ = path.write_bytes(b"abc")
        >>> sha256(path)[:8]
        'ba7816bf'
    """
    if path.is_dir():
        digests = sorted(sha256(file) for file in files_below(path) if file.is_file())
        return hashlib.sha256("".join(digests).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """Return a digest, 32 hexadecimal digits, of a JSON-like value; the order of keys is ignored.

    Example:
        >>> from wsseg.tools import fingerprint
        >>> fingerprint({"seed": 0, "cases": 8}) == fingerprint({"cases": 8, "seed": 0})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cache_folder() -> Path:
    """Return the folder of prepared data: $WSSEG_CACHE, or wsseg in the user's cache folder.

    Example:
        >>> from wsseg.tools import cache_folder
        >>> entry = cache_folder() / "my-plugin" / "atlas-v2"  # <kind>/<name>
    """
    if named := os.environ.get("WSSEG_CACHE"):
        return Path(named).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "wsseg"


def _temporary_name(path: Path) -> str:
    """Return a hidden name, unique to this thread, with the suffix of `path`."""
    return f".{os.getpid()}-{threading.get_ident()}.{path.name[-NAME_END:]}"


def _umask() -> int:
    """Return the umask of this process, which can only be read by setting it."""
    umask = os.umask(0)
    os.umask(umask)
    return umask
