"""Digests of files, which are the keys of cached results."""

from functools import lru_cache
from pathlib import Path

from wsseg.core.case import Case
from wsseg.errors import InputError
from wsseg.runtime.files import files_below, fingerprint, sha256


def image_digest(case: Case) -> str:
    """Return a digest of the content of a case's image."""
    if case.images:
        return fingerprint([[name, file_digest(path)] for name, path in case.images.items()])
    if not case.files:
        return file_digest(case.image)
    return fingerprint(sorted(file_digest(path) for path in case.files))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file or folder; it is computed again only after a change."""
    try:
        files = list(files_below(path)) if path.is_dir() else [path]
        states = [file.stat() for file in files]
        return _digest_of_state(path, tuple((s.st_size, s.st_mtime_ns) for s in states))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


@lru_cache(maxsize=4096)
def _digest_of_state(path: Path, state: tuple[tuple[int, int], ...]) -> str:  # noqa: ARG001
    return sha256(path)
