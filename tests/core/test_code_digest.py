"""Digests of the code of components change with the code, not with its place."""

import gc
import importlib
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import wsseg
from wsseg.components.regions import FileRegion
from wsseg.core.code_digest import code_digest, source_digest, statement_digests
from wsseg.core.component import Component

SOURCE = """
from wsseg import Component

class Inner(Component):
    value: float = 1

class Outer(Component):
    inner: Component | None = None
    value: float = 2
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def loaded(folder: Path, module: str) -> Any:
    """Import a module below `folder` as if it had never been imported."""
    for name in [
        each for each in sys.modules if each.partition(".")[0] == module.partition(".")[0]
    ]:
        del sys.modules[name]
    importlib.invalidate_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "dont_write_bytecode", True)
        return importlib.import_module(module)


def digest_of(folder: Path, files: dict[str, str], module: str) -> str:
    """Return the digest of `Outer` in a module of the files."""
    write(folder, files)
    outer: Component = loaded(folder, module).Outer()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        return code_digest(outer)


def test_a_digest_depends_on_the_files_and_not_on_their_folder(tmp_path: Path) -> None:
    files = {"one_file.py": SOURCE}
    first = digest_of(tmp_path / "a", files, "one_file")
    assert digest_of(tmp_path / "b", files, "one_file") == first
    changed = {"one_file.py": SOURCE.replace("= 2", "= 3")}
    assert digest_of(tmp_path / "c", changed, "one_file") != first


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("package/helpers.py", True),
        ("package/deep/table.csv", True),
        ("package/recipe.yaml", False),
        ("package/__pycache__/other.pyc", False),
        ("package/.hidden/notes.py", False),
        ("neighbour.py", False),
    ],
)
def test_the_code_of_a_class_is_all_files_of_its_package_except_recipes(
    file: str, counts: bool, tmp_path: Path
) -> None:
    files = {"package/__init__.py": "", "package/parts.py": SOURCE}
    before = digest_of(tmp_path / "a", files, "package.parts")
    after = digest_of(tmp_path / "b", files | {file: "1,2"}, "package.parts")
    assert (before != after) == counts


def test_the_code_of_a_class_includes_the_other_packages_of_its_distribution(
    tmp_path: Path,
) -> None:
    """A plugin whose distribution has two packages, of which one is used by the other."""
    listed = "main_pkg/__init__.py,,\nhelper_pkg/__init__.py,,\nsingle.py,,\nnotes.txt,,\n"
    files = {
        "main_pkg/__init__.py": SOURCE,
        "helper_pkg/__init__.py": "VALUE = 1\n",
        "single.py": "VALUE = 1\n",
        "notes.txt": "1",
        "another_pkg/__init__.py": "VALUE = 1\n",
        "two-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: two\nVersion: 1.0\n",
        "two-1.0.dist-info/entry_points.txt": "[wsseg]\ntwo = main_pkg\n",
        "two-1.0.dist-info/RECORD": listed,
    }
    before = digest_of(tmp_path / "a", files, "main_pkg")
    for name, counts in {
        "helper_pkg/__init__.py": True,
        "single.py": True,
        "another_pkg/__init__.py": False,
        "notes.txt": False,
    }.items():
        after = digest_of(tmp_path / name, files | {name: "VALUE = 2\n"}, "main_pkg")
        assert (before != after) == counts, name


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("helper_pkg/deep.py", True),
        ("single.py", True),
        ("used_by_single.py", True),
        ("notebook.py", False),
        ("tests/__init__.py", False),
    ],
)
def test_the_code_of_a_class_of_an_editable_install_includes_the_packages_that_it_imports(
    file: str, counts: bool, tmp_path: Path
) -> None:
    """An editable install lists one file, with the folder that contains the packages."""
    files = {
        "main_pkg/__init__.py": f"def late():\n    import sys, helper_pkg\n{SOURCE}",
        "helper_pkg/__init__.py": "from single import late as first\n",
        "helper_pkg/deep.py": "VALUE = 1\n",
        "single.py": "def late():\n    from used_by_single import VALUE\n    return VALUE\n",
        "used_by_single.py": "VALUE = 1\n",
        "notebook.py": "VALUE = 1\n",
        "tests/__init__.py": "VALUE = 1\n",
        "two-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: two\nVersion: 1.0\n",
        "two-1.0.dist-info/entry_points.txt": "[wsseg]\ntwo = main_pkg\n",
        "two-1.0.dist-info/RECORD": "_editable_two.pth,,\ntwo-1.0.dist-info/METADATA,,\n",
    }
    digests = []
    for folder, text in ((tmp_path / "a", ""), (tmp_path / "b", "CHANGED = True\n")):
        edited = {file: files[file] + text, "_editable_two.pth": f"{folder}\n"}
        digests.append(digest_of(folder, files | edited, "main_pkg"))
    assert (digests[0] != digests[1]) == counts


def test_the_code_of_base_classes_and_of_components_inside_counts(tmp_path: Path) -> None:
    derived = "import base_part\n\nclass Outer(base_part.Outer): ...\n"
    files = {"derived_part.py": derived, "base_part.py": SOURCE}
    write(tmp_path, files)
    first = code_digest(loaded(tmp_path, "derived_part").Outer())
    inner = code_digest(FileRegion(mask="a"))
    write(tmp_path, {"base_part.py": SOURCE + "\nCHANGED = True\n"})
    base = loaded(tmp_path, "base_part")
    assert code_digest(loaded(tmp_path, "derived_part").Outer()) != first
    assert code_digest(base.Outer(inner=FileRegion(mask="a"))) not in (
        code_digest(base.Outer()),
        inner,
    )


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("def f():\n    return 1\n", None),
        ("# a comment\n\n\ndef f():  # another\n    return 1\n", False),
        ('"""About the module."""\ndef f():\n    """About\n    f."""\n    return 1\n', False),
        ('def f():\n    "φ"; return 1\n', True),
        ("def f():\n    return 2\n", True),
        ("def f():\n  return 1\n", True),  # formatting counts
        ("def f(:\n", True),
    ],
)
def test_comments_and_documentation_do_not_count(
    text: str, counts: bool | None, tmp_path: Path
) -> None:
    path = tmp_path / "code.py"
    path.write_text("def f():\n    return 1\n")
    before = source_digest(path)
    path.write_text(text)
    assert (source_digest(path) != before) == bool(counts)


RAISES = """\
def f(x):
    if x < 0:
        raise ValueError(f"{x} is below 0")
    return x
