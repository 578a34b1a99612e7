"""Downloads public data sets: checked, resumable, with a record of what came."""

import json
import logging
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsseg.data.source import Source, SourceFile
from wsseg.data.unpack import unpack
from wsseg.errors import InputError, WorkError
from wsseg.files import sha256, write_json, written_whole

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
        with written_whole(final) as temporary:
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
