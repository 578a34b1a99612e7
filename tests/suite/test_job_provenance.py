"""Where the rows of a job come from."""

import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from wsseg.config.columns import RUN_COLUMNS
from wsseg.config.recipe_files import load_recipe
from wsseg.suite.job_provenance import job_provenance, source_commit

VERSION = f"wsseg {metadata.version('wsseg')}"


def git(tree: Path, *words: str) -> str:
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(tree), *author, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A git checkout with code and documentation."""
    for folder in ("wsseg", "docs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    source_commit.cache_clear()
    return tmp_path


def test_a_checkout_is_named_by_its_commit(tree: Path) -> None:
    assert source_commit(tree) == git(tree, "rev-parse", "HEAD")[:12]


@pytest.mark.parametrize(
    ("changed", "counts"), [("wsseg/file", True), ("wsseg/new", True), ("docs/file", False)]
)
def test_changes_of_the_code_that_are_not_committed_are_stated(
    tree: Path, changed: str, counts: bool
) -> None:
    (tree / changed).write_text("2")
    assert source_commit(tree).endswith(" + changes") == counts


def test_without_a_commit_the_version_is_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_commit.cache_clear()
    assert source_commit(tmp_path) == VERSION
    git(tmp_path, "init", "-q")  # without any commit
    source_commit.cache_clear()
    assert source_commit(tmp_path) == VERSION
    monkeypatch.setenv("PATH", "")
    source_commit.cache_clear()
    assert source_commit(tmp_path) == VERSION


def test_every_column_of_a_run_except_its_health_is_filled(toy_recipe: Path) -> None:
    columns = job_provenance(load_recipe(toy_recipe), "0123", 1.25)
    assert [*columns] == [name for name in RUN_COLUMNS if name != "run.health"]
    assert all(columns.values())
    assert (columns["run.seconds"], columns["run.fingerprint"]) == ("1.2", "0123")
