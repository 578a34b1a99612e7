"""Methods trained on phantoms and tested on scans in the layout of MedSeg's data set 2."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from wsseg import Grid
from wsseg.evaluation.rows import read_rows
from wsseg.tools import write_nifti
from wsseg_covid.medseg import MedSeg9

if TYPE_CHECKING:
    from tests.conftest import Wsseg

WITH_CONSOLIDATION = (2, 3, 5, 7, 9)
RECIPE = """\
cohort: {{use: lung-phantom, cases: 3, size: 32, slices: 4}}
test: {{use: medseg-9, root: {root}}}
regions: {{lung: {{use: file, mask: lung}}}}
input: {{slices: 1, size: 32, unit: HU, mask: lung, thick: null}}
stages:
  consolidation:
    learn: nothing
    classes: [consolidation]
    region: lung
    prior: {{use: threshold, hu: -200}}
scores:
  consolidation_score: {{use: share, of: consolidation, within: lung}}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite that is tested on the nine scans in the folder `nine`."""
    (tmp_path / "threshold.yaml").write_text(RECIPE.format(root="nine"))
    (tmp_path / "suite.yaml").write_text("recipes: [threshold.yaml]\n")
    return tmp_path / "suite.yaml"


def write_nine(root: Path) -> None:
    """Write nine scans with ground-glass; those of `WITH_CONSOLIDATION` have consolidation, too."""
    grid = Grid((32, 32, 4), np.diag([-8.0, -8.0, 15.0, 1.0]))
    for number in range(1, 10):
        labels = np.zeros((4, 32, 32), np.uint8)
        labels[1:3, 10:14, 10:14] = 1
        labels[1:3, 16:20, 10:14] = 2 if number in WITH_CONSOLIDATION else 0
        lung = np.zeros_like(labels)
        lung[:, 4:28, 4:28] = 1
        noise = np.random.default_rng(number).normal(0, 30, labels.shape)
        image = np.select([labels == 2, labels == 1, lung == 1], [20, -500, -850], 50) + noise
        for folder, voxels in (("rp_im", image), ("rp_msk", labels), ("rp_lung_msk", lung)):
            path = root / folder / f"{number}.nii.gz"
            write_nifti(path, grid.to_file(voxels).astype(np.int16), grid.affine)


def test_the_tags_of_the_nine_scans_are_the_classes_in_their_masks(tmp_path: Path) -> None:
    write_nine(tmp_path)
    tags = {case.name: case.tags for case in MedSeg9(root=tmp_path).cases()}
    assert {name for name, each in tags.items() if each["consolidation"]} == {
        f"medseg-{number}" for number in WITH_CONSOLIDATION
    }
    for each in tags.values():
        assert each["infection"] is each["ground-glass"] is True


def test_a_changed_mask_changes_the_tags(tmp_path: Path) -> None:
    write_nine(tmp_path)
    cohort = MedSeg9(root=tmp_path)
    assert cohort.cases()[1].tags["consolidation"]
    healthy = np.zeros((32, 32, 4), np.uint8)
    write_nifti(tmp_path / "rp_msk" / "2.nii.gz", healthy, np.diag([-8.0, -8.0, 15.0, 1.0]))
    assert set(cohort.cases()[1].tags.values()) == {False}


@pytest.mark.slow
def test_the_score_of_the_nine_scans_is_compared_between_cases_with_and_without_consolidation(
    wsseg: "Wsseg", suite: Path
) -> None:
    """Figure 7 of Wu et al. 2020, for which cases need tags."""
    write_nine(suite.parent / "nine")
    out = suite.parent / "out"
    ended = wsseg("bench", "run", suite, "--out", out)
    assert ended.code == 0, ended.err
    rows = read_rows(out / "rows.csv")
    present = rows["case"].isin([f"medseg-{number}" for number in WITH_CONSOLIDATION])
    assert ((rows["tag.consolidation"] == 1) == present).all()
    page = (out / "report.html").read_text()
    assert "consolidation score of cases with and without the tag consolidation" in page


@pytest.mark.parametrize(
    "command",
    [
        ("bench", "run", "suite.yaml", "--out", "out"),
        ("bench", "run", "suite.yaml", "--out", "out", "--dry-run"),
        ("train", "threshold.yaml", "--out", "out"),
        ("data", "check", "threshold.yaml"),
    ],
    ids=" ".join,
)
def test_missing_test_scans_are_found_before_a_phantom_is_drawn(
    wsseg: "Wsseg",
    suite: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.chdir(suite.parent)
    ended = wsseg(*command)
    ended.refused(
        "1.nii.gz: this file of the data set was not found. Download it with `wsseg data fetch`"
    )
    assert not (cache / "phantom").exists()
    assert not (suite.parent / "out").exists()


def test_a_dry_run_prints_the_plan_before_it_names_a_missing_file(
    wsseg: "Wsseg", suite: Path
) -> None:
    ended = wsseg("bench", "run", suite, "--out", suite.parent / "out", "--dry-run")
    assert "1 job = 1 method × 1 seed; 0 done, 1 to do\n" in ended.out
    assert "rp_im/1.nii.gz" in ended.error


def test_one_missing_mask_of_the_nine_scans_is_named(wsseg: "Wsseg", suite: Path) -> None:
    write_nine(suite.parent / "nine")
    (suite.parent / "nine" / "rp_msk" / "7.nii.gz").unlink()
    ended = wsseg("bench", "run", suite, "--out", suite.parent / "out")
    ended.refused("rp_msk/7.nii.gz: this file of the data set was not found")


def test_missing_scans_of_a_later_method_are_found_before_a_phantom_is_drawn(
    wsseg: "Wsseg", suite: Path, cache: Path
) -> None:
    """The first method is tested on its phantoms, of which none is missing."""
    phantoms = RECIPE.replace("test: {{use: medseg-9, root: {root}}}\n", "").format()
    (suite.parent / "phantoms.yaml").write_text(phantoms)
    suite.write_text("recipes: [phantoms.yaml, threshold.yaml]\n")
    ended = wsseg("bench", "run", suite, "--out", suite.parent / "out")
    ended.refused("rp_im/1.nii.gz")
    assert not (cache / "phantom").exists()


def test_missing_scans_are_found_before_a_wrapped_phantom_is_drawn(
    wsseg: "Wsseg", suite: Path, cache: Path
) -> None:
    wrapped = (
        "{use: few-masks, cohort: {use: lung-phantom, cases: 3, size: 32, slices: 4}, "
        "of: [infection], masks: 1}"
    )
    ended = wsseg(
        *("train", suite.with_name("threshold.yaml"), "--out", suite.parent / "out"),
        *("--set", f"cohort={wrapped}"),
    )
    ended.refused("rp_im/1.nii.gz")
    assert not (cache / "phantom").exists()
