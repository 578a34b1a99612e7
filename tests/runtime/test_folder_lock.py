"""One process at a time in a folder."""

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wsseg.errors import InputError, UnwritableError
from wsseg.runtime import folder_lock as lock
from wsseg.runtime.folder_lock import locked

DEAD = json.dumps({"host": socket.gethostname(), "process": 2**22 + 1})
HOLD_ONCE = """\
import random, sys, time
from pathlib import Path
from wsseg import lock
from wsseg.errors import InputError
from wsseg.lock import locked
works = lock._works
def works_as_it_was(*holder):  # what is known of the holder ages before it is acted upon
    answer = works(*holder)
    time.sleep(random.random() / 100)
    return answer
lock._works = works_as_it_was
for line in sys.stdin:
    try:
        with locked(Path(line.strip())):
            print("held", flush=True)
            sys.stdin.readline()
    except InputError:
        print("refused", flush=True)
        sys.stdin.readline()
"""


def test_a_second_holder_is_refused_and_the_first_is_named(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(InputError, match=f"process {os.getpid()} on"),
        locked(tmp_path),
    ):
        pytest.fail("two held it")
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_with_the_folder_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, text: str) -> None:  # as where an entry fits, and its content does not
        path.write_bytes(text.encode()[:0])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(UnwritableError, match=f"^{folder}: cannot be written"), locked(folder):
            pytest.fail("held without a lock")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", DEAD])
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path, text: str) -> None:
    (tmp_path / ".lock").write_text(text)
    with locked(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["process"] == os.getpid()


def test_the_lock_of_another_host_is_respected(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(json.dumps({"host": "elsewhere", "process": 1}))
    with pytest.raises(InputError, match="process 1 on elsewhere"), locked(tmp_path):
        pytest.fail("held")


def test_a_lock_taken_over_in_the_meantime_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other is as fast as can be: it takes over just after we saw that the holder is dead."""
    path = tmp_path / ".lock"
    path.write_text(DEAD)
    drop = lock._drop_dead
    other = json.dumps({"host": socket.gethostname(), "process": os.getppid()})

    def other_first(path: Path) -> None:
        path.unlink()
        path.write_text(other)
        drop(path)

    monkeypatch.setattr(lock, "_drop_dead", other_first)
    with pytest.raises(InputError, match=f"process {os.getppid()} on"), locked(tmp_path):
        pytest.fail("two held it")
    assert path.read_text() == other


def test_of_many_that_take_over_a_dead_lock_at_once_one_has_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD_ONCE]
    pipe = subprocess.PIPE
    rivals = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for turn in range(30):
        folder = tmp_path / str(turn)
        folder.mkdir()
        (folder / ".lock").write_text(DEAD)
        said = []
        for word in (str(folder), "go on"):
            for rival in rivals:
                assert rival.stdin is not None
                rival.stdin.write(f"{word}\n")
                rival.stdin.flush()
            if word != "go on":
                said = [rival.stdout.readline().strip() for rival in rivals if rival.stdout]
        assert sorted(said) == ["held", "refused", "refused", "refused"]
    for rival in rivals:
        rival.communicate(timeout=20)
