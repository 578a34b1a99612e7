"""Tests of the lock that gives one process at a time a folder."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wsseg.errors import InputError, UnwritableError
from wsseg.runtime import folder_lock
from wsseg.runtime.folder_lock import LockWatch, holder_of, lock_folder

LOCK_ON_COMMAND = """\
import sys
from pathlib import Path
from wsseg.errors import InputError
from wsseg.runtime.folder_lock import lock_folder
for line in sys.stdin:
    try:
        with lock_folder(Path(line.strip())):
            print("locked", flush=True)
            sys.stdin.readline()
    except InputError:
        print("refused", flush=True)
        sys.stdin.readline()
"""


class Process:
    """Another process that locks and unlocks folders on command."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.popen = subprocess.Popen(
            [sys.executable, "-c", LOCK_ON_COMMAND], stdin=pipe, stdout=pipe, text=True
        )

    def send(self, line: object) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{line}\n")
        self.popen.stdin.flush()

    def answer(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def kill(self) -> None:
        self.popen.send_signal(signal.SIGKILL)
        self.popen.communicate()


def lock_and_die(folder: Path) -> int:
    """Let a process lock `folder` and be killed; return its process ID."""
    process = Process()
    process.send(folder)
    assert process.answer() == "locked"
    process.kill()
    assert (folder / ".lock").exists()
    return process.popen.pid


def foreign_marker(folder: Path) -> None:
    """Write the lock of process 1 on another host."""
    (folder / ".lock").write_text("filelock/2\npid=1\nhost=elsewhere\nmode=exclusive\n")


def test_a_second_process_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    process = Process()
    process.send(tmp_path)
    assert process.answer() == "locked"
    with (
        pytest.raises(InputError, match=f"process {process.popen.pid} on .* is using this folder"),
        lock_folder(tmp_path),
    ):
        pytest.fail("two processes hold the lock")
    process.send("unlock")
    process.popen.communicate(timeout=20)
    with lock_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_the_block_unlocks_the_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lock_folder(tmp_path):
        raise KeyError
    with lock_folder(tmp_path):
        pass


def test_a_folder_created_for_the_lock_is_removed_if_it_stays_empty(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "empty"):
        pass
    with lock_folder(tmp_path / "used"):
        (tmp_path / "used" / "file").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="give a folder"), lock_folder(path):
            pytest.fail("locked a file")


def test_a_full_disk_is_reported_with_the_folder_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", fail)
    for folder in (tmp_path, tmp_path / "new"):
        with (
            pytest.raises(UnwritableError, match=f"^{folder}: cannot be written"),
            lock_folder(folder),
        ):
            pytest.fail("locked without a lock file")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    lock_and_die(tmp_path)
    with lock_folder(tmp_path):
        holder = holder_of(tmp_path)
        assert holder is not None
        assert holder.pid == os.getpid()


def test_a_lock_file_that_names_no_process_is_taken_over(tmp_path: Path) -> None:
    """Such as half a record, or a lock that an older version of wsseg left."""
    (tmp_path / ".lock").write_text('{"host": "a", "process": 1}')
    with lock_folder(tmp_path):
        pass


def test_the_lock_of_another_host_is_respected(tmp_path: Path) -> None:
    foreign_marker(tmp_path)
    with pytest.raises(InputError, match="process 1 on elsewhere"), lock_folder(tmp_path):
        pytest.fail("locked")


def test_only_one_of_many_processes_takes_over_a_dead_lock(tmp_path: Path) -> None:
    rivals = [Process() for _ in range(4)]
    template = tmp_path / "dead"
    template.mkdir()
    lock_and_die(template)
    for turn in range(20):
        folder = tmp_path / str(turn)
        folder.mkdir()
        (folder / ".lock").write_bytes((template / ".lock").read_bytes())
        for rival in rivals:
            rival.send(folder)
        answers = sorted(rival.answer() for rival in rivals)
        assert answers == ["locked", "refused", "refused", "refused"]
        for rival in rivals:
            rival.send("next")
    for rival in rivals:
        rival.popen.communicate(timeout=20)


# A watch of the lock


def replaced_by_another_process(folder: Path) -> None:
    foreign_marker(folder)


def deleted(folder: Path) -> None:
    (folder / ".lock").unlink()


@pytest.mark.parametrize("change", [replaced_by_another_process, deleted])
def test_a_watch_notices_that_the_lock_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(folder_lock, "CHECK_S", 0)
    with lock_folder(tmp_path):
        watch = LockWatch(tmp_path, holder_of(tmp_path))
        assert watch()
        change(tmp_path)
        assert not watch()


def test_a_watch_notices_that_the_process_has_died(tmp_path: Path) -> None:
    lock_and_die(tmp_path)
    holder = holder_of(tmp_path)
    assert holder is not None
    assert not LockWatch(tmp_path, holder)()


def test_a_watch_trusts_the_lock_of_another_host(tmp_path: Path) -> None:
    foreign_marker(tmp_path)
    assert LockWatch(tmp_path, holder_of(tmp_path))()


def test_a_watch_without_a_lock_is_false(tmp_path: Path) -> None:
    assert not LockWatch(tmp_path, holder_of(tmp_path))()


def test_a_watch_reads_the_lock_at_most_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    foreign_marker(tmp_path)
    watch = LockWatch(tmp_path, holder_of(tmp_path))
    assert watch()
    (tmp_path / ".lock").unlink()
    now = 100.9
    assert watch()
    now = 101.1
    assert not watch()
