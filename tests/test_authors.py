"""docs/authors.md, followed by a stranger: its blocks are a package that trains."""

import hashlib
import os
import re
import subprocess
import sysconfig
import venv
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from wsseg import Batch

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "authors.md").read_text(encoding="utf-8")
SMALL = (
    "cohort.cases=4 cohort.size=64 cohort.slices=12 input.size=32 stages.infection.epochs=1 "
    "stages.consolidation.epochs=1 stages.infection.backbone.width=4"
)
LONGEST_PART = 25  # lines
BROKEN = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "wsseg-broken"
version = "0.1.0"

[project.entry-points.wsseg]
broken = "wsseg_broken"

[tool.hatch.build.targets.wheel]
include = ["wsseg_broken.py"]
"""


class Block(NamedTuple):
    language: str
    name: str
    text: str


BLOCKS = [
    Block(*found)
    for found in re.findall(r"^```(\w*) ?([^\n`]*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
]
FILES = {block.name: block.text for block in BLOCKS if block.name}
SAID = [block.text for block in BLOCKS if not block.language and not block.name]


class Desk(NamedTuple):
    """A stranger's folder, and an environment with wsseg, its dependencies and no network."""

    folder: Path
    scripts: Path

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of the page as a shell does."""
        environment = os.environ | {
            "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's word for "without isolation"
            "PIP_QUIET": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    folder, place = tmp_path / "desk", tmp_path / "clean"
    folder.mkdir()
    venv.create(place, with_pip=True)
    (site,) = place.glob("lib/python*/site-packages")
    known = sysconfig.get_path("purelib")
    (site / "project.pth").write_text(f"import site; site.addsitedir({known!r})\n")
    for module in ("wsseg", "pytest"):
        script = place / "bin" / module
        script.write_text(f'#!/bin/sh\nexec "{place}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    return Desk(folder, place / "bin")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def weights(run: Path) -> list[str]:
    paths = sorted(run.glob("stages/*/weights.safetensors"))
    assert len(paths) == 2
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


@pytest.mark.slow
def test_the_page_alone_makes_a_package_that_trains_by_name_beside_a_broken_one(
    desk: Desk,
) -> None:
    write(desk.folder, FILES)
    said = ""
    for line in (
        line for each in BLOCKS if each.language == "bash" for line in each.text.split("\n")
    ):
        small = "".join(f" --set {each}" for each in SMALL.split())
        said += desk.run(line + small if line.startswith("wsseg train") else line).stdout
    assert SAID[0] in said
    assert (desk.folder / "runs" / "lab" / "scores.csv").is_file()
    assert '"hu-band"' in (desk.folder / "recipe.schema.json").read_text(encoding="utf-8")

    before = weights(desk.folder / "runs" / "lab")
    listed = desk.run("wsseg plugins list").stdout
    write(
        desk.folder,
        {
            "wsseg-broken/pyproject.toml": BROKEN,
            "wsseg-broken/wsseg_broken.py": "import gone\n",
        },
    )
    desk.run("pip install ./wsseg-broken")
    beside = desk.run("wsseg plugins list")
    assert beside.stdout == listed
    assert SAID[-1].strip() in beside.stderr
    assert SAID[0] in desk.run("wsseg plugins check wsseg-lab").stdout
    desk.run(f"wsseg train lab.yaml --out runs/again {small}")
    assert weights(desk.folder / "runs" / "again") == before
    failed = desk.run("wsseg plugins check wsseg-broken; echo ended with $?").stdout
    assert "ModuleNotFoundError: No module named 'gone'" in failed
    assert "ended with 1" in failed


@pytest.mark.parametrize("part", ["prior", "estep", "backbone"])
def test_a_part_of_the_page_has_up_to_25_lines(part: str) -> None:
    text = FILES[f"wsseg-lab/wsseg_lab/{part}.py"]
    assert len(text.splitlines()) <= LONGEST_PART
    compile(text, part, "exec")


def test_the_number_done_by_hand_is_right(tmp_path: Path) -> None:
    path = tmp_path / "prior.py"
    path.write_text(FILES["wsseg-lab/wsseg_lab/prior.py"], encoding="utf-8")
    spec = spec_from_file_location("prior", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    image = torch.full((1, 1, 1, 1), 25.0)
    batch = Batch(image, torch.ones_like(image).bool(), torch.ones(1, 1).bool())
    phi = module.HuBand(low_hu=-100, high_hu=150, softness_hu=50)(batch).item()
    (said,) = re.findall(r"σ\(2\.5\)² = (0\.\d+)", PAGE)
    assert phi == pytest.approx(float(said), abs=5e-4)


def test_blocks_are_files_commands_or_what_commands_say() -> None:
    assert {block.language for block in BLOCKS if not block.name} == {"bash", ""}
    assert [text.split()[0] for text in SAID] == ["Backbone", "python", "not"]
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert links
    assert all((DOCS / link).exists() for link in links)


def test_the_picture_is_what_its_script_draws() -> None:
    spec = spec_from_file_location("way", DOCS / "way.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = (DOCS / "way.svg").read_text(encoding="utf-8")
    assert module.picture() == drawn, "run docs/way.py"
