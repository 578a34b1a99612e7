"""Writing of runs as one file, `NAME.wsseg`, and reading of such files from untrusted sources.

Such a file is a zip archive without compression. Its first member, `wsseg.json`, has the version of
the format and the SHA-256 of all other members. Unlisted members are an error.
"""

import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from pydantic import TypeAdapter, ValidationError

from wsseg.errors import InputError
from wsseg.inference.folders import RunFolder
from wsseg.runtime.cache_leases import lease
from wsseg.runtime.files import (
    atomic_folder,
    atomic_write,
    cache_folder,
    read_json,
    sha256,
    write_json,
)

SUFFIX = ".wsseg"
FORMAT, VERSION = "wsseg run", 1
CACHE_KIND = "packed-runs"
MEMBER = re.compile(r"\w[\w.-]{,99}(/\w[\w.-]{,99}){,3}")  # a relative path below the folder
MAX_RECORD_BYTES = 10**6
DATE = (1980, 1, 1, 0, 0, 0)  # of all members, so that a run always gives the same file
PERMISSIONS = 0o644


@dataclass(frozen=True)
class PackedRecord:
    """The content of `wsseg.json`."""

    licence: str | None  # of the weights; None: not stated
    distributions: list[str]  # with versions, such as "wsseg-crf 0.1.0", that prediction needs
    versions: dict[str, str] = field(default_factory=dict)  # of Python and of packages
    files: dict[str, str] = field(default_factory=dict)  # the SHA-256 of each member
    format: str = FORMAT
    version: int = VERSION


def write_packed(folder: RunFolder, record: Mapping[str, Any], out: Path) -> None:
    """Write the files of a folder and their record as one file, atomically.

    Raises:
        UnwritableError: The disk is full, or the folder of `out` is read-only.
    """
    paths = sorted(path for path in folder.path.rglob("*") if path.is_file())
    names = {path.relative_to(folder.path).as_posix(): path for path in paths}
    complete = PackedRecord(**record, files={name: sha256(path) for name, path in names.items()})
    write_json(folder.packed, asdict(complete))
    with atomic_write(out) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
        for name, path in {folder.packed.name: folder.packed, **names}.items():
            member = ZipInfo(name, DATE)
            member.external_attr = (stat.S_IFREG | PERMISSIONS) << 16
            member.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(member, "w") as target:
                shutil.copyfileobj(source, target)


def run_folder(path: Path) -> RunFolder:
    """Return the folder of a run; a packed run is unpacked into the cache on first use.

    Raises:
        InputError: The file is not a packed run, is damaged, or needs a package that is missing.
    """
    if path.is_dir() or path.suffix != SUFFIX:
        return RunFolder(path)
    if not path.is_file():
        raise InputError(
            f"{path}: not found; give the folder of a run, or a file written by `wsseg pack`"
        )
    folder = RunFolder(cache_folder() / CACHE_KIND / sha256(path)[:32])
    lease(folder.path)
    if not folder.path.is_dir():
        try:
            _unpack(path, folder.path)
        except (BadZipFile, EOFError, NotImplementedError, RuntimeError, OverflowError) as error:
            raise InputError(
                f"{path}: the file is damaged, or not a packed run ({error}); copy it again"
            ) from None
    _check_installed(path, PackedRecord(**read_json(folder.packed)))
    return folder


def _unpack(path: Path, folder: Path) -> None:
    with ZipFile(path) as archive, atomic_folder(folder) as temporary:
        record = _record(path, archive)
        members = {member.filename: member for member in _members(path, archive)}
        listed = {RunFolder(folder).packed.name, *record.files}
        if different := sorted(listed ^ set(members)):
            problem = "lacks" if different[0] in listed else "has an unlisted"
            raise InputError(
                f"{path}: the archive {problem} member {different[0]!r}; copy the file again"
            )
        for name, member in members.items():
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file)
            if name in record.files and sha256(target) != record.files[name]:
                raise InputError(f"{path}: member {name!r} is damaged; copy the file again")


def _record(path: Path, archive: ZipFile) -> PackedRecord:
    """Return the record of an archive.

    Raises:
        InputError: There is none, or it is of a newer format.
    """
    name = RunFolder(path).packed.name
    first = archive.infolist()[:1]
    if not first or first[0].filename != name or first[0].file_size > MAX_RECORD_BYTES:
        raise InputError(f"{path}: this zip file is not a packed run; write one with `wsseg pack`")
    try:
        record = TypeAdapter(PackedRecord).validate_json(archive.read(first[0]))
    except ValidationError:
        raise InputError(f"{path}: its {name} is invalid; copy the file again") from None
    if record.format != FORMAT or record.version > VERSION:
        raise InputError(
            f"{path}: its format is {record.format!r}, version {record.version}, but this wsseg "
            f"reads {FORMAT!r} up to version {VERSION}; update wsseg"
        )
    return record


def _members(path: Path, archive: ZipFile) -> Iterator[ZipInfo]:
    """Yield the members of an archive.

    Raises:
        InputError: A member is a link, is compressed, is outside the folder or appears twice.
    """
    names, room = set[str](), path.stat().st_size
    for member in archive.infolist():
        name, mode = member.filename, member.external_attr >> 16
        room -= member.file_size
        if not MEMBER.fullmatch(name):
            raise InputError(f"{path}: the archive has a member with an unsafe path: {name!r}")
        if name in names:
            raise InputError(f"{path}: the archive has two members named {name!r}")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise InputError(f"{path}: the archive has a link or a special file: {name!r}")
        if member.compress_type != ZIP_STORED or member.flag_bits & 1 or room < 0:
            raise InputError(
                f"{path}: member {name!r} is compressed, encrypted or larger than the file; packed "
                "runs are stored without compression"
            )
        names.add(name)
        yield member


def _check_installed(path: Path, record: PackedRecord) -> None:
    names = [distribution.partition(" ")[0] for distribution in record.distributions]
    installed = {each.name.lower() for each in metadata.distributions() if each.name}
    if missing := [name for name in names if name.lower() not in installed]:
        raise InputError(
            f"{path}: the run needs {', '.join(missing)} (packed with "
            f"{', '.join(record.distributions)}): pip install {' '.join(missing)}"
        )
