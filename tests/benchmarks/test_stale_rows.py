"""Committed rows were made by the present settings and code of their suites."""

import csv
import shutil
from pathlib import Path

import pytest

from benchmarks import stale_rows
from benchmarks.stale_rows import how_to_update, stale_jobs, suites_with_rows
from wsseg.suite.definition import load_suite, plan
from wsseg.suite.job_fingerprint import job_fingerprint

# Suites whose rows are known to be older. Delete the line of a suite once it has run again: from
# then on, its rows are refused when a setting or the code that decides its results changes.
KNOWN_STALE = {
    "annotation-cost",
    "covid-sweep",
    "glioma",
    "medseg",
    "phantom",
    "transfer",
}


@pytest.mark.parametrize("folder", suites_with_rows(), ids=lambda folder: folder.name)
def test_the_rows_of_a_suite_were_made_by_its_present_settings_and_code(folder: Path) -> None:
    stale = stale_jobs(folder)
    if folder.name in KNOWN_STALE:
        assert stale, "the rows are up to date: delete the line of the suite in KNOWN_STALE"
        pytest.xfail(f"{len(stale)} jobs are stale: {how_to_update(folder)}")
    assert not stale, how_to_update(folder)


def test_only_suites_with_rows_are_known_to_be_stale() -> None:
    assert {folder.name for folder in suites_with_rows()} >= KNOWN_STALE


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the phantom's suite, with a row of one case for each job, made now."""
    source = stale_rows.BENCHMARKS / "phantom"
    folder = tmp_path / "benchmarks" / "phantom"
    folder.mkdir(parents=True)
    shutil.copy(source / "suite.yaml", folder)
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


def test_rows_that_were_just_made_are_not_stale(copied: Path) -> None:
    assert suites_with_rows() == [copied]
    assert stale_jobs(copied) == []


def test_rows_of_one_changed_method_are_stale(copied: Path) -> None:
    path = copied / "suite.yaml"
    text = path.read_text()
    assert "phi1: covid/demo-phi1\n" in text
    path.write_text(text.replace("phi1: covid/demo-phi1\n", "phi1: covid/demo-phi2\n"))
    assert stale_jobs(copied) == [f"phi1/seed-{seed}" for seed in (0, 1, 2)]
    write_rows(copied)
    assert stale_jobs(copied) == []


def test_rows_without_provenance_and_rows_of_a_dropped_method_are_stale(copied: Path) -> None:
    rows = copied / "rows.csv"
    jobs = len(rows.read_text().splitlines()) - 1
    header, *lines = rows.read_text().splitlines()
    rows.write_text("\n".join([header, *lines, "dropped,0,,a,1,0123"]) + "\n")
    assert stale_jobs(copied) == ["dropped/seed-0"]
    without = [line.rpartition(",")[0] for line in (header, *lines)]
    rows.write_text("\n".join(without) + "\n")
    assert len(stale_jobs(copied)) == jobs
