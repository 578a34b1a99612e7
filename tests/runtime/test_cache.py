"""The cache shows what it holds and gives back what was longest unused."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from wsseg.errors import InputError
from wsseg.runtime.cache import Bound, entries, limit_bytes, prune, sweep
from wsseg.runtime.cache_leases import exclusive_prune, lease, release

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


# Bounded: what a running process uses stays, the rest goes once there is too much.

WAITS = """
import sys
from pathlib import Path
from wsseg.in_use import use
use(Path(sys.argv[1]))
print("uses it", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which uses the oldest entry until it is told to end."""
    entry = cache / "prepared" / "oldest" / "image.npy"
    command = [sys.executable, "-c", WAITS, str(entry)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "uses it\n"
        yield process
        process.kill()


def names() -> list[str]:
    return [entry.folder.name for entry in entries()]


def test_what_another_process_uses_is_not_deleted(other: subprocess.Popen[str]) -> None:
    prune(entries(), most_bytes=0)
    assert names() == ["oldest"]
    other.communicate("")
    prune(entries(), most_bytes=0)
    assert names() == []


def test_what_a_killed_process_used_is_free(other: subprocess.Popen[str], cache: Path) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    with exclusive_prune() as used:
        assert used == set()
    assert [path.name for path in (cache / ".in-use").iterdir()] == ["turn"]


def test_what_was_let_go_may_be_deleted(cache: Path) -> None:
    entry = cache / "prepared" / "oldest"
    for path in (entry, entry / "image.npy"):  # twice, and so once is not enough
        lease(path)
    release(entry)
    prune(entries(), most_bytes=0)
    assert names() == ["oldest"]
    release(entry)
    prune(entries(), most_bytes=0)
    assert names() == []


def test_a_file_outside_the_cache_is_nobodys_entry(cache: Path, tmp_path: Path) -> None:
    lease(tmp_path.parent / "scan.nii.gz")
    lease(cache)
    with exclusive_prune() as used:
        assert not any("scan" in name for name in used)


def test_writing_past_the_limit_deletes_the_longest_unused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = entries()[0].bytes
    monkeypatch.setenv("WSSEG_CACHE_GB", str(2.5 * each / 1e9))
    Bound().grown(1)
    assert names() == ["middle", "newest"]
    lease(cache / "prepared" / "middle")
    monkeypatch.setenv("WSSEG_CACHE_GB", str(1.5 * each / 1e9))
    Bound().grown(1)
    assert names() == ["middle"]


def test_the_whole_is_counted_again_after_each_twentieth_of_the_limit(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each, bound = entries()[0].bytes, Bound()
    limit = 3.5 * each
    monkeypatch.setenv("WSSEG_CACHE_GB", str(limit / 1e9))
    bound.grown(1)
    (cache / "prepared" / "oldest" / "more.npy").write_bytes(os.urandom(2 * BLOCK))
    bound.grown(int(0.04 * limit))
    assert len(names()) == 3
    bound.grown(int(0.02 * limit))
    assert len(names()) == 2


def test_a_cache_that_is_all_in_use_is_told_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WSSEG_CACHE_GB", "0")
    for name in ("oldest", "middle", "newest"):
        lease(cache / "prepared" / name)
    bound = Bound()
    with caplog.at_level(logging.WARNING):
        bound.grown(1)
        bound.grown(1)
    assert len(caplog.records) == 1
    assert "all in use" in caplog.text
    assert len(names()) == 3


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_is_a_number(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WSSEG_CACHE_GB", text)
    with pytest.raises(InputError, match=r"WSSEG_CACHE_GB is .*number of gigabytes"):
        limit_bytes()


def test_what_a_kill_left_half_written_is_swept_after_a_day(cache: Path) -> None:
    for folder in (".drawn.abc", ".today.abc"):
        (cache / "phantom" / folder).mkdir(parents=True)
    for file in (".1-2.old.npy", ".1-2.new.npy"):
        (cache / "prepared" / "newest" / file).touch()
    os.utime(cache / "phantom" / ".drawn.abc", (0, 0))
    os.utime(cache / "prepared" / "newest" / ".1-2.old.npy", (0, 0))
    sweep()
    assert [path.name for path in (cache / "phantom").iterdir()] == [".today.abc"]
    left = {path.name for path in (cache / "prepared" / "newest").iterdir()}
    assert left == {".1-2.new.npy", "image.npy"}
    assert "phantom" not in {entry.kind for entry in entries()}


KILLED = """
import os, signal, sys
import numpy as np
from wsseg.data.case import Case
from wsseg.data.input import Input
from wsseg.data import prepare
save = np.save
def half(path, array, allow_pickle):
    save(path, array[: len(array) // 2], allow_pickle=allow_pickle)
    os.kill(os.getpid(), signal.SIGKILL)
np.save = half
from pathlib import Path
prepare.prepare(Case("a", "a", Path(sys.argv[1])), Input(size=8, thick=None))
"""


def test_a_kill_while_an_entry_is_written_leaves_none_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsseg.core.case import Case
    from wsseg.core.input import Input
    from wsseg.data.prepare import prepare

    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "own"))
    image = np.random.default_rng(0).integers(-1000, 100, (8, 8, 6)).astype(np.int16)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(image, np.diag([-2.0, -2.0, 5.0, 1.0])), path)
    died = subprocess.run([sys.executable, "-c", KILLED, path], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    (entry,) = (tmp_path / "own" / "prepared").iterdir()
    assert [file.name.startswith(".") for file in entry.iterdir()] == [True]
    prepared = prepare(Case("a", "a", path), Input(size=8, thick=None))
    assert np.array_equal(prepared.image, image.transpose(2, 1, 0))


def test_preparing_more_than_fits_keeps_what_it_prepares(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "own"))
    stranger = tmp_path / "own" / "prepared" / "stranger" / "image.npy"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(os.urandom(BLOCK))
    monkeypatch.setenv("WSSEG_CACHE_GB", "0")
    assert wsseg("data", "prepare", toy_recipe).code == 0
    assert not stranger.exists()
    assert len([entry for entry in entries() if entry.kind == "prepared"]) == 8
