"""One process at a time in a folder."""

import json
import os
import socket
from pathlib import Path

import pytest

from wsseg.errors import InputError
from wsseg.lock import locked


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


@pytest.mark.parametrize(
    "text", ["", json.dumps({"host": socket.gethostname(), "process": 2**22 + 1})]
)
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path, text: str) -> None:
    (tmp_path / ".lock").write_text(text)
    with locked(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["process"] == os.getpid()


def test_the_lock_of_another_host_is_respected(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(json.dumps({"host": "elsewhere", "process": 1}))
    with pytest.raises(InputError, match="process 1 on elsewhere"), locked(tmp_path):
        pytest.fail("held")
