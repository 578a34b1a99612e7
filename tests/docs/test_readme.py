"""README.md: every code block runs, in its order, as a reader would run it.

Scans and training are made small, and blocks that would install packages from the network are not
run.
"""

import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Wsseg
from tests.docs.conftest import Reader
from tests.markdown import REPOSITORY, blocks, write_block
from tests.picture_files import write_pictures
from wsseg import (
    Backbone,
    Cohort,
    EStep,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
    Tracker,
)
from wsseg.components.registry import registry

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


@pytest.fixture
def load_installed(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Return a function that lets this process find the plugins that the reader has installed."""
    (site,) = reader.scripts.parent.glob("lib/python*/site-packages")

    def load() -> None:
        monkeypatch.syspath_prepend(site)
        for path in site.glob("*.pth"):  # of packages installed with -e
            for line in path.read_text().splitlines():
                if Path(line).is_dir():
                    monkeypatch.syspath_prepend(line)
        registry.cache_clear()

    yield load
    registry.cache_clear()


@pytest.mark.usefixtures("undrawn_figures")
def test_every_block_of_the_readme_runs(
    wsseg: Wsseg,
    reader: Reader,
    load_installed: Callable[[], None],
    phantom_scans: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Commands of wsseg run in this process, which is faster."""
    shutil.copytree(phantom_scans, reader.folder, dirs_exist_ok=True)
    write_pictures(reader.folder / "pictures")
    monkeypatch.chdir(reader.folder)
    printed = ""
    for block in blocks(PAGE):
        if block.name:
            write_block(block, reader.folder)
        elif block.language == "python":
            exec(block.text, {})  # noqa: S102 - a block of the README
        for line in block.text.splitlines() if block.language == "bash" else []:
            if line.startswith("wsseg "):
                ended = wsseg(*shlex.split(small(line))[1:])
                assert ended.code == 0, f"{line}\n{ended.err}"
                printed += ended.out
            else:
                reader.run(line)
            if line.startswith("pip install "):
                load_installed()
    assert (reader.folder / "masks" / "image.nii.gz").is_file()
    assert (reader.folder / "outlined" / "overlays" / "001.png").is_file()
    assert (reader.folder / "runs" / "em" / "report.html").is_file()
    assert "two-normals" in printed
    assert "1 of 1 parts were built and passed" in printed


def test_only_installation_and_printed_tables_are_not_run() -> None:
    others = [block for block in blocks(PAGE) if not block.name and not block.language]
    assert all(block.text.startswith(("make ", "pip ", "docker ", " ")) for block in others)
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


def test_the_readme_lists_the_installed_parts_of_each_interface() -> None:
    _, _, after = PAGE.read_text(encoding="utf-8").partition("\n## Included parts\n")
    table = dict(re.findall(r"^\| ([A-Z][A-Za-z, -]+) \| (.+) \|$", after, re.MULTILINE))
    rows = {
        "Prior": (Prior,),
        "E-step": (EStep,),
        "Backbone": (Backbone,),
        "Loss": (PixelLoss, TagLoss),
        "Region": (Region,),
        "Cohort": (Cohort,),
        "Tracker": (Tracker,),
        "Metric, score": (Metric, Score),
    }
    assert set(table) == set(rows)
    offers = registry().offers.values()
    for heading, kinds in rows.items():
        installed = {f"`{offer.name}`" for offer in offers if offer.kind in kinds}
        assert installed - set(re.findall("`[^`]+`", table[heading])) == set(), heading
