"""Unpacking of zip files from untrusted sources."""

import shutil
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from wsseg.errors import InputError
from wsseg.runtime.files import atomic_folder

MAX_RATIO = 1100  # deflate compresses by a factor of at most 1032
MACOS_FOLDER = "__MACOSX"  # of metadata that macOS adds to zip files


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file atomically into the new folder `folder`.

    A top-level folder of that name in the archive is left out of the paths.

    Raises:
        InputError: The file is damaged, contains links or paths outside its folder, or needs more
            space than the disk has.
    """
    try:
        with ZipFile(archive) as opened, atomic_folder(folder) as temporary:
            members = dict(_members(archive, opened, folder.name))
            _check_space(archive, list(members), temporary)
            for member, place in members.items():
                path = temporary / place
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, path.open("xb") as target:
                    shutil.copyfileobj(source, target)
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InputError(
            f"{archive}: the file is damaged, encrypted or not a zip file ({error}). Download it "
            "again"
        ) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"{archive}: the archive contains two files with the same name ({error.filename})"
        ) from error


def _members(
    archive: Path, opened: ZipFile, folder: str
) -> Iterator[tuple[ZipInfo, PurePosixPath]]:
    """Yield the files in the archive, with their paths relative to `folder`."""
    for member in opened.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if member.is_dir() or MACOS_FOLDER in path.parts:
            continue
        if path.is_absolute() or ".." in path.parts or ":" in member.filename:
            raise InputError(
                f"{archive}: the archive contains a file that would be written outside its folder: "
                f"{str(path)!r}"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(
                f"{archive}: the archive contains a link: {str(path)!r}; only files and folders "
                "can be unpacked"
            )
        inner = path.parts[1:] if path.parts[0] == folder else path.parts
        yield member, PurePosixPath(*inner)


def _check_space(archive: Path, members: list[ZipInfo], folder: Path) -> None:
    needed, free = sum(each.file_size for each in members), shutil.disk_usage(folder).free
    if needed > archive.stat().st_size * MAX_RATIO:
        raise InputError(
            f"{archive}: the archive claims to contain {needed} bytes, which is more than a zip "
            "file of its size can contain. Download it again"
        )
    if needed > free:
        raise InputError(
            f"{archive}: unpacking it needs {needed / 2**30:.1f} GiB, but {folder.parent} has only "
            f"{free / 2**30:.1f} GiB free"
        )
