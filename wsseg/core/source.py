"""Where a public data set comes from, and under what terms."""

from dataclasses import dataclass
from pathlib import Path

from wsseg.errors import InputError


@dataclass(frozen=True)
class SourceFile:
    """A file as its publisher offers it; a .zip becomes a folder of its name."""

    name: str
    url: str
    checksum: str = ""  # "md5:…" or "sha256:…"; "" where its publisher is not known to give one


@dataclass(frozen=True)
class Source:
    """The files of a data set, and what everybody who uses them should know."""

    page: str  # where a person reads about it
    licence: str
    citation: str
    files: tuple[SourceFile, ...]

    def find(self, path: Path) -> Path:
        """Return `path`, a file of the data set that has been unpacked.

        Raises:
            InputError: It is not there; the message says where the data set is.
        """
        if not path.is_file():
            raise InputError(
                f"{path}: there is no such file, which the data set has. It is at {self.page}; "
                "`wsseg data fetch` downloads it"
            )
        return path
