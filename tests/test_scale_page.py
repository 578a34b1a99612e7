"""docs/scale.md: its commands are accepted, and its estimate prints what is shown."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

from wsseg.cli import app

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs" / "scale.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
LINES = [
    line[line.index("wsseg ") + len("wsseg ") :]
    for language, block in BLOCKS
    if language in ("console", "slurm")
    for line in block.splitlines()
    if "wsseg train" in line or "wsseg predict" in line
]


def block(language: str) -> str:
    [text] = [text for known, text in BLOCKS if known == language]
    return str(text)


@pytest.mark.parametrize("line", LINES)
def test_every_command_is_accepted(line: str) -> None:
    name, *words = shlex.split(line)
    get_group(app).commands[name].make_context(name, words)


def test_the_estimate_prints_what_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-c", block("python")], capture_output=True, text=True, check=True
    )
    assert done.stdout == block("text")


def test_the_estimate_uses_the_committed_figures_of_the_network() -> None:
    text = (REPOSITORY / "recipes/covid/wsseg_covid/unet.py").read_text(encoding="utf-8")
    assert "6,980,833 parameters, and 15.8 GFLOP" in text
    assert "forward_flop, parameters, pixels = 15.8e9, 6_980_833, 256**2" in block("python")


def test_the_script_for_slurm_is_one() -> None:
    subprocess.run(["bash", "-n"], input=block("slurm"), text=True, check=True)


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (REPOSITORY / "docs" / link).exists(), link


def test_no_other_block_is_left_unchecked() -> None:
    assert {language for language, _ in BLOCKS} == {"console", "slurm", "python", "text"}
