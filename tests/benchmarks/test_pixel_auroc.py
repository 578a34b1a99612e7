"""The pixel AUROC of the runs of a suite: measured on their test cases, and up to date."""

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from benchmarks import pixel_auroc
from benchmarks.pages import read_rows
from benchmarks.pixel_auroc import Row, measure, pixel_auroc_table, rows_file
from benchmarks.stale_rows import suites_with_rows
from tests.picture_files import write_pictures
from wsseg import load_run
from wsseg.errors import InputError
from wsseg.evaluation.manifest_cases import held_out_cases
from wsseg.suite.definition import load_suite, plan
from wsseg.suite.job_fingerprint import job_fingerprint

if TYPE_CHECKING:
    from tests.conftest import Wsseg

RECIPE = """\
cohort: {use: folder, path: pictures}
input: {slices: 1, size: 32, offset: 100, scale: 10}
stages:
  crack: {learn: nothing, classes: [crack], prior: {use: sigmoid, midpoint: 110, width: 10}}
"""
SUITE = """\
recipes: [recipe.yaml]
folds: 2
settings_from: {recipe: test masks}
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a suite, in place of those in benchmarks."""
    folder = tmp_path / "small"
    write_pictures(folder / "pictures", 4, spot=6)
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "suite.yaml").write_text(SUITE)
    monkeypatch.setattr(pixel_auroc, "BENCHMARKS", tmp_path)
    return folder


def test_the_auroc_of_a_run_is_over_the_pixels_of_all_its_test_pictures_with_a_mask(
    wsseg: "Wsseg", small: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    ended = wsseg("bench", "run", small / "suite.yaml", "--out", out)
    assert ended.code == 0, ended.err
    rows = list(measure("small", out))
    assert [(row.method, row.seed, row.fold) for row in rows] == [
        ("recipe", 0, 0),
        ("recipe", 0, 1),
    ]
    for row in rows:
        inside, outside = list[int](), list[int]()
        tested = held_out_cases(load_run(out / "recipe" / "seed-0" / f"fold-{row.fold}"))
        annotated = [case for case in tested if case.masks]
        for case in annotated:
            pixels = np.asarray(Image.open(case.image))
            mask = np.asarray(Image.open(case.masks["crack"])) > 0
            inside += pixels[mask].tolist()
            outside += pixels[~mask].tolist()
        pairs = product(inside, outside)  # phi rises with the brightness
        won = sum(float(bright > dark) + (bright == dark) / 2 for bright, dark in pairs)
        assert row.pixel_auroc == pytest.approx(won / len(inside) / len(outside), abs=1e-6)
        assert (row.cases, row.pixels) == (len(annotated), len(inside) + len(outside))
    mean = sum(row.pixel_auroc or 0 for row in rows) / 2
    assert f"| recipe † | {mean:.3f} (" in pixel_auroc_table(load_suite(small / "suite.yaml"), rows)


@pytest.mark.usefixtures("small")
def test_a_suite_that_has_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"fold-0: not the folder of a run"):
        list(measure("small", tmp_path / "runs"))


@pytest.mark.parametrize(
    "folder",
    [each for each in suites_with_rows() if rows_file(each.name).exists()],
    ids=lambda folder: folder.name,
)
def test_committed_rows_are_of_the_present_code(folder: Path) -> None:
    jobs = plan(load_suite(folder / "suite.yaml"), folder)
    now = {(job.method, job.recipe.seed, job.fold): job_fingerprint(job) for job in jobs}
    rows = read_rows(rows_file(folder.name), Row)
    assert {(row.method, row.seed, row.fold): row.fingerprint for row in rows} == now
