import json
from pathlib import Path

import pytest

from wsseg.errors import InputError
from wsseg.training.log import read_log, warnings

EPOCH = {"event": "epoch", "stage": "consolidation", "epoch": 1, "loss": 0.5}
WARNING = {"event": "warning", "stage": "consolidation", "epoch": 1, "text": "targets vanish"}


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


def test_only_epochs_and_warnings_are_read(tmp_path: Path) -> None:
    lines = [json.dumps(line) for line in ({"event": "start"}, EPOCH, WARNING, [1], 3)]
    assert read_log(write(tmp_path / "log.jsonl", *lines)) == [EPOCH, WARNING]


def test_a_last_line_truncated_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", json.dumps(EPOCH), '{"event": "epo')
    assert read_log(path) == [EPOCH]


def test_a_damaged_line_before_the_last_is_an_input_error(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", "{", json.dumps(EPOCH))
    with pytest.raises(InputError, match="line 1: not valid JSON"):
        read_log(path)


def test_a_missing_log_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_log(tmp_path / "log.jsonl")


def test_warnings_name_their_method() -> None:
    assert warnings({"phi1": [EPOCH, WARNING], "phi2": [EPOCH]}) == ["phi1: targets vanish"]
