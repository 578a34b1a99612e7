"""Running a suite: each job and each shared stage once, also after an interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch

from tests.suite_rows import results
from tests.undrawn_figures import leave_figures_undrawn
from wsseg.config.recipe_files import load_recipe
from wsseg.evaluation.rows import read_rows
from wsseg.runtime.device import device_name
from wsseg.runtime.files import write_text
from wsseg.runtime.folder_lock import lock_folder
from wsseg.suite.definition import Job
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job import run_job
from wsseg.suite.job_status import forget_old_failures
from wsseg.training import stage as stage_training
from wsseg.training.context import RunContext
from wsseg.training.trainer import Trainer

if TYPE_CHECKING:
    from tests.conftest import Ended, Wsseg

THRESHOLD = """\
extends: em.yaml
stages:
  consolidation:
    learn: nothing
    classes: [consolidation]
    region: infection
    prior: {use: threshold, hu: -250}
"""
METHODS = "recipes: {threshold: threshold.yaml, em: em.yaml}\n"

pytestmark = pytest.mark.usefixtures("undrawn_figures")


@pytest.fixture(scope="module")
def folder(toy_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recipes that share their first stage, and suites of them."""
    folder = tmp_path_factory.mktemp("suites")
    (folder / "em.yaml").write_text(toy_text)
    (folder / "threshold.yaml").write_text(THRESHOLD)
    (folder / "plain.yaml").write_text(METHODS)
    (folder / "folds.yaml").write_text(METHODS + "folds: 2\ncompare: {baseline: threshold}\n")
    return folder


@pytest.fixture(scope="module")
def plain(wsseg: "Wsseg", folder: Path) -> Path:
    """The folder of a finished suite, without a report."""
    with pytest.MonkeyPatch.context() as patch:
        leave_out_reports(patch)
        return finished(wsseg, folder / "plain.yaml", folder / "plain")


@pytest.fixture(scope="module")
def folds(wsseg: "Wsseg", folder: Path) -> Path:
    """The folder of a finished suite with two folds."""
    with pytest.MonkeyPatch.context() as patch:
        leave_figures_undrawn(patch)
        return finished(wsseg, folder / "folds.yaml", folder / "folds")


@pytest.fixture
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suites write no report, which takes longer than their training."""
    leave_out_reports(monkeypatch)


def leave_out_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsseg.cli.bench._write_report", lambda _: None)


def ran(wsseg: "Wsseg", suite: Path, out: Path, *more: str) -> "Ended":
    return wsseg("bench", "run", suite, "--out", out, *more)


def finished(wsseg: "Wsseg", suite: Path, out: Path) -> Path:
    ended = ran(wsseg, suite, out)
    assert ended.code == 0, ended.err
    return out


def suite_of(folder: Path, text: str) -> Path:
    path = folder / "own.yaml"
    path.write_text(text)
    return path


def stages_trained(out: Path) -> Counter[str]:
    """How often each stage was started, according to all logs of a suite."""
    records = [
        json.loads(line) for log in out.rglob("log.jsonl") for line in log.read_text().splitlines()
    ]
    return Counter(r["stage"] for r in records if r["event"] == "epoch" and r["epoch"] == 1)


def files(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_each_row_has_its_method_seed_fold_and_case(folds: Path) -> None:
    header = (folds / "rows.csv").read_text().partition("\n")[0].split(",")
    assert header[:4] == ["method", "seed", "fold", "case"]
    assert {"dice", "infection.dice", "share", "tag.consolidation"} <= set(header)
    rows = read_rows(folds / "rows.csv")
    assert len(rows) == 2 * 8
    for _, own in rows.groupby("method"):
        assert sorted(own["case"]) == [f"case-{i}" for i in range(8)]
        assert set(own["fold"]) == {"0", "1"}


def test_each_row_has_the_origin_of_its_job(folds: Path) -> None:
    """The two jobs of a fold share stages, but not the fingerprint of their settings."""
    rows = read_rows(folds / "rows.csv")
    assert rows["run.commit"].str.fullmatch(r"[0-9a-f]{12}( \+ changes)?|wsseg .+").all()
    assert rows["run.versions"].str.match(r"Python 3\.\d+.*, torch .*, wsseg \d").all()
    assert set(rows["run.precision"]) <= {"bfloat16", "float32"}
    assert set(rows["run.device"]) == {device_name()}
    assert set(rows["run.threads"]) == {str(torch.get_num_threads())}
    dates = {date.fromisoformat(each) for each in rows["run.date"]}
    assert all(timedelta(0) <= datetime.now(UTC).date() - each < timedelta(2) for each in dates)
    by_job = rows.groupby(["method", "fold"])
    assert (by_job["run.seconds"].nunique() == 1).all()
    assert (rows["run.seconds"].astype(float) > 0).all()
    assert (by_job["run.fingerprint"].nunique() == 1).all()
    assert rows["run.fingerprint"].nunique() == 4


def test_the_report_has_the_origin_of_the_rows(folds: Path) -> None:
    page = (folds / "report.html").read_text()
    rows = read_rows(folds / "rows.csv")
    assert rows["run.commit"].iloc[0] in page
    assert rows["run.device"].iloc[0] in page


def test_a_job_can_be_moved_and_scored_like_any_run(
    wsseg: "Wsseg", folds: Path, tmp_path: Path
) -> None:
    """The run of a fold is scored on the cases held out of it, not on the cohort's own split."""
    run = Path(shutil.copytree(folds / "em/seed-0/fold-1", tmp_path / "moved"))
    assert {path.name for path in run.iterdir()} >= {"recipe.yaml", "manifest.json", "stages"}
    before = read_rows(run / "scores.csv")
    assert wsseg("score", run).code == 0
    again = read_rows(run / "scores.csv")
    columns = ["case", "infection.dice", "infection.volume_ml"]
    pd.testing.assert_frame_equal(again[columns], before[columns])


