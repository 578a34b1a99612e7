"""docs/probabilities.md: its commands work, and write what the page says."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Wsseg
from tests.markdown import DOCS, blocks
from wsseg.data.nifti import open_nifti
from wsseg.evaluation.rows import read_rows

PAGE = DOCS / "probabilities.md"


def test_every_command_of_the_page_works(
    wsseg: Wsseg, validated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(validated, tmp_path / "runs" / "mine")
    (tmp_path / "scans").mkdir()
    shutil.copy(validated.parent / "scans" / "6-image.nii.gz", tmp_path / "scans" / "d.nii.gz")
    monkeypatch.chdir(tmp_path)
    for block in blocks(PAGE):
        assert block.language == "bash"
        for line in block.text.splitlines():
            ended = wsseg(*shlex.split(line)[1:])
            assert ended.code == 0, f"{line}\n{ended.err}"
    image = open_nifti(tmp_path / "predicted" / "probabilities" / "d.1-infection.nii.gz")
    assert image.get_data_dtype() == "uint16"
    voxels: Any = image.dataobj
    assert voxels.slope == 2**-15
    assert "infection_probability" in read_rows(tmp_path / "predicted" / "scores.csv")
    run = tmp_path / "runs" / "mine"
    read = {
        file["case"]
        for stage in json.loads((run / "calibration.json").read_text()).values()
        for file in stage["files"]
    }
    assert read == {"case-4", "case-5"}  # the validation cases
    page = (run / "report.html").read_text()
    assert 'alt="reliability diagram of infection (mine)"' in page
    assert "infection probability" in page
