"""Zip files of strangers, unpacked into one folder and nowhere else."""

import shutil
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from wsseg.errors import InputError
from wsseg.files import folder_written_whole

LARGEST_RATIO = 1100  # deflate cannot shrink data further than 1032 times
APPLE = "__MACOSX"  # a folder of notes that macOS puts into zip files


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file into the new folder `folder`, whole or not at all.

    Where all its files lie in a folder of that name already, that is not doubled.

    Raises:
        InputError: It is damaged, has links or paths that lead elsewhere, or needs too much room.
    """
    try:
        with ZipFile(archive) as opened, folder_written_whole(folder) as temporary:
            members = dict(_members(archive, opened, folder.name))
            _check_room(archive, list(members), temporary)
            for member, place in members.items():
                path = temporary / place
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, path.open("xb") as target:
                    shutil.copyfileobj(source, target)
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InputError(f"{archive}: is damaged, encrypted or no zip file ({error})") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{archive}: has two files of one name ({error.filename})") from error


def _members(
    archive: Path, opened: ZipFile, folder: str
) -> Iterator[tuple[ZipInfo, PurePosixPath]]:
    for member in opened.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if member.is_dir() or APPLE in path.parts:
            continue
        if path.is_absolute() or ".." in path.parts or ":" in member.filename:
            raise InputError(f"{archive}: has a file that would lie elsewhere: {str(path)!r}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(f"{archive}: has a link in it: {str(path)!r}")
        inner = path.parts[1:] if path.parts[0] == folder else path.parts
        yield member, PurePosixPath(*inner)


def _check_room(archive: Path, members: list[ZipInfo], folder: Path) -> None:
    needed, free = sum(each.file_size for each in members), shutil.disk_usage(folder).free
    if needed > archive.stat().st_size * LARGEST_RATIO:
        raise InputError(f"{archive}: says it holds {needed} bytes, which it cannot")
    if needed > free:
        raise InputError(
            f"{archive}: needs {needed / 2**30:.1f} GiB unpacked; {folder.parent} has "
            f"{free / 2**30:.1f}"
        )
