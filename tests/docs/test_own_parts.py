"""docs/own-parts.md: its blocks are a package whose parts train."""

import hashlib
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.docs.conftest import Reader
from tests.docs.test_readme import small
from tests.markdown import DOCS, blocks, write_named_blocks
from wsseg import Batch

PAGE = DOCS / "own-parts.md"
BLOCKS = blocks(PAGE)
FILES = {block.name: block.text for block in BLOCKS if block.name}
OUTPUT = [block.text for block in BLOCKS if not block.language and not block.name]
MOST_LINES = 25  # of a part
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


def load(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digests_of_weights(run: Path) -> list[str]:
    paths = sorted(run.glob("stages/*/weights.safetensors"))
    assert len(paths) == 2
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def install_broken_plugin(reader: Reader) -> None:
    (reader.folder / "wsseg-broken").mkdir()
    (reader.folder / "wsseg-broken" / "pyproject.toml").write_text(BROKEN)
    (reader.folder / "wsseg-broken" / "wsseg_broken.py").write_text("import gone\n")
    reader.run("pip install ./wsseg-broken")


@pytest.mark.slow
def test_the_page_makes_a_package_that_trains_even_if_a_broken_plugin_is_installed(
    reader: Reader,
) -> None:
    write_named_blocks(PAGE, reader.folder)
    printed = ""
    for block in BLOCKS:
        for line in block.text.splitlines() if block.language == "bash" else []:
            printed += reader.run(small(line)).stdout
    runs = reader.folder / "runs"
    assert OUTPUT[0] in printed
    assert (runs / "lab" / "scores.csv").is_file()
    assert '"hu-band"' in (reader.folder / "recipe.schema.json").read_text(encoding="utf-8")

    parts = reader.run("wsseg plugins list").stdout
    install_broken_plugin(reader)
    listed = reader.run("wsseg plugins list")
    assert listed.stdout == parts
    assert OUTPUT[-1].strip() in listed.stderr
    assert OUTPUT[0] in reader.run("wsseg plugins check wsseg-lab").stdout
    reader.run(small("wsseg train lab.yaml --out runs/again"))
    assert digests_of_weights(runs / "again") == digests_of_weights(runs / "lab")
    failed = reader.run("wsseg plugins check wsseg-broken; echo exit code $?").stdout
    assert "ModuleNotFoundError: No module named 'gone'" in failed
    assert "exit code 1" in failed


@pytest.mark.parametrize("part", ["prior", "estep", "backbone", "loss"])
def test_a_part_on_the_page_is_short(part: str) -> None:
    text = FILES[f"wsseg-lab/wsseg_lab/{part}.py"]
    assert len(text.splitlines()) <= MOST_LINES
    compile(text, part, "exec")


def test_the_prior_has_the_value_that_the_page_computes_by_hand(tmp_path: Path) -> None:
    write_named_blocks(PAGE, tmp_path)
    module = load(tmp_path / "wsseg-lab" / "wsseg_lab" / "prior.py")
    image = torch.full((1, 1, 1, 1), 25.0)
    batch = Batch(image, torch.ones_like(image).bool(), torch.ones(1, 1).bool())
    phi = module.HuBand(low_hu=-100, high_hu=150, softness_hu=50)(batch).item()
    (printed,) = re.findall(r"σ\(2\.5\)² = (0\.\d+)", PAGE.read_text("utf-8"))
    assert phi == pytest.approx(float(printed), abs=5e-4)


def test_blocks_are_files_commands_or_their_output() -> None:
    assert {block.language for block in BLOCKS if not block.name} == {"bash", ""}
    assert [text.split()[0] for text in OUTPUT] == ["Backbone", "python", "not"]


def test_the_picture_is_drawn_by_its_script() -> None:
    drawn = load(DOCS / "data_flow.py").svg()
    assert (DOCS / "data_flow.svg").read_text("utf-8") == drawn, "run docs/data_flow.py"
