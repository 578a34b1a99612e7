"""Packages written by `wsseg new` can be installed, keep their contract and pass their tests."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg import Prior
from wsseg.components.registry import registry
from wsseg.components.scaffold import KINDS, Package

if TYPE_CHECKING:
    from tests.conftest import Wsseg

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = [sys.executable, "-m"]
OFFLINE = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"]


def write(wsseg: "Wsseg", kind: str, name: str, out: Path) -> Path:
    ended = wsseg("new", kind, name, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert f"pip install -e {out / f'wsseg-{name}'} && pytest" in ended.out
    return out / f"wsseg-{name}"


def run(command: list[str], folder: Path, site: Path) -> str:
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def install(package: Path, site: Path) -> None:
    run([*PYTHON, "pip", "install", *OFFLINE, "--target", str(site), str(package)], package, site)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "a" + "-bc" * 9 + "-d"])
def test_a_new_package_passes_the_linter_of_this_repository(
    wsseg: "Wsseg", tmp_path: Path, kind: str, name: str
) -> None:
    package = write(wsseg, kind, name, tmp_path)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    lint = project["tool"]["ruff"]["lint"]
    rules = [
        f"lint.select={lint['select']}",
        f"lint.ignore={lint['ignore']}",
        f"lint.per-file-ignores={{'tests/**'={lint['per-file-ignores']['tests/**']}}}",
        "lint.pydocstyle.convention='google'",
        "target-version='py311'",
        "line-length=88",
    ]
    options = [word for rule in rules for word in ("--config", rule)]
    run([*PYTHON, "ruff", "check", "--isolated", *options, "."], package, tmp_path)
    run([*PYTHON, "ruff", "format", "--isolated", "--check", "."], package, tmp_path)


def test_a_new_prior_can_be_installed_and_passes_its_own_test(
    wsseg: "Wsseg", tmp_path: Path
) -> None:
    package, site = write(wsseg, "prior", "brand-new", tmp_path), tmp_path / "site"
    install(package, site)
    run([*PYTHON, "pytest", "-q", "-p", "no:cacheprovider", str(package)], tmp_path, site)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_own_test_and_wsseg_plugins_check(
    wsseg: "Wsseg", tmp_path: Path, kind: str
) -> None:
    package, site = write(wsseg, kind, "brand-new", tmp_path), tmp_path / "site"
    install(package, site)
    run([*PYTHON, "pytest", "-q", "-p", "no:cacheprovider", str(package)], tmp_path, site)
    checked = run([*PYTHON, "wsseg", "plugins", "check", "wsseg-brand-new"], tmp_path, site)
    lines = [line for line in checked.splitlines() if "brand-new" in line]
    assert lines
    assert all(line.endswith((" ok", "recipes that extend it")) for line in lines)


@pytest.mark.slow
def test_new_packages_pass_mypy_in_strict_mode(wsseg: "Wsseg", tmp_path: Path) -> None:
    for kind in KINDS:
        package = write(wsseg, kind, f"typed-{kind}", tmp_path)
        configuration = str(REPOSITORY / "pyproject.toml")
        run([*PYTHON, "mypy", "--config-file", configuration, "."], package, package)


@pytest.mark.slow
def test_the_example_in_the_readme_of_a_new_package_is_a_valid_recipe(
    wsseg: "Wsseg", tmp_path: Path
) -> None:
    site = tmp_path / "site"
    recipes = write(wsseg, "recipe", "scans", tmp_path) / "wsseg_scans" / "recipes"
    (tmp_path / "own.yaml").write_text(f"extends: {recipes / 'em.yaml'}\n", encoding="utf-8")
    for kind in sorted(KINDS.keys() - {"recipe"}):
        package = write(wsseg, kind, f"new-{kind}", tmp_path)
        install(package, site)
        text = (package / "README.md").read_text(encoding="utf-8")
        recipe = tmp_path / f"{kind}.yaml"
        recipe.write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
        shown = run([*PYTHON, "wsseg", "recipe", "show", str(recipe)], tmp_path, site)
        assert f"use: new-{kind}" in shown


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("prior", "Two Normals", "Did you mean 'two-normals'?"),
        ("prior", "2d", "is not a valid name"),
        ("prior", "", "is not a valid name"),
        ("prior", "../up", "Did you mean 'up'?"),
        ("prior", "two_normals", "Did you mean 'two-normals'?"),
        ("prior", "a" * 31, "use at most 30 characters"),
        ("prior", "hu-sigmoid", "'hu-sigmoid' is already offered by wsseg-covid"),
        ("estep", "hard", "'hard' is already offered by wsseg "),
        ("metric", "share", "'share' is already offered by wsseg "),
        ("loss", "focal", "'focal' is already offered by wsseg "),
        ("loss", "noisy-or", "'noisy-or' is already offered by wsseg "),
        ("region", "nonzero", "'nonzero' is already offered by wsseg "),
        ("cohort", "table", "'table' is already offered by wsseg "),
        ("recipe", "covid", "is already offered by wsseg-covid"),
        ("backbone", "crf", "a module wsseg_crf is already installed"),
        ("prior", "batch", "its class would be called Batch"),
        ("recipe", "true", "'true' would be read as True in a recipe"),
        ("prior", "none", "its class would be called None"),
    ],
)
def test_an_invalid_or_used_name_is_refused_with_one_clear_error(
    wsseg: "Wsseg", tmp_path: Path, kind: str, name: str, words: str
) -> None:
    ended = wsseg("new", kind, name, "--out", tmp_path)
    ended.refused(words)
    assert list(tmp_path.iterdir()) == []


def test_a_name_used_by_one_kind_can_be_used_by_another() -> None:
    assert (Prior, "constant") in registry().offers
    files = Package("estep", "constant").files()
    assert "class Constant(EStep):" in files["wsseg_constant/__init__.py"]


def test_an_existing_folder_is_refused_and_not_changed(wsseg: "Wsseg", tmp_path: Path) -> None:
    kept = tmp_path / "wsseg-mine" / "note.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    wsseg("new", "prior", "mine", "--out", tmp_path).refused(
        "wsseg-mine: the folder already exists"
    )
    wsseg("new", "prior", "mine", "--out", kept).refused("note.txt: not a folder")
    wsseg("new", "prior", "mine", "--out", kept / "in").refused("not a folder")
    assert [path.name for path in tmp_path.rglob("*")] == ["wsseg-mine", "note.txt"]


def test_a_package_that_cannot_be_written_leaves_no_files(
    wsseg: "Wsseg", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    ended = wsseg("new", "prior", "mine", "--out", tmp_path / "out")
    assert ended.code == 1
    assert "No space left" in ended.error
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_kind_is_refused_and_the_possible_kinds_are_listed(
    wsseg: "Wsseg", tmp_path: Path
) -> None:
    ended = wsseg("new", "proir", "mine", "--out", tmp_path)
    assert ended.code == 2
    assert all(kind in ended.err for kind in KINDS)
