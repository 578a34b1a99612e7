"""docs/own-data.md: its tables, recipes and commands work."""

import csv
import json
import shlex
import shutil
from pathlib import Path

import pytest
from typer.main import get_group

from tests.conftest import Wsseg
from tests.docs.test_readme import small
from tests.markdown import DOCS, blocks, console_commands, write_named_blocks
from wsseg.cli import app

PAGE = DOCS / "own-data.md"


@pytest.mark.usefixtures("undrawn_figures")
def test_every_command_of_the_page_works(
    wsseg: Wsseg, phantom_scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(phantom_scans, tmp_path, dirs_exist_ok=True)
    write_named_blocks(PAGE, tmp_path)
    monkeypatch.chdir(tmp_path)
    for block in blocks(PAGE):
        for line in block.text.splitlines() if block.language == "bash" else []:
            ended = wsseg(*shlex.split(small(line))[1:])
            assert ended.code == 0, f"{line}\n{ended.err}"
    assert (tmp_path / "predicted" / "d.nii.gz").is_file()
    files = json.loads((tmp_path / "runs" / "mine" / "manifest.json").read_text())["files"]
    learned_from_tags = [each["use"] for each in files if each["stage"] == "consolidation"]
    assert "mask.consolidation" not in learned_from_tags
    with (tmp_path / "tags.csv").open(encoding="utf-8") as file:
        tags = {row["patient"]: row["tag.consolidation"] for row in csv.DictReader(file)}
    assert tags == {"anna": "1", "bert": "0", "cleo": ""}


def test_commands_that_need_a_network_are_accepted() -> None:
    for line in console_commands(PAGE):
        _, group, name, *words = shlex.split(line)
        get_group(app).commands[group].commands[name].make_context(name, words)  # type: ignore[attr-defined]


def test_the_page_has_no_other_blocks() -> None:
    assert {block.language for block in blocks(PAGE)} == {"bash", "console", "csv", "yaml"}
    assert all(block.name for block in blocks(PAGE) if block.language in {"csv", "yaml"})
