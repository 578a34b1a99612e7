"""docs/cluster.md: its commands are accepted, and its plan is what the command prints."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Wsseg
from tests.markdown import DOCS, REPOSITORY, blocks, console_commands

PAGE = DOCS / "cluster.md"
COMMANDS = console_commands(PAGE)


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("wsseg ")])
def test_every_command_is_accepted(
    wsseg: Wsseg, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    words = shlex.split(line)[1:]
    words[words.index("runs/demo")] = str(tmp_path)
    ended = wsseg(*words, *({"--dry-run"} - set(words)))
    assert ended.code == 0, ended.err


def test_the_plan_on_the_page_is_what_dry_run_prints(
    wsseg: Wsseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path))  # no times measured
    command, *plan, dots = blocks(PAGE)[0].text.splitlines()
    assert dots == "..."
    words = shlex.split(command.removeprefix("$ wsseg "))
    words[words.index("runs/demo")] = str(tmp_path / "demo")
    assert wsseg(*words).out.splitlines()[: len(plan)] == plan


@pytest.mark.slow
def test_dask_has_the_options_on_the_page() -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    for part in ("scheduler", "worker"):
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", "--help"]
        described = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = [line for line in COMMANDS if line.startswith(f"dask {part} ")]
        for option in {word for line in lines for word in shlex.split(line) if word[:2] == "--"}:
            assert re.search(rf"{option}\b", described), option


def test_the_script_for_slurm_is_valid_python() -> None:
    [script] = [block.text for block in blocks(PAGE) if block.language == "slurm"]
    ast.parse(script)
    assert {block.language for block in blocks(PAGE)} == {"console", "slurm"}
