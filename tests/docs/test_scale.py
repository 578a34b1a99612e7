"""docs/scale.md: its commands are accepted, and its figures are those of the rows and the code."""

import shlex
import subprocess
import sys

import pytest
from typer.main import get_group

from benchmarks.gpu.page import Row
from benchmarks.pages import read_rows
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


def texts(language: str) -> list[str]:
    return [block.text for block in blocks(PAGE) if block.language == language]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_accepted(line: str) -> None:
    name, *words = shlex.split(line)
    get_group(app).commands[name].make_context(name, words)


@pytest.mark.parametrize(
    ("code", "printed"), zip(texts("python"), texts("text"), strict=True), ids=["hours", "GPUs"]
)
def test_code_prints_what_the_page_shows(code: str, printed: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == printed


def test_the_rates_are_those_of_the_rows() -> None:
    rows = read_rows(REPOSITORY / "benchmarks/gpu/rows.csv", Row)
    rates = {row.name: f"{row.value:.0f}" for row in rows if "H200" in row.machine}
    page = PAGE.read_text(encoding="utf-8")
    assert (
        f"| training with `wsseg train` | {rates['training, trainer, with waiting for batches']} |"
        in page
    )
    assert f"without waiting for batches | {rates['training, trainer']} |" in page
    assert f"one thread | {rates['loading with augmentation alone, a thread']} |" in page
    assert f"rate, parameters, pixels = {rates['training, trainer']}, 6_980_833" in page
    assert f'"as measured": {rates["training, trainer, with waiting for batches"]}' in page


def test_the_number_of_parameters_is_that_of_the_network() -> None:
    text = (REPOSITORY / "recipes/covid/wsseg_covid/unet.py").read_text(encoding="utf-8")
    assert "6,980,833 parameters" in text


def test_the_script_for_slurm_is_valid_bash() -> None:
    subprocess.run(["bash", "-n"], input=texts("slurm")[0], text=True, check=True)


def test_the_page_has_no_other_blocks() -> None:
    assert {block.language for block in blocks(PAGE)} == {"console", "slurm", "python", "text"}
