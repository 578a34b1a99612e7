"""Regions that were not found, or only in part, are reported by every command that uses them."""

import csv
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from wsseg.core.case import Case
from wsseg.core.input import Input
from wsseg.core.interfaces import Region, RegionLimits
from wsseg.core.volume import Volume
from wsseg.data.checks.regions import log_region_findings, region_findings
from wsseg.data.prepare import prepare

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SHAPE = (24, 20, 6)
AFFINE = np.diag([-4.0, -4.0, 5.0, 1.0])
EMPTY = (
    "its region lung is empty: nothing was found. Look at the mask, and correct it or use another "
    "region."
)
RECIPE = """\
cohort: {use: table, path: cohort.csv}
regions: {lung: {use: file, mask: lung}}
input: {slices: 1, size: 24, thick: null}
stages:
  lesion:
    learn: nothing
    classes: [lesion]
    region: lung
    prior: {use: threshold, hu: -300}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe for the training case `a` and the test cases `b` and `c`; `c` has an empty lung."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    lines = ["case,split,image,mask.lung,mask.lesion,tag.lesion"]
    for number, name in enumerate("abc"):
        image = np.random.default_rng(number).normal(-850, 30, SHAPE)
        lung, lesion = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
        lesion[8:12, 6:12, 2:4] = 1
        lung[4:20, 4:16, 1:] = name != "c"
        image[lesion > 0] = 0
        for file, voxels in {"": image.astype(np.int16), "-lung": lung, "-lesion": lesion}.items():
            nib.save(nib.Nifti1Image(voxels, AFFINE), tmp_path / f"{name}{file}.nii.gz")
        split = "train" if name == "a" else "test"
        lines.append(f"{name},{split},{name}.nii.gz,{name}-lung.nii.gz,{name}-lesion.nii.gz,1")
    (tmp_path / "cohort.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def warnings_of(table: Path) -> dict[str, str]:
    with table.open(newline="") as file:
        return {row["case"]: row["warnings"] for row in csv.DictReader(file)}


def test_data_check_finds_an_empty_region_of_the_recipe(wsseg: "Wsseg", folder: Path) -> None:
    ended = wsseg("data", "check", folder / "recipe.yaml", "--json")
    found = [
        each for each in json.loads(ended.out)["findings"] if each["name"] == "implausible-region"
    ]
    assert [(each["case"], each["severity"]) for each in found] == [("c", "warning")]
    assert f"{found[0]['what']}. {found[0]['remedy']}." == EMPTY
    assert ended.code == 0


def test_data_check_without_a_recipe_finds_no_regions(wsseg: "Wsseg", folder: Path) -> None:
    assert "implausible-region" not in wsseg("data", "check", folder / "cohort.csv", "--json").out


def test_data_check_names_the_case_whose_region_lacks_its_file(
    wsseg: "Wsseg", folder: Path
) -> None:
    table = folder / "cohort.csv"
    table.write_text(table.read_text().replace("b-lung.nii.gz", ""))
    ended = wsseg("data", "check", folder / "recipe.yaml", "--json")
    found = [each for each in json.loads(ended.out)["findings"] if each["name"] == "no-region"]
    assert [each["case"] for each in found] == ["b"]
    assert "its region lung: no mask is called 'lung'" in found[0]["what"]
    assert ended.code == 1


@pytest.mark.usefixtures("undrawn_figures")
def test_prediction_and_scoring_warn_of_an_empty_region_in_the_table_and_on_the_page(
    wsseg: "Wsseg", folder: Path
) -> None:
    run, out, warning = folder / "run", folder / "out", f"{EMPTY} [implausible-region]"
    assert wsseg("train", folder / "recipe.yaml", "--out", run).code == 0
    for words in (("predict", run, folder / "cohort.csv", "--out", out), ("score", run)):
        ended = wsseg(*words)
        assert ended.code == 0, ended.err
        assert " ".join(ended.err.split()).count("its region lung is empty") == 1
    assert warnings_of(out / "scores.csv") == {"a": "", "b": "", "c": warning}
    assert warnings_of(run / "scores.csv") == {"b": "", "c": warning}
    assert wsseg("report", run).code == 0
    assert f"c: {warning}" in (run / "report.html").read_text()


def test_training_warns_of_an_empty_region(
    wsseg: "Wsseg", folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = folder / "cohort.csv"
    table.write_text(table.read_text().replace("c,test", "c,train"))
    with caplog.at_level(logging.WARNING, "wsseg"):
        assert wsseg("train", folder / "recipe.yaml", "--out", folder / "run").code == 0
    assert f"case c: {EMPTY} [implausible-region]" in caplog.messages


class Bright(Region):
    """Voxels above -400, which are at most 0.01 litres."""

    plausible: ClassVar = RegionLimits(
        (0, 0.01), full_length_mm=100, max_area_cm2=100, median=(-500, 100), remedy="Draw it"
    )

    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
        """Return the mask."""
        return np.asarray(volume.channel() > -400)


def test_the_limits_of_a_region_decide_and_its_remedy_is_named(folder: Path) -> None:
    """The lesion has 4 x 6 x 2 voxels of 80 mm³, 0.004 litres; all above -900 HU are 0.2 litres."""
    prepared = prepare(Case("a", "a", folder / "a.nii.gz"), Input(slices=1, size=24, thick=None))
    assert list(region_findings(prepared, {"spot": Bright()})) == []

    class Everywhere(Bright):
        """All voxels."""

        def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:  # noqa: ARG002
            """Return the mask."""
            return np.ones(volume.shape, np.bool_)

    (finding,) = region_findings(prepared, {"spot": Everywhere()})
    assert finding.sentence == (
        "case a: its region spot has 0.2 litres, over 0.01: it leaks, or the spacing is wrong. "
        "Draw it."
    )


def test_a_finding_is_logged_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    nib.save(nib.Nifti1Image(np.full(SHAPE, -900, np.int16), AFFINE), folder / "dark.nii.gz")
    case = Case("dark", "dark", folder / "dark.nii.gz")
    prepared = prepare(case, Input(slices=1, size=24, thick=None))
    with caplog.at_level(logging.WARNING, "wsseg"):
        for _ in range(3):
            log_region_findings(prepared, {"spot": Bright()})
    assert caplog.messages == [
        "case dark: its region spot is empty: nothing was found. Draw it. [implausible-region]"
    ]
