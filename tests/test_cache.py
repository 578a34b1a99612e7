"""The cache shows what it holds and gives back what was longest unused."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.cache import entries, prune

if TYPE_CHECKING:
    from tests.conftest import Wsseg

BLOCK = 4096


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of three prepared scans of two blocks each, used one after the other."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path))
    for day, name in enumerate(("oldest", "middle", "newest")):
        folder = tmp_path / "prepared" / name
        folder.mkdir(parents=True)
        (folder / "image.npy").write_bytes(os.urandom(2 * BLOCK))
        for path in (folder / "image.npy", folder):
            os.utime(path, (day * 86400, day * 86400))
    return tmp_path


@pytest.mark.usefixtures("cache")
def test_the_longest_unused_comes_first() -> None:
    assert [entry.folder.name for entry in entries()] == ["oldest", "middle", "newest"]
    assert all(entry.kind == "prepared" and entry.bytes >= 2 * BLOCK for entry in entries())


def test_pruning_deletes_the_longest_unused_until_the_rest_fits(cache: Path) -> None:
    each = entries()[0].bytes
    gone = prune(entries(), most_bytes=2 * each)
    assert [entry.folder.name for entry in gone] == ["oldest"]
    assert {path.name for path in (cache / "prepared").iterdir()} == {"middle", "newest"}


@pytest.mark.usefixtures("cache")
def test_what_fits_stays() -> None:
    assert prune(entries(), most_bytes=10**9) == []
    assert len(entries()) == 3


def test_a_link_out_of_the_cache_is_neither_followed_nor_deleted(
    cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").write_text("kept")
    (cache / "prepared" / "link").symlink_to(outside, target_is_directory=True)
    prune(entries(), most_bytes=0)
    assert (outside / "precious").read_text() == "kept"
    assert (cache / "prepared" / "link").is_symlink()


def test_the_command_shows_and_prunes(cache: Path, wsseg: "Wsseg") -> None:
    shown = wsseg("data", "cache")
    assert shown.code == 0
    assert "prepared" in shown.out
    assert str(cache) in shown.out
    pruned = wsseg("data", "cache", "--keep-gb", "0")
    assert pruned.code == 0
    assert "deleted 3" in pruned.out
    assert list((cache / "prepared").iterdir()) == []


def test_an_entry_counts_as_used_when_a_scan_is_prepared_again(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "own"))
    assert wsseg("data", "prepare", toy_recipe).code == 0
    for entry in entries():
        for path in (*entry.folder.rglob("*"), entry.folder):
            os.utime(path, (0, 0))
    assert wsseg("data", "prepare", toy_recipe).code == 0
    assert all(entry.used > 0 for entry in entries())
