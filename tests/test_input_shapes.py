"""Networks see slices of other shapes than squares, with padding, in every step of a run."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.data.nifti import open_nifti

if TYPE_CHECKING:
    from tests.conftest import Wsseg


@pytest.mark.slow
def test_a_run_with_padded_rectangles_is_trained_predicts_scores_and_reports(
    wsseg: "Wsseg", toy_recipe: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    one_epoch = (f"stages.{name}.epochs=1" for name in ("infection", "consolidation"))
    settings = ("input.size=[24, 40]", "input.fit=pad", *one_epoch)
    scan, out = toy_cohort.parent / "6-image.nii.gz", tmp_path / "out"
    for words in (
        ("train", toy_recipe, "--out", tmp_path / "run", *(f"--set={each}" for each in settings)),
        ("score", tmp_path / "run"),
        ("report", tmp_path / "run"),
        ("predict", tmp_path / "run", scan, "--out", out),
    ):
        ended = wsseg(*words)
        assert ended.code == 0, ended.err
    assert open_nifti(out / "6-image.nii.gz").shape == open_nifti(scan).shape
