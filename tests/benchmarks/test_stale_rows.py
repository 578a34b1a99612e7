"""Committed rows were made by the present settings and code of their suites."""

import csv
from pathlib import Path

import pytest

from benchmarks import stale_rows
from benchmarks.stale_rows import how_to_update, stale_jobs, suites_with_rows
from tests.benchmarks.known_stale import KNOWN_STALE
from wsseg.suite.definition import load_suite, plan
from wsseg.suite.job_fingerprint import job_fingerprint


@pytest.mark.parametrize("folder", suites_with_rows(), ids=lambda folder: folder.name)
def test_the_rows_of_a_suite_were_made_by_its_present_settings_and_code(folder: Path) -> None:
    stale = stale_jobs(folder)
    if folder.name in KNOWN_STALE:
        assert stale, "the rows are up to date: delete the line of the suite in KNOWN_STALE"
        pytest.xfail(f"{len(stale)} jobs are stale: {how_to_update(folder)}")
    assert not stale, how_to_update(folder)


def test_only_suites_with_rows_are_known_to_be_stale() -> None:
    assert {folder.name for folder in suites_with_rows()} >= KNOWN_STALE


SUITE = """\
recipes:
  threshold: covid/demo-threshold
  threshold-300: {extends: covid/demo-threshold, stages: {consolidation: {prior: {hu: -300}}}}
seeds: [0, 1, 2]
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a suite, with a row of one case for each job, made now."""
    folder = tmp_path / "benchmarks" / "thresholds"
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text(SUITE)
    monkeypatch.setattr(stale_rows, "BENCHMARKS", folder.parent)
    write_rows(folder)
    return folder


def write_rows(folder: Path) -> None:
    jobs = plan(load_suite(folder / "suite.yaml"), folder)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "seed", "fold", "case", "dice", "run.fingerprint"])
        writer.writerows(
            [job.method, job.recipe.seed, "", "a", 1, job_fingerprint(job)] for job in jobs
        )


def test_rows_that_were_just_made_are_not_stale(suite: Path) -> None:
    assert suites_with_rows() == [suite]
    assert stale_jobs(suite) == []


def test_rows_of_one_changed_method_are_stale(suite: Path) -> None:
    path = suite / "suite.yaml"
    path.write_text(SUITE.replace("hu: -300", "hu: -310"))
    assert stale_jobs(suite) == [f"threshold-300/seed-{seed}" for seed in (0, 1, 2)]
    write_rows(suite)
    assert stale_jobs(suite) == []


def test_rows_without_provenance_and_rows_of_a_dropped_method_are_stale(suite: Path) -> None:
    rows = suite / "rows.csv"
    jobs = len(rows.read_text().splitlines()) - 1
    header, *lines = rows.read_text().splitlines()
    rows.write_text("\n".join([header, *lines, "dropped,0,,a,1,0123"]) + "\n")
    assert stale_jobs(suite) == ["dropped/seed-0"]
    without = [line.rpartition(",")[0] for line in (header, *lines)]
    rows.write_text("\n".join(without) + "\n")
    assert len(stale_jobs(suite)) == jobs
