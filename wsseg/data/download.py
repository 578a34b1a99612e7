"""Resumable download of public data sets, with checksums and a record of the files."""

import json
import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wsseg.core.source import Source, SourceFile
from wsseg.data.archive import unpack
from wsseg.errors import InputError, WorkError
from wsseg.runtime.files import atomic_write, sha256, write_json

RECORD = "fetched.json"
MB = 10**6
CHUNK = 2**16  # bytes; an interrupted download loses at most one chunk
TIMEOUT_S = 60.0  # without data from the host
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416  # HTTP status codes
# (text, MB in all, MB already done) -> a context that reports progress: `Display.bar`
ProgressBar = Callable[[str, int, int], AbstractContextManager[Callable[[int, str], object]]]


def no_bar(text: str, total: int, completed: int) -> AbstractContextManager[Any]:  # noqa: ARG001
    """Show no progress bar."""
    return nullcontext(lambda *_: None)


def fetch(source: Source, out: Path, local: Path | None, bar: ProgressBar) -> None:
    """Copy or download all files of `source` into the folder `out`.

    Files in the folder `local` are copied, all others are downloaded. A zip file is unpacked into a
    folder of its name and deleted. `fetched.json` records the origin and the SHA-256 of each file.
    After an interruption, another call continues.

    Raises:
        InputError: `local` has none of the files, or a damaged one.
        WorkError: A download failed. The part that arrived is kept.
    """
    here = _local_files(source, local) if local else {}
    out.mkdir(parents=True, exist_ok=True)
    record = _read_record(out)
    for file in source.files:
        known = file.checksum or record.get(file.name, {}).get("checksum", "")
        final = out / file.name.removesuffix(".zip")
        if final.exists() and file.name in record and (final.is_dir() or _matches(final, known)):
            continue
        path = here.get(file.name) or download(replace(file, checksum=known), out, bar)
        _check_checksum(path, known)
        record[file.name] = {
            "from": str(path) if file.name in here else file.url,
            "bytes": path.stat().st_size,
            "checksum": f"sha256:{sha256(path)}",
        }
        try:
            _install(path, final)
        finally:
            if path != final and file.name not in here:
                path.unlink()  # a zip file that is unpacked or damaged
        about = {"page": source.page, "licence": source.licence, "citation": source.citation}
        write_json(out / RECORD, {**about, "files": record})


def _install(path: Path, final: Path) -> None:
    """Unpack a zip file as the folder `final`; copy any other file to `final`."""
    if path.suffix == ".zip":
        unpack(path, final)
    elif path.resolve() != final.resolve():
        with atomic_write(final) as temporary:
            shutil.copyfile(path, temporary)


def _local_files(source: Source, folder: Path) -> dict[str, Path]:
    here = {f.name: folder / f.name for f in source.files if (folder / f.name).is_file()}
    if not here:
        names = ", ".join(file.name for file in source.files)
        raise InputError(
            f"{folder}: none of the files {names} was found. Download them from {source.page}"
        )
    return here


def _read_record(out: Path) -> dict[str, Any]:
    try:
        files = json.loads((out / RECORD).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def download(file: SourceFile, folder: Path, bar: ProgressBar = no_bar) -> Path:
    """Download a file into `folder`, unless it is there already; return its path.

    An interrupted download is resumed.

    Raises:
        WorkError: The host cannot be reached, or the file has another checksum.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from wsseg import SourceFile
        >>> from wsseg.tools import download, write_text
        >>> folder = Path(mkdtemp())
        >>> write_text(folder / "labels.txt", "1 liver")  # left by an earlier download
        >>> download(SourceFile("labels.txt", "https://example.org/labels.txt"), folder).name
        'labels.txt'
    """
    import pooch
    import requests

    # pooch logs the checksum of files that have none; `fetched.json` holds it already.
    pooch.get_logger().setLevel(logging.WARNING)
    checksum, downloader = file.checksum, ResumingDownloader(folder / f".{file.name}.part", bar)
    try:
        path = pooch.retrieve(file.url, checksum or None, file.name, folder, downloader=downloader)
        return Path(path)
    except requests.exceptions.RequestException as error:
        kind, answered = type(error).__name__, error.response is not None
        raise WorkError(
            f"{file.url}: cannot be downloaded ({f'{kind}: {error}' if answered else kind}).\n"
            "Run the same command again to resume."
        ) from error
    except ValueError as error:
        raise WorkError(
            f"{file.url}: its checksum is not {checksum}: the file was damaged during the "
            "download, or has changed on the server.\n"
            "Run the same command to try again."
        ) from error


@dataclass(frozen=True)
class ResumingDownloader:
    """A downloader for pooch that continues the partial file `part`."""

    part: Path
    bar: ProgressBar

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002 - pooch's
        """Download `url` to `output_file`."""
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            if response.status_code != RANGE_NOT_SATISFIABLE or not have:
                response.raise_for_status()
                self._write(response, have if response.status_code == PARTIAL_CONTENT else 0)
        shutil.move(self.part, output_file)

    def _write(self, response: Any, have: int) -> None:
        total = have + int(response.headers.get("Content-Length", 0))
        name = self.part.name.removeprefix(".").removesuffix(".part")
        with (
            self.part.open("ab" if have else "wb") as target,
            self.bar(f"{name}, MB", total // MB, have // MB) as advance,
        ):
            done = have
            for chunk in response.iter_content(CHUNK):
                done += target.write(chunk)
                advance(done // MB - (done - len(chunk)) // MB, "")


def _matches(path: Path, checksum: str) -> bool:
    import pooch

    return not checksum or bool(pooch.hashes.hash_matches(str(path), checksum))


def _check_checksum(path: Path, checksum: str) -> None:
    if not _matches(path, checksum):
        raise InputError(
            f"{path}: its checksum is not {checksum}: the file is damaged, or is another version. "
            "Download it again"
        )
