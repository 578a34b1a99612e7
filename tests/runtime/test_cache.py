"""Tests of the cache: its entries, its size limit, and leases of entries in use."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from wsseg.errors import InputError
from wsseg.runtime.cache import SizeLimiter, entries, limit_bytes, prune, sweep
from wsseg.runtime.cache_leases import exclusive_prune, lease, release

if TYPE_CHECKING:
    from tests.conftest import Wsseg

BLOCK = 4096


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of three prepared scans of two disk blocks each, last used on successive days."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path))
    for day, name in enumerate(("oldest", "middle", "newest")):
        folder = tmp_path / "prepared" / name
        folder.mkdir(parents=True)
        (folder / "image.npy").write_bytes(os.urandom(2 * BLOCK))
        for path in (folder / "image.npy", folder):
            os.utime(path, (day * 86400, day * 86400))
    return tmp_path


@pytest.mark.usefixtures("cache")
def test_entries_are_listed_least_recently_used_first() -> None:
    assert [entry.folder.name for entry in entries()] == ["oldest", "middle", "newest"]
    assert all(entry.kind == "prepared" and entry.bytes >= 2 * BLOCK for entry in entries())


def test_pruning_deletes_the_least_recently_used_until_the_rest_fits(cache: Path) -> None:
    each = entries()[0].bytes
    deleted = prune(entries(), max_bytes=2 * each)
    assert [entry.folder.name for entry in deleted] == ["oldest"]
    assert {path.name for path in (cache / "prepared").iterdir()} == {"middle", "newest"}


@pytest.mark.usefixtures("cache")
def test_pruning_deletes_nothing_while_all_entries_fit() -> None:
    assert prune(entries(), max_bytes=10**9) == []
    assert len(entries()) == 3


def test_a_symbolic_link_out_of_the_cache_is_neither_followed_nor_deleted(
    cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").write_text("kept")
    (cache / "prepared" / "link").symlink_to(outside, target_is_directory=True)
    prune(entries(), max_bytes=0)
    assert (outside / "precious").read_text() == "kept"
    assert (cache / "prepared" / "link").is_symlink()


def test_data_cache_lists_and_deletes_entries(cache: Path, wsseg: "Wsseg") -> None:
    listed = wsseg("data", "cache")
    assert listed.code == 0
    assert "prepared" in listed.out
    assert str(cache) in listed.out
    pruned = wsseg("data", "cache", "--keep-gb", "0")
    assert pruned.code == 0
    assert "deleted 3" in pruned.out
    assert list((cache / "prepared").iterdir()) == []


def test_preparing_a_scan_again_counts_as_a_use_of_its_entry(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "own"))
    assert wsseg("data", "prepare", toy_recipe).code == 0
    for entry in entries():
        for path in (*entry.folder.rglob("*"), entry.folder):
            os.utime(path, (0, 0))
    assert wsseg("data", "prepare", toy_recipe).code == 0
    assert all(entry.used > 0 for entry in entries())


LEASE_AND_WAIT = """
import sys
from pathlib import Path
from wsseg.runtime.cache_leases import lease
lease(Path(sys.argv[1]))
print("leased", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that leases the oldest entry until it gets a line."""
    entry = cache / "prepared" / "oldest" / "image.npy"
    command = [sys.executable, "-c", LEASE_AND_WAIT, str(entry)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "leased\n"
        yield process
        process.kill()


def names() -> list[str]:
    return [entry.folder.name for entry in entries()]


def test_an_entry_leased_by_another_process_is_deleted_only_after_that_process_ends(
    other: subprocess.Popen[str],
) -> None:
    prune(entries(), max_bytes=0)
    assert names() == ["oldest"]
    other.communicate("")
    prune(entries(), max_bytes=0)
    assert names() == []


def test_leases_of_a_killed_process_end(other: subprocess.Popen[str], cache: Path) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    with exclusive_prune() as leased:
        assert leased == set()
    assert [path.name for path in (cache / ".in-use").iterdir()] == ["turn"]


def test_other_users_can_read_the_list_of_leases_if_the_umask_allows_it(cache: Path) -> None:
    lease(cache / "prepared" / "oldest")
    (cache / "plain").touch()
    (leases,) = [path for path in (cache / ".in-use").glob("process-*") if not path.suffix]
    assert leases.stat().st_mode == (cache / "plain").stat().st_mode


def test_an_entry_leased_twice_is_kept_until_it_is_released_twice(cache: Path) -> None:
    entry = cache / "prepared" / "oldest"
    for path in (entry, entry / "image.npy"):
        lease(path)
    release(entry)
    prune(entries(), max_bytes=0)
    assert names() == ["oldest"]
    release(entry)
    prune(entries(), max_bytes=0)
    assert names() == []


def test_leasing_a_file_outside_the_cache_has_no_effect(cache: Path, tmp_path: Path) -> None:
    lease(tmp_path.parent / "scan.nii.gz")
    lease(cache)
    with exclusive_prune() as leased:
        assert not any("scan" in name for name in leased)


def test_writing_past_the_limit_deletes_the_least_recently_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = entries()[0].bytes
    monkeypatch.setenv("WSSEG_CACHE_GB", str(2.5 * each / 1e9))
    SizeLimiter().add(1)
    assert names() == ["middle", "newest"]
    lease(cache / "prepared" / "middle")
    monkeypatch.setenv("WSSEG_CACHE_GB", str(1.5 * each / 1e9))
    SizeLimiter().add(1)
    assert names() == ["middle"]


def test_the_cache_is_measured_again_after_a_twentieth_of_the_limit_was_written(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each, limiter = entries()[0].bytes, SizeLimiter()
    limit = 3.5 * each
    monkeypatch.setenv("WSSEG_CACHE_GB", str(limit / 1e9))
    limiter.add(1)
    (cache / "prepared" / "oldest" / "more.npy").write_bytes(os.urandom(2 * BLOCK))
    limiter.add(int(0.04 * limit))
    assert len(names()) == 3
    limiter.add(int(0.02 * limit))
    assert len(names()) == 2


def test_a_cache_over_its_limit_with_all_entries_in_use_is_warned_about_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WSSEG_CACHE_GB", "0")
    for name in ("oldest", "middle", "newest"):
        lease(cache / "prepared" / name)
    limiter = SizeLimiter()
    with caplog.at_level(logging.WARNING):
        limiter.add(1)
        limiter.add(1)
    assert len(caplog.records) == 1
    assert "all in use" in caplog.text
    assert len(names()) == 3


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_not_a_number_of_gigabytes_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("WSSEG_CACHE_GB", text)
    with pytest.raises(InputError, match=r"WSSEG_CACHE_GB is .*number of gigabytes"):
        limit_bytes()


def test_temporary_files_of_killed_processes_are_deleted_after_a_day(cache: Path) -> None:
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


PREPARE_AND_DIE = """
import os, signal, sys
import numpy as np
from wsseg.core.case import Case
from wsseg.core.input import Input
from wsseg.data import prepare
save = np.save
def half(path, array, allow_pickle):
    save(path, array[: len(array) // 2], allow_pickle=allow_pickle)
    os.kill(os.getpid(), signal.SIGKILL)
np.save = half
from pathlib import Path
prepare.prepare(Case("a", "a", Path(sys.argv[1])), Input(size=8, thick=None))
"""


@pytest.mark.parametrize("listing", range(1, 9))
def test_a_sweep_skips_a_folder_that_another_process_renames_after_it_was_listed(
    cache: Path, monkeypatch: pytest.MonkeyPatch, listing: int
) -> None:
    temporary = cache / "prepared" / ".1-2.scan"
    temporary.mkdir()
    scandir, listings = os.scandir, count(1)

    def scandir_then_rename(path: str | Path) -> nullcontext[Iterator[os.DirEntry[str]]]:
        with scandir(path) as found:
            listed = list(found)
        if next(listings) == listing:
            temporary.rename(cache / "prepared" / "scan")
        return nullcontext(iter(listed))

    monkeypatch.setattr(os, "scandir", scandir_then_rename)
    sweep()


def test_a_sweep_skips_a_file_that_another_process_renames_before_its_age_is_read(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = cache / "prepared" / "newest" / ".1-2.image.npy"
    temporary.touch()
    lstat = Path.lstat

    def rename_then_lstat(path: Path) -> os.stat_result:
        if path == temporary:
            path.rename(path.with_name("image.npy"))
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", rename_then_lstat)
    sweep()
    assert (cache / "prepared" / "newest" / "image.npy").stat().st_size == 0


def test_a_kill_while_an_entry_is_written_leaves_only_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsseg.core.case import Case
    from wsseg.core.input import Input
    from wsseg.data.prepare import prepare

    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "own"))
    image = np.random.default_rng(0).integers(-1000, 100, (8, 8, 6)).astype(np.int16)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(image, np.diag([-2.0, -2.0, 5.0, 1.0])), path)
    died = subprocess.run([sys.executable, "-c", PREPARE_AND_DIE, path], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    (entry,) = (tmp_path / "own" / "prepared").iterdir()
    assert [file.name.startswith(".") for file in entry.iterdir()] == [True]
    prepared = prepare(Case("a", "a", path), Input(size=8, thick=None))
    assert np.array_equal(prepared.image[0], image.transpose(2, 1, 0))


def test_preparing_more_than_the_limit_keeps_the_scans_being_prepared(
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
