"""docs/own-suite.md: its suites are valid, and its trial runs."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Wsseg
from tests.markdown import DOCS, blocks, console_commands, write_named_blocks
from wsseg.suite.definition import Suite

PAGE = DOCS / "own-suite.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_named_blocks(PAGE, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_every_command_of_the_page_works(wsseg: Wsseg, folder: Path) -> None:
    for block in blocks(PAGE):
        for line in block.text.splitlines() if block.language == "bash" else []:
            ended = wsseg(*shlex.split(line)[1:])
            assert ended.code == 0, f"{line}\n{ended.err}"
    assert (folder / "runs" / "trial" / "report.html").is_file()
    for name in ("suite.yaml", "rows.csv", "threshold/seed-0/scores.csv", "stages"):
        assert (folder / "runs" / "trial" / name).exists(), name


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("line", console_commands(PAGE))
def test_commands_that_take_long_are_accepted(wsseg: Wsseg, line: str) -> None:
    ended = wsseg(*shlex.split(line)[1:], "--dry-run")
    assert ended.code == 0, ended.err
    assert "12 jobs = 4 methods × 3 seeds" in ended.out


def test_the_page_explains_every_key_of_a_suite() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(rows) == {*Suite.model_fields, "extends"}


def test_the_page_has_no_other_blocks() -> None:
    assert {block.language for block in blocks(PAGE)} == {"bash", "console", "yaml"}