def test_a_shared_stage_is_trained_once_per_fold(plain: Path, folds: Path) -> None:
    assert stages_trained(plain) == {"infection": 1, "consolidation": 1}
    assert stages_trained(folds) == {"infection": 2, "consolidation": 2}
    assert len(list((folds / "stages").iterdir())) == 4


def test_methods_that_share_a_stage_have_equal_scores_for_it(plain: Path) -> None:
    rows = read_rows(plain / "rows.csv").set_index("case")
    by_method = [own["infection.dice"] for _, own in rows.groupby("method")]
    pd.testing.assert_series_equal(by_method[0], by_method[1])


def test_running_a_finished_suite_again_changes_no_run(
    wsseg: "Wsseg", folder: Path, folds: Path
) -> None:
    before, rows = files(folds), (folds / "rows.csv").read_bytes()
    ended = ran(wsseg, folder / "folds.yaml", folds)
    assert ended.code == 0
    assert "threshold" in ended.out
    assert ended.out.endswith(f"rows: {folds / 'rows.csv'}\nreport: {folds / 'report.html'}\n")
    assert ended.err == "4 of 4 jobs are already done\n"
    after = files(folds)
    rewritten = {name for name in after if after[name] != before.get(name)}
    assert rewritten <= {"rows.csv", "report.html", "suite.yaml"}
    assert before.keys() == after.keys()
    assert (folds / "rows.csv").read_bytes() == rows


def test_the_report_can_be_written_again_from_the_rows(wsseg: "Wsseg", folds: Path) -> None:
    page = (folds / "report.html").read_bytes()
    (folds / "report.html").unlink()
    ended = wsseg("bench", "report", folds)
    assert ended.code == 0
    assert "threshold" in ended.out
    assert (folds / "report.html").read_bytes() == page


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    wsseg: "Wsseg", folder: Path, plain: Path, tmp_path: Path
) -> None:
    ended = ran(wsseg, folder / "plain.yaml", tmp_path / "out", "--dry-run")
    assert ended.code == 0
    assert ended.out.endswith("  threshold/seed-0  to do\n  em/seed-0         to do\n")
    assert not (tmp_path / "out").exists()
    done = ran(wsseg, folder / "plain.yaml", plain, "--dry-run")
    assert done.out == (
        "2 jobs = 2 methods × 1 seed; 2 done, 0 to do\n"
        "  threshold/seed-0  done\n  em/seed-0         done\n"
    )


