"""Comparison of a manifest with the files that it lists."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.runtime.files import sha256
from wsseg.training.manifest import ChangedFile, changed_files

if TYPE_CHECKING:
    from tests.conftest import Wsseg


@pytest.fixture
def listed(tmp_path: Path) -> list[dict[str, str]]:
    """Two files as a manifest lists them; the image was read by two stages."""
    files = []
    for name, stage, use in (
        ("image", "first", "image"),
        ("mask", "first", "label"),
        ("image", "second", "image"),
    ):
        path = tmp_path / name
        path.write_text(name)
        files.append(
            {
                "stage": stage,
                "case": "a",
                "use": use,
                "path": str(path),
                "sha256": sha256(path),
            }
        )
    return files


def test_unchanged_files_are_not_listed(listed: list[dict[str, str]]) -> None:
    assert changed_files(listed) == []


def test_a_changed_and_a_missing_file_are_listed_once_with_all_their_uses(
    listed: list[dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "image").write_text("imagf")
    (tmp_path / "mask").unlink()
    assert changed_files(listed) == [
        ChangedFile(tmp_path / "image", "changed", "a", ("first: image", "second: image")),
        ChangedFile(tmp_path / "mask", "missing", "a", ("first: label",)),
    ]


def test_manifest_verify_reports_changed_files_and_succeeds_without_any(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    fine = wsseg("manifest", "verify", trained)
    assert fine.code == 0
    assert "files are unchanged" in fine.out
    run = shutil.copytree(trained, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"][0]["sha256"] = "0" * 64
    (run / "manifest.json").write_text(json.dumps(manifest))
    ended = wsseg("manifest", "verify", run)
    assert ended.code == 1
    assert f"changed: {manifest['files'][0]['path']}" in ended.out
    assert "changed since the run read them" in ended.error


def test_a_folder_without_manifest_is_refused(wsseg: "Wsseg", tmp_path: Path) -> None:
    wsseg("manifest", "verify", tmp_path).refused("manifest.json", "missing or damaged")
