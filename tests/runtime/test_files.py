"""Tests of files and folders that are written atomically, and of digests."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wsseg.runtime.files import (
    TEMPORARY,
    _temporary_name,
    append_line,
    atomic_folder,
    atomic_write,
    fingerprint,
    sha256,
    write_json,
    write_text,
)


def test_an_interrupted_write_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write_half() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_a_temporary_path_has_the_suffix_of_the_final_path(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "scan.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("x")


@pytest.mark.parametrize("letter", ["x", "日"])
def test_a_file_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path, letter: str) -> None:
    name = letter * ((255 - len(".json")) // len(letter.encode())) + ".json"
    write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert TEMPORARY.fullmatch(_temporary_name(tmp_path / name))


def test_an_interrupted_folder_write_leaves_no_folder(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_folder(tmp_path / "folder") as temporary:
            (temporary / "a").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_an_atomic_folder_has_the_permissions_of_other_new_folders(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "atomic"):
        pass
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_an_atomic_file_has_the_permissions_of_other_new_files(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "atomic") as temporary:
            private = tmp_path / "private"  # as libraries write that create a file of their own
            private.touch(mode=0o600)
            private.rename(temporary)
        (tmp_path / "plain").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_first_of_two_writers_of_a_folder_to_finish_wins(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a") as late:
        (late / "who").write_text("late")
        with atomic_folder(tmp_path / "a") as early:
            (early / "who").write_text("early")
    assert (tmp_path / "a" / "who").read_text() == "early"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_many_threads_can_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write_json(path, [n] * 1000), range(64)))
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_fingerprint_ignores_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_the_digest_of_a_folder_depends_on_contents_but_not_on_names(tmp_path: Path) -> None:
    for name, first, second in (("a", "x", "y"), ("b", "y", "x"), ("c", "x", "z")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1").write_text(first)
        (tmp_path / name / "2").write_text(second)
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b") != sha256(tmp_path / "c")


def test_the_digest_of_a_folder_depends_on_files_at_any_depth(tmp_path: Path) -> None:
    for name, content in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name / "d" / "e").mkdir(parents=True)
        (tmp_path / name / "d" / "e" / "file").write_text(content)
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b") != sha256(tmp_path / "c")


def test_json_lines_are_appended_in_utf_8(tmp_path: Path) -> None:
    append_line(tmp_path / "log.jsonl", {"a": 1})
    append_line(tmp_path / "log.jsonl", {"b": "é"})
    assert (tmp_path / "log.jsonl").read_text(encoding="utf-8") == '{"a": 1}\n{"b": "é"}\n'
