"""docs/cluster.md: its commands are accepted, and what it shows is what they print."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Wsseg

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line.removeprefix("$ ")
    for language, block in BLOCKS
    if language == "console"
    for line in block.splitlines()
    if line.startswith("$ ")
]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("wsseg ")])
def test_every_command_is_accepted(
    wsseg: "Wsseg", line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    words = shlex.split(line)[1:]
    words[words.index("runs/demo")] = str(tmp_path)
    ended = wsseg(*words, *({"--dry-run"} - set(words)))
    assert ended.code == 0, ended.err


def test_the_plan_that_is_shown_is_the_plan(
    wsseg: "Wsseg", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path))  # where nothing was measured
    shown = BLOCKS[0][1].splitlines()
    words = shlex.split(shown[0].removeprefix("$ wsseg "))
    words[words.index("runs/demo")] = str(tmp_path / "demo")
    assert wsseg(*words).out.splitlines()[: len(shown) - 2] == shown[1:-1]


@pytest.mark.slow
def test_dask_has_the_options_that_are_named() -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    for part in ("scheduler", "worker"):
        module = f"distributed.cli.dask_{part}"
        command = [sys.executable, "-m", module, "--help"]
        described = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = [line for line in COMMANDS if line.startswith(f"dask {part} ")]
        for option in {word for line in lines for word in shlex.split(line) if word[:2] == "--"}:
            assert re.search(rf"{option}\b", described), option


def test_what_is_not_run_is_at_least_python() -> None:
    [text] = [block for language, block in BLOCKS if language == "slurm"]
    ast.parse(text)
    assert {language for language, _ in BLOCKS} == {"console", "slurm"}
