"""Prediction of many scans: resumed after a kill, and shared among workers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from tests.inference.test_run import scan, table
from wsseg.core.case import Case
from wsseg.data.prepare import Prepared
from wsseg.inference.folders import PredictionFolder
from wsseg.inference.run import Run

if TYPE_CHECKING:
    from tests.conftest import Wsseg


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, z_mm in zip("abcd", (5, 4, 3, 2), strict=True):
        scan(folder / f"{name}.nii.gz", z_mm=z_mm)
    return folder


@pytest.fixture
def prepared_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the cases prepared so far, in order."""
    names: list[str] = []
    prepare = Run.prepare

    def noted(run: Run, case: Case) -> Prepared:
        names.append(case.name)
        return prepare(run, case)

    monkeypatch.setattr(Run, "prepare", noted)
    return names


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path != PredictionFolder(folder).record
    }


def test_running_the_same_command_again_keeps_all_masks(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, scans: Path, prepared_names: list[str]
) -> None:
    out = tmp_path / "out"
    assert wsseg("predict", trained, scans, "--out", out).code == 0
    first = contents(out)
    assert prepared_names == list("abcd")
    assert wsseg("predict", trained, scans, "--out", out).code == 0
    assert prepared_names == list("abcd")
    assert contents(out) == first


def test_masks_that_are_missing_unrecorded_or_of_a_changed_scan_are_made_again(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, scans: Path, prepared_names: list[str]
) -> None:
    out = tmp_path / "out"
    assert wsseg("predict", trained, scans, "--out", out).code == 0
    first = contents(out)
    (out / "a.nii.gz").unlink()
    scan(scans / "b.nii.gz", z_mm=2)
    lines = PredictionFolder(out).record.read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["row"]["case"] != "d"]
    PredictionFolder(out).record.write_text("\n".join(kept) + '\n{"key": "cut sho')
    prepared_names.clear()
    assert wsseg("predict", trained, scans, "--out", out).code == 0
    assert sorted(prepared_names) == ["a", "b", "d"]
    again = contents(out)
    assert {name for name in first if again[name] != first[name]} == {"b.nii.gz", "scores.csv"}
    assert list(table(out)) == list("abcd")


def test_masks_of_another_run_are_made_again(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, scans: Path, prepared_names: list[str]
) -> None:
    other = shutil.copytree(trained, tmp_path / "other")
    recipe = (other / "recipe.yaml").read_text()
    assert "scores:" in recipe
    (other / "recipe.yaml").write_text(recipe.replace("within: infection", "within: consolidation"))
    assert wsseg("predict", trained, scans, "--out", tmp_path / "out").code == 0
    assert wsseg("predict", other, scans, "--out", tmp_path / "out").code == 0
    assert prepared_names == list("abcd" * 2)
    assert {row["share"] for row in table(tmp_path / "out").values()} == {"1.0"}


def test_new_scans_are_added_to_those_already_predicted(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, scans: Path, prepared_names: list[str]
) -> None:
    out = tmp_path / "out"
    assert wsseg("predict", trained, scans, "--out", out).code == 0
    scan(scans / "aa.nii.gz", z_mm=6)
    prepared_names.clear()
    assert wsseg("predict", trained, scans, "--out", out).code == 0
    assert prepared_names == ["aa"]
    assert list(table(out)) == ["a", "aa", "b", "c", "d"]


def test_a_killed_command_is_continued_by_running_it_again(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, scans: Path, prepared_names: list[str]
) -> None:
    out, uninterrupted = tmp_path / "out", tmp_path / "uninterrupted"
    for number in range(20):
        shutil.copy(scans / "a.nii.gz", scans / f"z{number:02d}.nii.gz")
    command = [
        sys.executable,
        "-m",
        "wsseg",
        "predict",
        str(trained),
        str(scans),
        "--out",
        str(out),
    ]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while not PredictionFolder(out).record.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = [
        json.loads(line)["row"]["case"]
        for line in PredictionFolder(out).record.read_text().splitlines()
    ]
    assert 0 < len(done) < 24
    assert wsseg("predict", trained, scans, "--out", out).code == 0
    assert set(prepared_names).isdisjoint(done)
    assert len(prepared_names) + len(done) == 24
    assert wsseg("predict", trained, scans, "--out", uninterrupted).code == 0
    assert contents(out) == contents(uninterrupted)


def test_temporary_files_of_a_killed_command_are_deleted(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, scans: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".123-456.b.nii.gz").write_bytes(b"half")
    (out / ".mine").write_text("stays")
    assert wsseg("predict", trained, scans, "--out", out).code == 0
    assert {path.name for path in out.glob(".*")} == {".mine"}


def test_a_table_of_cases_can_be_predicted(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, scans: Path
) -> None:
    lines = ["case,image", f"anna,{scans.name}/b.nii.gz", f"bert,{scans.name}/a.nii.gz"]
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    out = tmp_path / "out"
    assert wsseg("predict", trained, tmp_path / "cohort.csv", "--out", out).code == 0
    assert list(table(out)) == ["anna", "bert"]
    assert (out / "anna.nii.gz").exists()


def test_a_csv_file_that_is_not_a_cohort_is_refused(
    wsseg: "Wsseg", trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.csv").write_text("who,what\na,b\n")
    ended = wsseg("predict", trained, tmp_path / "notes.csv", "--out", tmp_path / "out")
    ended.refused("notes.csv", "who")


@pytest.fixture
def scheduler() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with (
        patch.dict(os.environ),  # it sets threads in this process's, and leaves them there
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
    ):
        yield cluster.scheduler_address


def _words_loky(request: pytest.FixtureRequest) -> list[str]:  # noqa: ARG001 - as the other
    return ["--jobs", "2"]


def _words_dask(request: pytest.FixtureRequest) -> list[str]:
    return ["--backend", "dask", "--scheduler", request.getfixturevalue("scheduler")]


@pytest.mark.slow
@pytest.mark.parametrize("words", [_words_loky, _words_dask])
def test_workers_write_the_same_masks_as_one_process(
    wsseg: "Wsseg",
    trained: Path,
    tmp_path: Path,
    scans: Path,
    request: pytest.FixtureRequest,
    words: Callable[[pytest.FixtureRequest], list[str]],
) -> None:
    (scans / "e.nii.gz").write_bytes((scans / "a.nii.gz").read_bytes()[:-200])
    here, there = tmp_path / "here", tmp_path / "there"
    ended = wsseg("predict", trained, scans, "--out", here)
    assert ended.error.startswith("1 of 5 scans have no mask; case e: ")
    away = wsseg("predict", trained, scans, "--out", there, *words(request))
    assert (away.code, away.error) == (ended.code, ended.error)
    assert contents(here) == contents(there)
    before = PredictionFolder(there).record.read_bytes()
    wsseg("predict", trained, scans, "--out", there)
    assert PredictionFolder(there).record.read_bytes() == before
