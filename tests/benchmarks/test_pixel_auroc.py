"""The pixel AUROC of the runs of a suite: collected from their files, and up to date."""

from pathlib import Path

import pytest

from benchmarks import pixel_auroc
from benchmarks.pages import read_rows
from benchmarks.pixel_auroc import Row, collect, pixel_auroc_table
from benchmarks.stale_rows import suites_with_rows
from wsseg.errors import InputError
from wsseg.evaluation.reliability import Bins, Reliability, write_reliability
from wsseg.suite.definition import load_suite, plan
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job_fingerprint import job_fingerprint

SUITE = """\
recipes: {threshold: covid/demo-threshold, phi1: covid/demo-phi1}
folds: 2
compare: {baseline: threshold, metric: dice}
settings_from: {phi1: test masks}
"""
BINS = Bins((2, *[0] * 8, 3), (0.1, *[0.0] * 8, 2.8), (0, *[0] * 8, 3))


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "suite.yaml").write_text(SUITE)
    monkeypatch.setattr(pixel_auroc, "BENCHMARKS", tmp_path)
    return tmp_path / "small" / "suite.yaml"


def test_a_row_is_collected_from_each_run_and_the_table_shows_their_means(
    suite: Path, tmp_path: Path
) -> None:
    jobs, out = plan(load_suite(suite), suite.parent), SuiteFolder(tmp_path / "runs")
    for job, auc in zip(jobs, (0.5, 0.7, 0.8, None), strict=True):
        run = out.run(job.folder)
        run.path.mkdir(parents=True)
        write_reliability(run, {"consolidation": Reliability(4, BINS, pixel_auc=auc)})
    rows = list(collect("small", out.path))
    assert [(row.method, row.fold, row.pixel_auroc) for row in rows] == [
        *(("threshold", 0, 0.5), ("threshold", 1, 0.7)),
        *(("phi1", 0, 0.8), ("phi1", 1, None)),
    ]
    assert {(row.class_name, row.cases, row.pixels) for row in rows} == {("consolidation", 4, 5)}
    table = pixel_auroc_table(load_suite(suite), rows)
    assert "| threshold | 0.600 (0.500–0.700) | 2 |" in table
    assert "| phi1 † | 0.800 (0.800–0.800) | 1 |" in table


@pytest.mark.usefixtures("suite")
def test_a_run_without_measured_probabilities_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"wsseg score .*seed-0/fold-0 --probabilities"):
        list(collect("small", tmp_path / "runs"))


@pytest.mark.parametrize("folder", suites_with_rows(), ids=lambda folder: folder.name)
def test_committed_rows_are_of_the_present_code(folder: Path) -> None:
    if not (rows := read_rows(pixel_auroc.rows_file(folder.name), Row)):
        pytest.skip("no pixel AUROC was measured")
    jobs = plan(load_suite(folder / "suite.yaml"), folder)
    now = {(job.method, job.recipe.seed, job.fold): job_fingerprint(job) for job in jobs}
    measured = {(row.method, row.seed, row.fold): row.fingerprint for row in rows}
    assert measured == now
