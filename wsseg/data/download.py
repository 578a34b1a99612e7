"""Downloads public data sets: checked, resumable, with a record of what came."""

import json
import logging
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from wsseg.core.source import Source, SourceFile
from wsseg.errors import InputError, WorkError
from wsseg.runtime.files import atomic_folder, atomic_write, sha256, write_json

LARGEST_RATIO = 1100  # deflate cannot shrink data further than 1032 times
APPLE = "__MACOSX"  # a folder of notes that macOS puts into zip files

RECORD = "fetched.json"
MB = 10**6
CHUNK = 2**16  # bytes: as much at most is lost where a download breaks off
PATIENCE_S = 60.0  # for the next bytes
PARTIAL, BEYOND = 206, 416  # HTTP: a part as asked; there is nothing after what is there
# Text, MB in all and done already → how to say that some more came: `Display.bar`.
Bar = Callable[[str, int, int], AbstractContextManager[Callable[[int, str], object]]]


def fetch(source: Source, out: Path, at_hand: Path | None, bar: Bar) -> None:
    """Bring all files of `source` into the folder `out`: from `at_hand` where they are, or from it.

    A zip is unpacked into a folder of its name and not kept. `fetched.json` tells where each file
    came from and its SHA-256. Called again, it does what is left to do.

    Raises:
        InputError: `at_hand` has none of the files, or one that is damaged.
        WorkError: A download failed; what came of it is kept.
    """
    here = _at_hand(source, at_hand) if at_hand else {}
    out.mkdir(parents=True, exist_ok=True)
    record = _read_record(out)
    for file in source.files:
        known = file.checksum or record.get(file.name, {}).get("checksum", "")
        final = out / file.name.removesuffix(".zip")
        if final.exists() and file.name in record and (final.is_dir() or _matches(final, known)):
            continue
        path = here.get(file.name) or download(file, out, known, bar)
        _check(path, known)
        record[file.name] = {
            "from": str(path) if file.name in here else file.url,
            "bytes": path.stat().st_size,
            "checksum": f"sha256:{sha256(path)}",
        }
        try:
            _put(path, final)
        finally:
            if path != final and file.name not in here:
                path.unlink()  # a zip: damaged, or unpacked
        about = {"page": source.page, "licence": source.licence, "citation": source.citation}
        write_json(out / RECORD, {**about, "files": record})


def _put(path: Path, final: Path) -> None:
    """Make a file, downloaded or at hand, what it shall be in the end."""
    if path.suffix == ".zip":
        unpack(path, final)
    elif path.resolve() != final.resolve():
        with atomic_write(final) as temporary:
            shutil.copyfile(path, temporary)


def _at_hand(source: Source, folder: Path) -> dict[str, Path]:
    here = {f.name: folder / f.name for f in source.files if (folder / f.name).is_file()}
    if not here:
        names = ", ".join(file.name for file in source.files)
        raise InputError(f"{folder}: has none of the files {names}. They are at {source.page}")
    return here


def _read_record(out: Path) -> dict[str, Any]:
    try:
        files = json.loads((out / RECORD).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def download(file: SourceFile, folder: Path, checksum: str, bar: Bar) -> Path:
    """Download a file into `folder`, going on where an interrupted attempt stopped.

    Raises:
        WorkError: The host cannot be reached, or what comes has another checksum.
    """
    import pooch
    import requests

    # pooch tells the checksum of what has none, to be pasted into code: it is in the record.
    pooch.get_logger().setLevel(logging.WARNING)
    resumed = Resumed(folder / f".{file.name}.part", bar)
    try:
        path = pooch.retrieve(file.url, checksum or None, file.name, folder, downloader=resumed)
        return Path(path)
    except requests.exceptions.RequestException as error:
        kind, said = type(error).__name__, error.response is not None
        raise WorkError(
            f"{file.url}: cannot be downloaded ({f'{kind}: {error}' if said else kind}).\n"
            "The same command goes on from there"
        ) from error
    except ValueError as error:
        raise WorkError(
            f"{file.url}: its checksum is another than {checksum}: it was damaged on the way, or "
            "replaced. The same command tries again"
        ) from error


@dataclass(frozen=True)
class Resumed:
    """Downloads for pooch, going on with what an interrupted attempt left in `part`."""

    part: Path
    bar: Bar

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002 - pooch's
        """Bring `url` into `output_file`."""
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE_S) as answer:
            if answer.status_code != BEYOND or not have:
                answer.raise_for_status()
                self._write(answer, have if answer.status_code == PARTIAL else 0)
        shutil.move(self.part, output_file)

    def _write(self, answer: Any, have: int) -> None:
        total = have + int(answer.headers.get("Content-Length", 0))
        name = self.part.name.removeprefix(".").removesuffix(".part")
        with (
            self.part.open("ab" if have else "wb") as target,
            self.bar(f"{name}, MB", total // MB, have // MB) as advance,
        ):
            done = have
            for chunk in answer.iter_content(CHUNK):
                done += target.write(chunk)
                advance(done // MB - (done - len(chunk)) // MB, "")


def _matches(path: Path, checksum: str) -> bool:
    import pooch

    return not checksum or bool(pooch.hashes.hash_matches(str(path), checksum))


def _check(path: Path, checksum: str) -> None:
    if not _matches(path, checksum):
        raise InputError(
            f"{path}: its checksum is not {checksum}: it is damaged or another version"
        )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file into the new folder `folder`, whole or not at all.

    Where all its files lie in a folder of that name already, that is not doubled.

    Raises:
        InputError: It is damaged, has links or paths that lead elsewhere, or needs too much room.
    """
    try:
        with ZipFile(archive) as opened, atomic_folder(folder) as temporary:
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
