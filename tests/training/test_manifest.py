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


def test_training_opens_no_file_of_a_validation_case_except_its_scan(
    wsseg: "Wsseg", toy_cohort: Path, toy_text: str, tmp_path: Path
) -> None:
    """Its masks are not even valid files."""
    data = Path(shutil.copytree(toy_cohort.parent, tmp_path / "data"))
    table = data / "cohort.csv"
    for number in (4, 5):
        for name in ("infection", "consolidation"):
            (data / f"{number}-{name}.nii.gz").write_text("not a mask")
        row = f"case-{number},patient-{number},"
        table.write_text(table.read_text().replace(f"{row}train", f"{row}val"))
    recipe = tmp_path / "toy.yaml"
    recipe.write_text(
        toy_text.replace(str(toy_cohort), str(table)).replace("epochs: 3", "epochs: 1")
    )
    ended = wsseg("train", recipe, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["validation"] == ["case-4", "case-5"]
    assert manifest["train"] == [f"case-{number}" for number in range(4)]
    assert not {"case-4", "case-5"} & {each["case"] for each in manifest["files"]}
    assert set(manifest["tags"]["consolidation"]) == set(manifest["train"])


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