@pytest.mark.usefixtures("no_reports")
def test_a_running_suite_is_locked_and_a_killed_one_can_be_continued(
    wsseg: "Wsseg", folder: Path, plain: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["bench", "run", str(folder / "plain.yaml"), "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "wsseg", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    log, deadline = out / "threshold/seed-0/log.jsonl", time.monotonic() + 180
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    refused = wsseg(*words)
    process.kill()
    output, _ = process.communicate(timeout=60)
    assert log.exists(), output
    assert refused.code == 2
    assert f"process {process.pid} on" in refused.error
    assert not (out / "rows.csv").exists()
    (out / ".1-2.rows.csv").write_text("what a killed writer left")

    assert wsseg(*words).code == 0
    assert results(out / "rows.csv") == results(plain / "rows.csv")
    assert not list(out.glob(".*")), "locks and leftovers are gone"
    assert not list(out.rglob("last"))


def test_a_suite_in_use_is_refused_before_its_cases_are_checked(
    wsseg: "Wsseg", folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also, no job that the other command has just finished is run again."""
    monkeypatch.setattr("wsseg.suite.runner.check_cases", None)  # called, it would fail
    with lock_folder(tmp_path):
        ran(wsseg, folder / "plain.yaml", tmp_path).refused(f"process {os.getpid()} on")


def test_an_old_failure_of_a_job_that_is_done_is_forgotten(
    tmp_path: Path, toy_recipe: Path
) -> None:
    """A command that was killed just after the last file of a job leaves one."""
    jobs = [Job(name, load_recipe(toy_recipe)) for name in ("done", "failed")]
    suite = SuiteFolder(tmp_path)
    for job in jobs:
        write_text(suite.run(job.folder).failure, "a reason")
    write_text(suite.run(jobs[0].folder).scores, "case")
    forget_old_failures(jobs, suite)
    assert [suite.run(job.folder).failure.exists() for job in jobs] == [False, True]


@pytest.mark.usefixtures("no_reports")
def test_an_interrupt_stops_the_suite_and_not_just_one_job(
    wsseg: "Wsseg",
    folder: Path,
    plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step, out = Trainer._step, tmp_path / "out"

    def asked(self: Trainer, *args: object) -> object:
        if self.progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", asked)
        ended = ran(wsseg, folder / "plain.yaml", out)
    assert ended.code == 1
    assert ended.error.startswith("threshold/seed-0: interrupted in stage infection after step 4")
    assert ended.error.endswith("To continue, run the same command again")
    assert not (out / "em").exists()
    finished(wsseg, folder / "plain.yaml", out)
    assert results(out / "rows.csv") == results(plain / "rows.csv")


@pytest.mark.usefixtures("no_reports")
def test_a_stage_finished_just_before_a_crash_is_not_trained_again(
    wsseg: "Wsseg", folder: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(stage_training, "_copy_stage", crash)
        assert ran(wsseg, folder / "plain.yaml", tmp_path).code == 9
    finished(wsseg, folder / "plain.yaml", tmp_path)
    assert stages_trained(tmp_path) == stages_trained(plain)
    assert results(tmp_path / "rows.csv") == results(plain / "rows.csv")


def test_a_killed_suite_can_be_reported_with_its_finished_jobs(
    wsseg: "Wsseg", folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(job: Job, context: RunContext, accept: Collection[str]) -> None:
        if job.method == "em":
            raise SystemExit(9)
        run_job(job, context, accept)

    wsseg("bench", "report", tmp_path).refused("rows.csv is missing, because no job has finished")
    with monkeypatch.context() as patch:
        patch.setattr("wsseg.suite.runner.run_job", crash)
        assert ran(wsseg, folder / "plain.yaml", tmp_path).code == 9
    ended = wsseg("bench", "report", tmp_path)
    assert ended.code == 0, ended.err
    assert set(read_rows(tmp_path / "rows.csv")["method"]) == {"threshold"}


def test_a_comparison_by_an_unknown_metric_is_left_out_with_a_message(
    wsseg: "Wsseg", plain: Path, tmp_path: Path
) -> None:
    shutil.copytree(plain, tmp_path / "out")
    text = (plain / "suite.yaml").read_text().replace("compare: null", "compare: COMPARE")
    suite = text.replace("COMPARE", "{baseline: em, metric: dise}")
    assert suite != text
    (tmp_path / "out/suite.yaml").write_text(suite)
    ended = wsseg("bench", "report", tmp_path / "out")
    assert ended.code == 0
    message, *_ = ended.err.splitlines()  # the warnings of the runs follow
    assert message == "no comparison: no row has 'dise'. Did you mean 'dice'?"


def test_a_failed_job_is_recorded_and_the_other_jobs_continue(
    wsseg: "Wsseg", folder: Path, plain: Path, tmp_path: Path
) -> None:
    """The baseline fails here, so the report has no comparison."""
    (folder / "explodes.yaml").write_text(
        "extends: em.yaml\nstages: {consolidation: {optimizer: {lr: 1.0e+30}}}\n"
    )
    suite = suite_of(
        folder,
        "recipes: {explodes: explodes.yaml, em: em.yaml}\ncompare: {baseline: explodes}\n",
    )
    ended = ran(wsseg, suite, tmp_path)
    assert ended.code == 1
    assert ended.error == "1 of 2 jobs failed; run the same command again to retry them"
    reason = (tmp_path / "explodes/seed-0/failed.txt").read_text()
    assert reason.startswith("stage consolidation, step 1 (epoch 1): the weights exploded")
    assert "explodes/seed-0 failed: stage consolidation, step 1 (epoch 1): the weights" in ended.err
    assert len(reason.splitlines()) <= 3
    expected = [row for row in results(plain / "rows.csv") if row["method"] == "em"]
    assert results(tmp_path / "rows.csv") == expected
    assert (tmp_path / "report.html").exists()
    dry = ran(wsseg, suite, tmp_path, "--dry-run")
    assert "explodes/seed-0  failed: stage consolidation" in dry.out


def test_all_jobs_that_share_a_failed_stage_fail_and_name_the_run_that_trained_it(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    """The stage is tried once per seed, not once per job."""
    suite = suite_of(
        folder, METHODS + "set: {stages.infection.optimizer.lr: 1.0e+30}\nseeds: [0, 1]\n"
    )
    ended = ran(wsseg, suite, tmp_path)
    assert ended.code == 1
    assert ended.error == "4 of 4 jobs failed; run the same command again to retry them"
    for seed in (0, 1):
        for method in ("threshold", "em"):
            reason = (tmp_path / method / f"seed-{seed}/failed.txt").read_text()
            assert reason.startswith(
                f"stage infection, trained in threshold/seed-{seed}: stage infection, step 1"
            )
    assert ended.err.count("the weights exploded") == 2


@pytest.mark.usefixtures("no_reports")
def test_a_failed_job_is_retried_and_its_failure_deleted_once_it_succeeds(
    wsseg: "Wsseg", folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_of(folder, "recipes: [threshold.yaml]\n")

    def broken(*_: object) -> None:
        raise ValueError("an error in a plugin")

    with monkeypatch.context() as patch:
        patch.setattr("wsseg.suite.job.evaluate", broken)
        assert ran(wsseg, suite, tmp_path).code == 1
    reason = tmp_path / "threshold/seed-0/failed.txt"
    assert reason.read_text().startswith(
        f"ValueError: an error in a plugin ({Path(__file__).name}:"
    )
    assert not (tmp_path / "rows.csv").exists()
    finished(wsseg, suite, tmp_path)
    assert not reason.exists()
    assert (tmp_path / "rows.csv").exists()


def test_the_failure_of_a_dropped_method_is_neither_kept_nor_reported(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    (folder / "broken.yaml").write_text(
        "extends: em.yaml\nstages: {consolidation: {optimizer: {lr: 1.0e+30}}}\n"
    )
    both = "recipes: {broken: broken.yaml, threshold: threshold.yaml}\n"
    assert ran(wsseg, suite_of(folder, both), tmp_path).code == 1
    assert "broken/seed-0" in (tmp_path / "report.html").read_text()
    finished(wsseg, suite_of(folder, "recipes: {threshold: threshold.yaml}\n"), tmp_path)
    assert "broken/seed-0" not in (tmp_path / "report.html").read_text()
    assert not list(tmp_path.rglob("failed.txt"))


def test_a_suite_without_test_cases_is_refused_before_training(
    wsseg: "Wsseg", folder: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    lines = [line.replace(",test,", ",train,") for line in toy_cohort.read_text().splitlines()]
    table = toy_cohort.with_name("all-train.csv")
    table.write_text("\n".join(lines))
    suite = suite_of(folder, f"recipes: [em.yaml]\nset: {{cohort.path: {table}}}\n")
    ended = ran(wsseg, suite, tmp_path)
    ended.refused("em/seed-0", "the cohort has no test case")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_a_run_with_other_settings_is_refused(
    wsseg: "Wsseg", folder: Path, plain: Path
) -> None:
    before = files(plain)
    suite = suite_of(folder, METHODS + "set: {input.size: 48}\n")
    ran(wsseg, suite, plain).refused("this run has other settings")
    planned = ran(wsseg, suite, plain, "--dry-run")
    planned.refused("2 of 2 jobs would be refused")
    assert planned.out.count("this run has other settings") == 2
    assert files(plain) == before
