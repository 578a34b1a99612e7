"""Downloads from a local server that breaks connections, lacks features and changes its files."""

import hashlib
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest
from rich.console import Console

from wsseg.core.source import Source, SourceFile
from wsseg.data.download import CHUNK, RECORD, fetch
from wsseg.errors import InputError, WorkError
from wsseg.runtime.console import Display

SCAN = bytes(range(256)) * 1000
BAR = Display(Console(quiet=True)).bar


def zip_bytes(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


class Host(ThreadingHTTPServer):
    """A server of `files` that sends at most `max_bytes` of an answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.max_bytes: int | None = None
        self.requests: list[tuple[str, str]] = []
        self.supports_ranges = True


class Answer(BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        name, asked = self.path.removeprefix("/"), self.headers.get("Range", "")
        self.server.requests.append((name, asked))
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        found = re.fullmatch(r"bytes=(\d+)-", asked)
        first = int(found[1]) if found and self.server.supports_ranges else 0
        if first and first >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if found and self.server.supports_ranges else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        last = None if self.server.max_bytes is None else first + self.server.max_bytes
        self.wfile.write(content[first:last])

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def host() -> Iterator[Host]:
    server = Host()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def source(host: Host, *files: tuple[str, str]) -> Source:
    base = f"http://127.0.0.1:{host.server_port}"
    return Source(
        page="https://example.org/data",
        licence="CC0",
        citation="Nobody 2020",
        files=tuple(SourceFile(name, f"{base}/{name}", checksum) for name, checksum in files),
    )


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"


def record(out: Path) -> dict[str, dict[str, object]]:
    files: dict[str, dict[str, object]] = json.loads((out / RECORD).read_text())["files"]
    return files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_recorded_and_zip_files_become_folders(host: Host, tmp_path: Path) -> None:
    host.files = {"a.nii.gz": SCAN, "b.zip": zip_bytes({"b/1.nii": b"one"})}
    fetch(source(host, ("a.nii.gz", md5(SCAN)), ("b.zip", "")), tmp_path, None, BAR)
    assert names(tmp_path) == ["a.nii.gz", "b", RECORD]
    assert (tmp_path / "a.nii.gz").read_bytes() == SCAN
    assert (tmp_path / "b" / "1.nii").read_bytes() == b"one"
    written = json.loads((tmp_path / RECORD).read_text())
    assert (written["licence"], written["citation"]) == ("CC0", "Nobody 2020")
    sums = {n: f"sha256:{hashlib.sha256(content).hexdigest()}" for n, content in host.files.items()}
    assert {name: entry["checksum"] for name, entry in record(tmp_path).items()} == sums


def test_a_second_fetch_requests_nothing(host: Host, tmp_path: Path) -> None:
    host.files = {"a.nii.gz": SCAN, "b.zip": zip_bytes({"1.nii": b"one"})}
    wanted = source(host, ("a.nii.gz", ""), ("b.zip", ""))
    fetch(wanted, tmp_path, None, BAR)
    host.requests.clear()
    fetch(wanted, tmp_path, None, BAR)
    assert host.requests == []


def test_an_interrupted_download_is_resumed(host: Host, tmp_path: Path) -> None:
    host.files, host.max_bytes = {"a.nii.gz": SCAN}, 2 * CHUNK + 1
    wanted = source(host, ("a.nii.gz", md5(SCAN)))
    with pytest.raises(WorkError, match="Run the same command again to resume"):
        fetch(wanted, tmp_path, None, BAR)
    assert (tmp_path / ".a.nii.gz.part").stat().st_size == 2 * CHUNK
    assert not (tmp_path / "a.nii.gz").exists()
    host.max_bytes = None
    fetch(wanted, tmp_path, None, BAR)
    assert host.requests[-1] == ("a.nii.gz", f"bytes={2 * CHUNK}-")
    assert (tmp_path / "a.nii.gz").read_bytes() == SCAN
    assert names(tmp_path) == ["a.nii.gz", RECORD]


def test_a_download_restarts_if_the_host_has_no_ranges(host: Host, tmp_path: Path) -> None:
    host.files, host.supports_ranges = {"a.nii.gz": SCAN}, False
    (tmp_path / ".a.nii.gz.part").write_bytes(b"x" * 1000)
    fetch(source(host, ("a.nii.gz", md5(SCAN))), tmp_path, None, BAR)
    assert (tmp_path / "a.nii.gz").read_bytes() == SCAN


def test_a_complete_partial_file_is_used(host: Host, tmp_path: Path) -> None:
    host.files = {"a.nii.gz": SCAN}
    (tmp_path / ".a.nii.gz.part").write_bytes(SCAN)
    fetch(source(host, ("a.nii.gz", md5(SCAN))), tmp_path, None, BAR)
    assert (tmp_path / "a.nii.gz").read_bytes() == SCAN


def test_a_download_with_a_wrong_checksum_is_not_kept(host: Host, tmp_path: Path) -> None:
    host.files = {"a.nii.gz": SCAN[1:]}
    with pytest.raises(WorkError, match="its checksum is not md5:"):
        fetch(source(host, ("a.nii.gz", md5(SCAN))), tmp_path, None, BAR)
    assert names(tmp_path) == []


def test_a_file_that_changed_on_disk_is_downloaded_again(host: Host, tmp_path: Path) -> None:
    host.files = {"a.nii.gz": SCAN}
    wanted = source(host, ("a.nii.gz", ""))
    fetch(wanted, tmp_path, None, BAR)
    (tmp_path / "a.nii.gz").write_bytes(b"spoilt")
    fetch(wanted, tmp_path, None, BAR)
    assert (tmp_path / "a.nii.gz").read_bytes() == SCAN


def test_a_damaged_zip_file_is_not_kept_so_that_the_next_attempt_downloads_it(
    host: Host, tmp_path: Path
) -> None:
    host.files = {"b.zip": b"<html>busy</html>"}
    wanted = source(host, ("b.zip", ""))
    with pytest.raises(InputError, match="not a zip file"):
        fetch(wanted, tmp_path, None, BAR)
    assert names(tmp_path) == []
    host.files = {"b.zip": zip_bytes({"1.nii": b"one"})}
    fetch(wanted, tmp_path, None, BAR)
    assert names(tmp_path / "b") == ["1.nii"]


def test_a_file_that_the_host_does_not_have_is_named(host: Host, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match=r"a.nii.gz: cannot be downloaded .HTTPError: 404"):
        fetch(source(host, ("a.nii.gz", "")), tmp_path, None, BAR)


def test_local_files_are_copied_and_not_requested(host: Host, tmp_path: Path) -> None:
    here, out = tmp_path / "here", tmp_path / "out"
    here.mkdir()
    (here / "a.nii.gz").write_bytes(SCAN)
    (here / "b.zip").write_bytes(zip_bytes({"1.nii": b"one"}))
    host.files = {"c.nii.gz": b"c"}
    files = (("a.nii.gz", md5(SCAN)), ("b.zip", ""), ("c.nii.gz", ""))
    fetch(source(host, *files), out, here, BAR)
    assert [name for name, _ in host.requests] == ["c.nii.gz"]
    assert names(out) == ["a.nii.gz", "b", "c.nii.gz", RECORD]
    assert names(here) == ["a.nii.gz", "b.zip"]
    assert record(out)["a.nii.gz"]["from"] == str(here / "a.nii.gz")


def test_local_files_may_be_in_the_output_folder(host: Host, tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(SCAN)
    (tmp_path / "b.zip").write_bytes(zip_bytes({"1.nii": b"one"}))
    fetch(source(host, ("a.nii.gz", md5(SCAN)), ("b.zip", "")), tmp_path, tmp_path, BAR)
    assert names(tmp_path) == ["a.nii.gz", "b", "b.zip", RECORD]


def test_a_damaged_local_file_is_named(host: Host, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "a.nii.gz").write_bytes(b"spoilt")
    with pytest.raises(InputError, match=r"here/a.nii.gz: its checksum is not md5:"):
        fetch(source(host, ("a.nii.gz", md5(SCAN))), tmp_path / "out", here, BAR)


def test_a_local_folder_with_none_of_the_files_is_refused(host: Host, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the files a.nii.gz, b.zip was found"):
        fetch(source(host, ("a.nii.gz", ""), ("b.zip", "")), tmp_path / "out", tmp_path, BAR)
    assert not (tmp_path / "out").exists()


def test_a_damaged_record_is_replaced(host: Host, tmp_path: Path) -> None:
    host.files = {"a.nii.gz": SCAN}
    (tmp_path / RECORD).write_text("{")
    fetch(source(host, ("a.nii.gz", md5(SCAN))), tmp_path, None, BAR)
    assert list(record(tmp_path)) == ["a.nii.gz"]
