"""docs/weak-labels.md: its tables, recipes and commands work, and use the labels they are about."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import Wsseg
from tests.markdown import DOCS, blocks, write_named_blocks
from tests.picture_files import picture

PAGE = DOCS / "weak-labels.md"
SMALL = "input.size=32 stages.{stage}.epochs=1 stages.{stage}.backbone.width=2"


def write_scribbles(folder: Path, name: str) -> None:
    """Mark some of the infected pixels of a scan, and some of the others."""
    mask = nib.Nifti1Image.from_filename(folder / "masks" / f"{name}-infection.nii.gz")
    infected = np.asarray(mask.dataobj) > 0
    labels = np.zeros(infected.shape, np.uint8)
    labels[::7, ::5][infected[::7, ::5]] = 1
    labels[::9, ::9][~infected[::9, ::9]] = 2
    path = folder / "scribbles" / f"{name}.nii.gz"
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(labels, mask.affine), path)


def write_pictures(folder: Path) -> None:
    """Write three pictures with and without a bright square, and scribbles for one of them."""
    for seed in (1, 2, 3):
        pixels, square = picture(seed, spot=80 if seed != 2 else 0)
        path = folder / "pictures" / f"{seed:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
        if seed == 3:
            (folder / "pictures" / "scribbles").mkdir()
            strokes = np.zeros(square.shape, np.uint8)
            strokes[::4][square[::4]] = 1
            strokes[::9][~square[::9]] = 2
            Image.fromarray(strokes).save(folder / "pictures" / "scribbles" / path.name)


def test_every_command_of_the_page_works(
    wsseg: Wsseg, phantom_scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(phantom_scans, tmp_path, dirs_exist_ok=True)
    for name in "ab":
        write_scribbles(tmp_path, name)
    write_pictures(tmp_path)
    write_named_blocks(PAGE, tmp_path)
    monkeypatch.chdir(tmp_path)
    for block in blocks(PAGE):
        for line in block.text.splitlines() if block.language == "bash" else []:
            settings = SMALL.format(stage="crack" if "pictures" in line else "infection").split()
            small = [f"--set={each}" for each in settings] if "train" in line else []
            ended = wsseg(*shlex.split(line)[1:], *small)
            assert ended.code == 0, f"{line}\n{ended.err}"
    names = ("scribbles", "boxes", "grades", "pictures")
    used = {name: manifest(tmp_path / "runs" / name) for name in names}
    files = [each for each in used["scribbles"]["files"] if each["use"] == "scribble"]
    assert [Path(each["path"]).name for each in files] == ["a.nii.gz", "b.nii.gz"]
    own = used.pop("pictures")["weak_labels"]["crack"]
    labels = {name: each["weak_labels"]["infection"] for name, each in used.items()}
    assert labels["scribbles"] == {name: {"scribbles": ["infection"]} for name in "ab"}
    assert labels["boxes"] == {"a": {"boxes": {"infection": 2}}}
    shares = {"a": [0.25, 0.5], "b": [0.0, 0.25], "c": [0.5, 0.75]}
    assert labels["grades"] == {
        name: {"shares": {"infection": share}} for name, share in shares.items()
    }
    assert own["001"] == {"boxes": {"crack": 1}, "shares": {"crack": [0.05, 0.25]}}
    assert own["003"] == {"scribbles": ["crack"], "shares": {"crack": [0.0, 0.3]}}
    assert not any("mask" in each["use"] for run in used.values() for each in run["files"])


def manifest(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return found


def test_the_page_has_no_other_blocks() -> None:
    assert {block.language for block in blocks(PAGE)} == {"bash", "csv", "yaml"}
    assert all(block.name for block in blocks(PAGE) if block.language in {"csv", "yaml"})


def test_the_table_about_grades_has_the_means_of_its_rows() -> None:
    rows = pd.read_csv(DOCS / "assets" / "grades.csv")
    text = PAGE.read_text(encoding="utf-8")
    for key, group in rows.groupby(["midpoint_hu", "labels"]):
        midpoint, labels = map(str, key) if isinstance(key, tuple) else (str(key), "")
        assert len(group) == 20
        volume = 100 * group["volume_ml"].sum() / group["volume_true_ml"].sum()
        numbers = f"{group['dice'].mean():.2f} | {volume:.0f} %"
        assert f"| {midpoint.replace('-', '−')} HU | {labels} | {numbers} |" in text
