"""Every code block of the README runs, in its order, as a reader would run it.

```LANGUAGE runs as it is, ```LANGUAGE NAME is a file that later blocks use. Only `make` is left
out, and training is made small.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = (
    "input.size=32 stages.infection.epochs=1 stages.consolidation.epochs=1 "
    "stages.infection.backbone.width=4"
)
SMALL_COHORT = "cohort.cases=4 cohort.size=64 cohort.slices=12"


class Block(NamedTuple):
    language: str
    name: str
    text: str


def blocks(text: str) -> list[Block]:
    fences = re.findall(r"^```(\w*) ?([^\n`]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(*fence) for fence in fences]


README = blocks((REPOSITORY / "README.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: some scans, and nothing else."""
    from wsseg_covid.phantom.cohort import LungPhantom

    folder = tmp_path_factory.mktemp("desk")
    (folder / "scans").mkdir()
    (folder / "masks").mkdir()
    cases = LungPhantom(cases=4, size=64, slices=12).cases()
    for name, case in zip("abcd", cases, strict=True):
        shutil.copy(case.image, folder / "scans" / f"{name}.nii.gz")
        shutil.copy(case.masks["infection"], folder / "masks" / f"{name}-infection.nii.gz")
    shutil.copy(cases[0].image, folder / "scan.nii.gz")
    return folder


def run(command: list[str], desk: Path) -> str:
    paths = [str(desk / "site"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
    done = subprocess.run(
        command, cwd=desk, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_line(line: str, desk: Path) -> None:
    words = shlex.split(line, comments=True)
    if words[:2] == ["wsseg", "train"]:
        sets = SMALL.split() if "--set" in words else [*SMALL.split(), *SMALL_COHORT.split()]
        words += [word for value in sets for word in ("--set", value)]
    run(words, desk)


def install(project: Path, desk: Path) -> None:
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--target", "site"]
    run([sys.executable, "-m", "pip", "install", *options, f"./{project.name}"], desk)
    run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", project.name], desk)


def test_every_block_of_the_readme_runs(desk: Path) -> None:
    for block in README:
        if block.name:
            path = desk / block.name
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
            if path.name.startswith("test_"):
                install(path.parent, desk)
        elif block.language == "python":
            run([sys.executable, "-c", block.text], desk)
        elif block.language == "bash":
            for line in block.text.splitlines():
                run_line(line, desk)
    assert (desk / "masks" / "scan.nii.gz").is_file()
    assert (desk / "runs" / "phi2" / "report.html").is_file()
    assert "two-normals" in run(["wsseg", "plugins", "list"], desk)


def test_no_block_is_left_out_but_make_and_output() -> None:
    idle = [block for block in README if block.language == "" and not block.name]
    assert all(block.text.startswith(("make ", " ", "method")) for block in idle), idle
    assert {block.language for block in README} <= {"", "bash", "python", "csv", "toml", "yaml"}


def test_links_of_the_documents_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / name).read_text()):
            assert (REPOSITORY / link).exists(), f"{name} links to {link}"
