"""The source of a public data set: its files, licence and citation."""

from dataclasses import dataclass
from pathlib import Path

from wsseg.errors import InputError


@dataclass(frozen=True)
class SourceFile:
    """A file that `wsseg data fetch` downloads; a .zip file is unpacked into a folder of its name.

    Example:
        >>> from wsseg import SourceFile
        >>> SourceFile("scans.zip", "https://example.org/scans.zip").checksum
        ''
    """

    name: str
    """The file's name on the disk."""
    url: str
    checksum: str = ""
    """`md5:` or `sha256:` and hexadecimal digits; empty if the publisher gives none."""


@dataclass(frozen=True)
class Source:
    """The source of a public data set, with its licence and citation.

    Example:
        >>> from pathlib import Path
        >>> from wsseg import Source, SourceFile
        >>> source = Source(
        ...     page="https://example.org/livers",
        ...     licence="CC BY 4.0",
        ...     citation="Doe et al. 2020, Livers",
        ...     files=(SourceFile("livers.zip", "https://example.org/livers.zip"),),
        ... )
        >>> source.find(Path("data/livers/1.nii.gz"))
        Traceback (most recent call last):
        wsseg.errors.InputError: data/livers/1.nii.gz: this file of the data set was not found. ...
    """

    page: str
    """The web page that describes the data set."""
    licence: str
    citation: str
    files: tuple[SourceFile, ...]

    def find(self, path: Path) -> Path:
        """Return `path` if this unpacked file of the data set exists.

        Raises:
            InputError: It does not exist; the message names the page and the command to download.
        """
        if not path.is_file():
            raise InputError(
                f"{path}: this file of the data set was not found. Download it with "
                f"`wsseg data fetch`, or from {self.page}"
            )
        return path
