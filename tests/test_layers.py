"""Imports go one way: a file imports only from files to its left in ARCHITECTURE.md's list."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "wsseg"
TEXT = (PACKAGE.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
ORDER = re.search(r"<!-- order -->\n```\n(.*?)```", TEXT, re.DOTALL)


def layers() -> list[str]:
    assert ORDER, "ARCHITECTURE.md lists the files in their import order"
    return ORDER.group(1).split()


def files() -> dict[str, Path]:
    """Every module by its name below wsseg, with `/` for a folder; a package is its files."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        if path.name not in ("__init__.py", "__main__.py") or name == "cli/__init__":
            found[name.removesuffix("/__init__")] = path
    return found


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wsseg"):
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    known = files()
    parts = {name.removeprefix("wsseg.").replace(".", "/") for name in names}
    return {part for part in parts if part in known}


def test_the_list_names_every_file_once() -> None:
    assert sorted(layers()) == sorted(files())


@pytest.mark.parametrize("name", sorted(files()))
def test_a_file_imports_only_from_its_left(name: str) -> None:
    order = layers()
    right = {other for other in imported(files()[name]) if order.index(other) >= order.index(name)}
    assert not right - {name}, f"{name} imports {right}, which stand to its right"


def test_the_core_knows_no_lung_and_no_plugin() -> None:
    for name, path in files().items():
        text = path.read_text(encoding="utf-8").lower()
        assert "wsseg_covid" not in text, name
        code = ast.dump(ast.parse(text))
        assert "id='lung" not in code, name


@pytest.mark.parametrize(
    "command",
    ["import wsseg", "import wsseg.cli", "from wsseg import InputError, WorkError"],
)
def test_torch_is_not_imported_before_it_is_needed(command: str) -> None:
    check = f"{command}; import sys; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_files_are_short() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in files().items()}
    assert max(lengths.values()) <= 350, max(lengths, key=lengths.__getitem__)
    assert sorted(lengths.values())[len(lengths) // 2] < 120
