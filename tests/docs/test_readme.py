"""README.md: every code block runs, in its order, as a reader would run it.

Training is made small, and blocks that would install packages from the network are not run.
"""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.conftest import Wsseg
from tests.docs.conftest import Reader
from tests.markdown import REPOSITORY, blocks, write_block
from tests.picture_files import write_pictures

PAGE = REPOSITORY / "README.md"
SMALL = (
    "input.size=32 stages.infection.epochs=1 stages.consolidation.epochs=1 "
    "stages.infection.backbone.width=4"
)
SMALL_COHORT = "cohort.cases=4 cohort.size=64 cohort.slices=12"


def small(line: str) -> str:
    """Return a line with settings that make its training small."""
    if not line.startswith("wsseg train "):
        return line
    if "pictures.yaml" in line:
        return f"{line} --set stages.crack.epochs=1"
    settings = SMALL if "cohort=" in line else f"{SMALL} {SMALL_COHORT}"
    return " ".join([line, *(f"--set {setting}" for setting in settings.split())])


def test_every_block_of_the_readme_runs(
    wsseg: Wsseg, reader: Reader, phantom_scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands run in this process, which is faster, until the page installs a plugin."""
    shutil.copytree(phantom_scans, reader.folder, dirs_exist_ok=True)
    write_pictures(reader.folder / "pictures")
    shutil.copy(phantom_scans / "scans" / "a.nii.gz", reader.folder / "scan.nii.gz")
    monkeypatch.chdir(reader.folder)
    is_installed = False
    for block in blocks(PAGE):
        if block.name:
            write_block(block, reader.folder)
        elif block.language == "python":
            reader.run(f"python -c {shlex.quote(block.text)}")
        for line in block.text.splitlines() if block.language == "bash" else []:
            is_installed |= line.startswith("pip install ")
            if is_installed:
                reader.run(small(line))
            else:
                ended = wsseg(*shlex.split(small(line))[1:])
                assert ended.code == 0, f"{line}\n{ended.err}"
    assert (reader.folder / "masks" / "scan.nii.gz").is_file()
    assert (reader.folder / "outlined" / "overlays" / "001.png").is_file()
    assert (reader.folder / "runs" / "phi2" / "report.html").is_file()
    assert "two-normals" in reader.run("wsseg plugins list").stdout
    checked = reader.run("wsseg plugins check wsseg-two-normals").stdout
    assert "1 of 1 parts were built and passed" in checked


def test_only_installation_and_printed_tables_are_not_run() -> None:
    others = [block for block in blocks(PAGE) if not block.name and not block.language]
    assert all(block.text.startswith(("make ", "pip ", " ")) for block in others)
    assert {block.language for block in blocks(PAGE)} <= {
        "",
        "bash",
        "python",
        "csv",
        "toml",
        "yaml",
    }


def test_the_readme_installs_every_package_of_this_repository_that_the_recipes_need() -> None:
    [command] = [
        block.text
        for block in blocks(PAGE)
        if not block.language and block.text.startswith("pip install ")
    ]
    folders = [REPOSITORY / word for word in command.split()[2:]]
    projects = [tomllib.loads((each / "pyproject.toml").read_text())["project"] for each in folders]
    needed = {
        name
        for project in projects
        for requirement in project["dependencies"]
        if (name := re.split(r"[^\w-]", requirement)[0]).startswith("wsseg")
    }
    assert needed <= {project["name"] for project in projects}
