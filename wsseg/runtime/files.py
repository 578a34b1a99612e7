"""Files that are there whole or not at all."""

import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wsseg.errors import UnwritableError

NAME_END = 40  # letters of a name, of four bytes at most, that fit into 255 bytes with the rest
TEMPORARY = re.compile(r"\.\d+-\d+\..+")  # what `_temporary_name` returns


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file or folder that cannot be written: what the system says mostly does not.

    Raises:
        UnwritableError: Instead of whatever error the system gives.
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
    """Yield a temporary path beside `path` that takes its name when the block ends well.

    The suffix is kept, since writers choose a format by it. Flushed to disk before the renaming.

    Raises:
        UnwritableError: The disk is full, or the folder is not for writing. What was there stays.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_temporary_name(path))
    try:
        with writing(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that takes its name when the block ends well.

    Where another process was faster, its folder stays and ours is dropped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{_temporary_name(path)}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())  # mkdtemp's folders are for their owner alone
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left below a folder that nobody else writes to."""
    for path in [each for each in folder.rglob(".*") if TEMPORARY.fullmatch(each.name)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; raise `ValueError` also where it is nested deeper than Python can go."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def append_line(path: Path, value: Any) -> None:
    """Append `value` to a file of JSON lines; a reader ignores a last line cut short by a crash."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """Return the hexadecimal digest of a file's bytes; of a folder, of all its files' digests.

    What a folder's files are called does not matter.
    """
    if path.is_dir():
        digests = sorted(sha256(file) for file in path.iterdir() if file.is_file())
        return hashlib.sha256("".join(digests).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """Return a digest of JSON-like `value` that does not depend on the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cache_folder() -> Path:
    """Return where prepared data is kept: $WSSEG_CACHE, or wsseg/ in the user's cache folder."""
    if named := os.environ.get("WSSEG_CACHE"):
        return Path(named).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "wsseg"


def _temporary_name(path: Path) -> str:
    """Return a name beside `path` with its suffix, and no longer where `path`'s is long itself."""
    return f".{os.getpid()}-{threading.get_ident()}.{path.name[-NAME_END:]}"


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    umask = os.umask(0)
    os.umask(umask)
    return umask