"""


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("is below 0", "is negative", False),
        ('f"{x} is below 0"', '\n            f"{x} is below 0",\n            x,\n        ', False),
        (")\n    return", ") from None\n    return", False),
        ("ValueError", "KeyError", True),
        ("x < 0", "x < 1", True),
        ('raise ValueError(f"{x} is below 0")', "raise", True),
        ('        raise ValueError(f"{x} is below 0")', "        x = 0", True),
        ('below 0")', 'below 0"); x = 1', True),
        ("return x", "return 2 * x", True),
    ],
)
def test_the_message_of_an_error_does_not_count(
    old: str, new: str, counts: bool, tmp_path: Path
) -> None:
    path = tmp_path / "code.py"
    path.write_text(RAISES)
    before = source_digest(path)
    assert old in RAISES
    path.write_text(RAISES.replace(old, new))
    assert (source_digest(path) != before) == counts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('NAME = "a # b"\n', 'NAME = "a # c"\n'),
        ('def f():\n    "φ"; return 1\n', 'def f():\n    "φ"; return 2\n'),
        ('"a"; x = 1\n', '"a"; x = 2\n'),
    ],
)
def test_code_beside_a_string_or_resembling_a_comment_counts(
    one: str, other: str, tmp_path: Path
) -> None:
    path = tmp_path / "code.py"
    digests = []
    for text in (one, other):
        path.write_text(text)
        digests.append(source_digest(path))
    assert digests[0] != digests[1]


ONE_MODULE = """\
import math
from os import path

LIMIT = 1
"""

FUNCTIONS = """
@cache
def _area(radius):
    if radius > LIMIT:
        return math.pi * radius**2


def volume(radius):
    return _area(radius) * radius
"""


def digests_of_statements(folder: Path, **modules: str) -> frozenset[str]:
    folder.mkdir()
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return statement_digests(folder)


@pytest.mark.parametrize(
    ("modules", "counts"),
    [
        ({"one": FUNCTIONS, "other": ONE_MODULE}, False),
        ({"one": "import numpy\n" + FUNCTIONS.replace("_area", "area"), "b": ONE_MODULE}, False),
        ({"one": ONE_MODULE.replace("1", "2") + FUNCTIONS}, True),
        ({"one": ONE_MODULE + FUNCTIONS.replace("@cache\n", "")}, True),
        ({"one": ONE_MODULE + FUNCTIONS.replace("**2", "**3")}, True),
        ({"one": ONE_MODULE + FUNCTIONS.replace("        return math", "    return math")}, True),
        ({"one": ONE_MODULE + FUNCTIONS + "x = 1\n"}, True),
    ],
)
def test_a_statement_may_move_to_another_module_and_become_public(
    modules: dict[str, str], counts: bool, tmp_path: Path
) -> None:
    before = digests_of_statements(tmp_path / "before", one=ONE_MODULE + FUNCTIONS)
    assert len(before) == 3
    assert (digests_of_statements(tmp_path / "after", **modules) != before) == counts


def test_parameters_do_not_count() -> None:
    assert code_digest(FileRegion(mask="a")) == code_digest(FileRegion(mask="b"))


class Cycle:
    """An object that lets other threads run when it is collected."""

    def __init__(self) -> None:
        self.own = self

    def __del__(self) -> None:
        time.sleep(0)


@pytest.fixture
def frequent_collections() -> Iterator[None]:
    """Collect garbage so often that threads take turns while a file is parsed."""
    thresholds = gc.get_threshold()
    gc.set_threshold(50)
    yield
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("frequent_collections")
def test_threads_can_compute_digests_at_the_same_time() -> None:
    """Python 3.11 raises a SystemError where a thread calls ast.parse while another one does."""
    files = sorted(Path(wsseg.__file__).parent.rglob("*.py"))[:40]

    def digests() -> list[str]:
        found = []
        for file in files:
            _ = [Cycle() for _ in range(50)]
            found.append(source_digest(file))
        return found

    with ThreadPoolExecutor(4) as threads:
        results = [future.result() for future in [threads.submit(digests) for _ in range(4)]]
    assert all(each == results[0] for each in results)
