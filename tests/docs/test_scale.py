"""docs/scale.md: its commands are accepted, and its estimate prints the table on the page."""

import shlex
import subprocess
import sys

import pytest
from typer.main import get_group

from tests.markdown import DOCS, REPOSITORY, blocks
from wsseg.cli import app

PAGE = DOCS / "scale.md"
COMMANDS = [
    line[line.index("wsseg ") + len("wsseg ") :]
    for block in blocks(PAGE)
    if block.language in {"console", "slurm"}
    for line in block.text.splitlines()
    if "wsseg train" in line or "wsseg predict" in line
]


def only_block(language: str) -> str:
    [text] = [block.text for block in blocks(PAGE) if block.language == language]
    return text


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_accepted(line: str) -> None:
    name, *words = shlex.split(line)
    get_group(app).commands[name].make_context(name, words)


def test_the_estimate_prints_the_table_on_the_page() -> None:
    command = [sys.executable, "-c", only_block("python")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == only_block("text")


def test_the_estimate_uses_the_figures_that_the_network_documents() -> None:
    text = (REPOSITORY / "recipes/covid/wsseg_covid/unet.py").read_text(encoding="utf-8")
    assert "6,980,833 parameters" in text
    assert "15.8 GFLOP" in text
    assert "forward_flop, parameters, pixels = 15.8e9, 6_980_833, 256**2" in only_block("python")


def test_the_script_for_slurm_is_valid_bash() -> None:
    subprocess.run(["bash", "-n"], input=only_block("slurm"), text=True, check=True)


def test_the_page_has_no_other_blocks() -> None:
    assert {block.language for block in blocks(PAGE)} == {"console", "slurm", "python", "text"}
