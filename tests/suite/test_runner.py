"""Suites: every job once, what they share once, whatever stops them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from wsseg.components.registry import registry
from wsseg.evaluation.rows import read_rows
from wsseg.suite import runner as bench
from wsseg.suite.definition import Job, load_suite, plan, suite_text
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
    """A suite's folder, finished without interruption."""
    return finished(wsseg, folder / "plain.yaml", folder / "plain")


@pytest.fixture(scope="module")
def folds(wsseg: "Wsseg", folder: Path) -> Path:
    """The same with two folds."""
    return finished(wsseg, folder / "folds.yaml", folder / "folds")


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
    """How often each stage was begun, by all logs of a suite."""
    records = [
        json.loads(line) for log in out.rglob("log.jsonl") for line in log.read_text().splitlines()
    ]
    return Counter(r["stage"] for r in records if r["event"] == "epoch" and r["epoch"] == 1)


def files(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_rows_say_method_seed_fold_and_case(folds: Path) -> None:
    header = (folds / "rows.csv").read_text().partition("\n")[0].split(",")
    assert header[:4] == ["method", "seed", "fold", "case"]
    assert {"dice", "infection.dice", "share", "tag.consolidation"} <= set(header)
    rows = read_rows(folds / "rows.csv")
    assert len(rows) == 2 * 8
    for _, own in rows.groupby("method"):
        assert sorted(own["case"]) == [f"case-{i}" for i in range(8)]
        assert set(own["fold"]) == {"0", "1"}


def test_a_job_is_a_run_of_its_own(wsseg: "Wsseg", folds: Path, tmp_path: Path) -> None:
    """A fold's run is scored on the cases it was kept from, not on the cohort's own split."""
    run = Path(shutil.copytree(folds / "em/seed-0/fold-1", tmp_path / "moved"))
    assert {path.name for path in run.iterdir()} >= {"recipe.yaml", "manifest.json", "stages"}
    before = read_rows(run / "scores.csv")
    assert wsseg("score", run).code == 0
    again = read_rows(run / "scores.csv")
    columns = ["case", "infection.dice", "infection.volume_ml"]
    pd.testing.assert_frame_equal(again[columns], before[columns])


def test_a_shared_stage_is_trained_once_a_fold(plain: Path, folds: Path) -> None:
    assert stages_trained(plain) == {"infection": 1, "consolidation": 1}
    assert stages_trained(folds) == {"infection": 2, "consolidation": 2}
    assert len(list((folds / "stages").iterdir())) == 4


def test_methods_with_a_shared_stage_agree_on_it(plain: Path) -> None:
    rows = read_rows(plain / "rows.csv").set_index("case")
    by_method = [own["infection.dice"] for _, own in rows.groupby("method")]
    pd.testing.assert_series_equal(by_method[0], by_method[1])


def test_a_second_call_only_shows_the_table_again(
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


def test_table_and_page_can_be_made_again_from_the_rows(wsseg: "Wsseg", folds: Path) -> None:
    page = (folds / "report.html").read_bytes()
    (folds / "report.html").unlink()
    ended = wsseg("bench", "report", folds)
    assert ended.code == 0
    assert "threshold" in ended.out
    assert (folds / "report.html").read_bytes() == page


def test_a_dry_run_only_tells(wsseg: "Wsseg", folder: Path, plain: Path, tmp_path: Path) -> None:
    ended = ran(wsseg, folder / "plain.yaml", tmp_path / "out", "--dry-run")
    assert ended.code == 0
    assert ended.out.endswith("  threshold/seed-0  to do\n  em/seed-0         to do\n")
    assert not (tmp_path / "out").exists()
    done = ran(wsseg, folder / "plain.yaml", plain, "--dry-run")
    assert done.out == (
        "2 jobs = 2 methods × 1 seed; 2 done, 0 to do\n"
        "  threshold/seed-0  done\n  em/seed-0         done\n"
    )


def test_one_process_at_a_time_and_a_killed_one_is_no_loss(
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
    assert (out / "rows.csv").read_bytes() == (plain / "rows.csv").read_bytes()
    assert not list(out.glob(".*")), "locks and leftovers are gone"
    assert not list(out.rglob("last"))


def test_who_asks_to_stop_stops_the_suite_not_one_job(
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
    assert (out / "rows.csv").read_bytes() == (plain / "rows.csv").read_bytes()


def test_a_stage_finished_just_before_a_crash_is_shared_all_the_same(
    wsseg: "Wsseg", folder: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(stage_training, "_copy_stage", crash)
        assert ran(wsseg, folder / "plain.yaml", tmp_path).code == 9
    finished(wsseg, folder / "plain.yaml", tmp_path)
    assert stages_trained(tmp_path) == stages_trained(plain)
    assert (tmp_path / "rows.csv").read_bytes() == (plain / "rows.csv").read_bytes()


def test_what_is_done_when_a_suite_is_killed_can_be_reported(
    wsseg: "Wsseg", folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job = bench.run_job

    def crash(job: Job, context: RunContext, accept: Collection[str]) -> None:
        if job.method == "em":
            raise SystemExit(9)
        run_job(job, context, accept)

    wsseg("bench", "report", tmp_path).refused("has no rows.csv, because no job has finished")
    with monkeypatch.context() as patch:
        patch.setattr(bench, "run_job", crash)
        assert ran(wsseg, folder / "plain.yaml", tmp_path).code == 9
    ended = wsseg("bench", "report", tmp_path)
    assert ended.code == 0, ended.err
    assert set(read_rows(tmp_path / "rows.csv")["method"]) == {"threshold"}


def test_a_metric_that_no_row_has_is_said_not_to_be_compared(
    wsseg: "Wsseg", plain: Path, tmp_path: Path
) -> None:
    shutil.copytree(plain, tmp_path / "out")
    text = (plain / "suite.yaml").read_text().replace("compare: null", "compare: COMPARE")
    suite = text.replace("COMPARE", "{baseline: em, metric: dise}")
    assert suite != text
    (tmp_path / "out/suite.yaml").write_text(suite)
    ended = wsseg("bench", "report", tmp_path / "out")
    assert ended.code == 0
    assert ended.err == "no comparison: no row has 'dise'. Did you mean 'dice'?\n"


def test_a_failing_job_is_recorded_and_the_others_go_on(
    wsseg: "Wsseg", folder: Path, plain: Path, tmp_path: Path
) -> None:
    """Here it is the baseline that fails, and the report does without the comparison."""
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
    rows = read_rows(tmp_path / "rows.csv")
    expected = read_rows(plain / "rows.csv").query("method == 'em'").reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, expected)
    assert (tmp_path / "report.html").exists()
    dry = ran(wsseg, suite, tmp_path, "--dry-run")
    assert "explodes/seed-0  failed: stage consolidation" in dry.out


def test_who_shares_a_stage_that_fails_fails_with_it_and_is_told_where(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    """The stage is tried once, not once for each of the jobs."""
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


def test_a_failed_job_is_tried_again_and_forgotten_when_it_is_done(
    wsseg: "Wsseg", folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_of(folder, "recipes: [threshold.yaml]\n")

    def broken(*_: object) -> None:
        raise ValueError("a plugin's mistake")

    with monkeypatch.context() as patch:
        patch.setattr(bench, "evaluate", broken)
        assert ran(wsseg, suite, tmp_path).code == 1
    reason = tmp_path / "threshold/seed-0/failed.txt"
    assert reason.read_text().startswith(f"ValueError: a plugin's mistake ({Path(__file__).name}:")
    assert not (tmp_path / "rows.csv").exists()
    finished(wsseg, suite, tmp_path)
    assert not reason.exists()
    assert (tmp_path / "rows.csv").exists()


def test_a_suite_without_test_cases_fails_before_it_trains(
    wsseg: "Wsseg", folder: Path, toy_cohort: Path, tmp_path: Path
) -> None:
    lines = [line.replace(",test,", ",train,") for line in toy_cohort.read_text().splitlines()]
    table = toy_cohort.with_name("all-train.csv")
    table.write_text("\n".join(lines))
    suite = suite_of(folder, f"recipes: [em.yaml]\nset: {{cohort.path: {table}}}\n")
    ended = ran(wsseg, suite, tmp_path)
    ended.refused("em/seed-0", "no case to test on")
    assert not list(tmp_path.iterdir())


def test_other_settings_do_not_go_into_a_folder_that_is_used(
    wsseg: "Wsseg", folder: Path, plain: Path
) -> None:
    before = files(plain)
    ended = ran(wsseg, suite_of(folder, METHODS + "set: {input.size: 48}\n"), plain)
    assert ended.code == 2
    assert "was run with other settings" in ended.error
    assert files(plain) == before


def test_matrix_goes_through_every_combination_where_a_recipe_has_the_key(folder: Path) -> None:
    suite = suite_of(
        folder,
        METHODS + "set: {stages.infection.epochs: 7, stages.consolidation.epochs: 9}\n"
        "matrix:\n"
        "  input.size: [32, 48]\n"
        "  stages.consolidation.prior.midpoint_hu: [-34, -144.5]\n"
        "seeds: [0, 1]\n",
    )
    jobs = plan(load_suite(suite), folder)
    assert [job.folder.as_posix() for job in jobs if job.recipe.seed == 0] == [
        "threshold,size=32/seed-0",
        "threshold,size=48/seed-0",
        "em,size=32,midpoint_hu=-34/seed-0",
        "em,size=32,midpoint_hu=-144.5/seed-0",
        "em,size=48,midpoint_hu=-34/seed-0",
        "em,size=48,midpoint_hu=-144.5/seed-0",
    ]
    assert len(jobs) == 12
    last = jobs[-1]
    assert last.method == "em size=48 midpoint_hu=-144.5"
    assert (last.recipe.seed, last.recipe.input.size) == (1, 48)
    stages = {name: stage.model_dump() for name, stage in last.recipe.stages.items()}
    assert stages["infection"]["epochs"] == 7
    assert stages["consolidation"]["epochs"] == 9
    assert "epochs" not in jobs[0].recipe.stages["consolidation"].model_dump()


def test_keys_of_one_last_word_are_told_apart(folder: Path) -> None:
    suite = suite_of(
        folder,
        "recipes: [em.yaml]\n"
        "matrix: {stages.infection.epochs: [1], stages.consolidation.epochs: [2]}\n",
    )
    (job,) = plan(load_suite(suite), folder)
    assert job.method == "em stages.infection.epochs=1 stages.consolidation.epochs=2"


def test_a_matrix_may_swap_whole_parts(folder: Path) -> None:
    suite = suite_of(
        folder,
        "recipes: [em.yaml]\n"
        "matrix: {stages.consolidation.estep: [{use: soft}, {use: adapt, share: 0.2}]}\n",
    )
    jobs = plan(load_suite(suite), folder)
    assert [job.folder.as_posix() for job in jobs] == [
        "em,estep=use_soft/seed-0",
        "em,estep=share_0.2,_use_adapt/seed-0",
    ]


def test_a_baseline_is_named_with_its_settings(wsseg: "Wsseg", folder: Path) -> None:
    text = "recipes: [em.yaml]\nmatrix: {input.size: [32, 48]}\ncompare: {baseline: 'em size=32'}\n"
    assert ran(wsseg, suite_of(folder, text), folder / "no", "--dry-run").code == 0
    ended = ran(wsseg, suite_of(folder, text.replace(" size=32'", "'")), folder / "no")
    assert ended.code == 2
    assert "possible: em size=32, em size=48" in ended.error


def test_a_list_of_recipes_is_named_by_last_parts(folder: Path) -> None:
    suite = load_suite(suite_of(folder, "recipes: [em.yaml, covid/phi2]\n"))
    assert suite.recipes == {"em": "em.yaml", "phi2": "covid/phi2"}


INLINE = """\
recipes:
  em: em.yaml
  soft:
    extends: em.yaml
    stages: {consolidation: {estep: {use: soft}, epochs: 5}}
"""


def test_a_recipe_may_be_written_in_place_on_top_of_another(folder: Path) -> None:
    em, soft = plan(load_suite(suite_of(folder, INLINE)), folder)
    described = [registry().describe(job.recipe)["stages"]["consolidation"] for job in (em, soft)]
    assert [each["estep"]["use"] for each in described] == ["hard", "soft"]
    assert [each["epochs"] for each in described] == [2, 5]
    assert (
        registry().describe(em.recipe)["stages"]["infection"]
        == (registry().describe(soft.recipe)["stages"]["infection"])
    )


def test_a_mistake_in_a_recipe_written_in_place_is_told_by_its_line(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    wrong = INLINE.replace("epochs: 5", "epoch: 5")
    ended = ran(wsseg, suite_of(folder, wrong), tmp_path / "out")
    ended.refused("own.yaml:5", "stages.consolidation.epoch: unknown key", "epochs")
    assert not (tmp_path / "out").exists()


def test_a_mistake_in_any_cell_is_told_before_the_first_job(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    text = METHODS + "matrix: {stages.consolidation.epochs: [2, -1]}\n"
    ended = ran(wsseg, suite_of(folder, text), tmp_path / "out")
    ended.refused("own.yaml:2: stages.consolidation.epochs: ", "-1")
    assert not (tmp_path / "out").exists()


def test_a_key_that_no_recipe_has_is_refused_with_the_nearest(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    for part in ("set: {stages.infection.epoch: 1}", "matrix: {stages.infection.epoch: [1]}"):
        ended = ran(wsseg, suite_of(folder, f"{METHODS}{part}\n"), tmp_path / "out")
        ended.refused("no recipe has the key", "'stages.infection.epochs'")


def test_a_matrix_may_vary_what_set_has_put_in(folder: Path) -> None:
    text = (
        "recipes: [em.yaml]\n"
        "set: {stages.consolidation.estep: {use: adapt, share: 0.1}}\n"
        "matrix: {stages.consolidation.estep.share: [0.2, 0.3]}\n"
    )
    jobs = plan(load_suite(suite_of(folder, text)), folder)
    assert [job.method for job in jobs] == ["em share=0.2", "em share=0.3"]


def test_set_reaches_a_key_that_another_of_its_values_brings(folder: Path) -> None:
    text = (
        "recipes: [em.yaml]\nset:\n  stages.consolidation.estep.share: 0.3\n"
        "  stages.consolidation.estep: {use: adapt, share: 0.1}\n"
    )
    (job,) = plan(load_suite(suite_of(folder, text)), folder)
    described = registry().describe(job.recipe)["stages"]["consolidation"]["estep"]
    assert (described["use"], described["share"]) == ("adapt", 0.3)


def test_long_values_of_a_matrix_are_told_apart_to_their_end(folder: Path) -> None:
    """YAML would wrap them after 80 letters."""
    augment = "{rotate_deg: 90, translate: 0.1, zoom: [0.9, 1.1], flip: [left-right], noise: %s}"
    values = ", ".join(augment % noise for noise in (1, 2))
    suite = suite_of(
        folder, f"recipes: [em.yaml]\nmatrix: {{stages.infection.augment: [{values}]}}\n"
    )
    one, other = plan(load_suite(suite), folder)
    assert one.method != other.method


def test_a_suites_metrics_replace_those_of_its_recipes(folder: Path) -> None:
    text = METHODS + "metrics: {overlap: {use: dice}}\n"
    for job in plan(load_suite(suite_of(folder, text)), folder):
        assert list(job.recipe.metrics) == ["overlap"]
    for job in plan(load_suite(suite_of(folder, METHODS)), folder):
        assert "hd95" in job.recipe.metrics


def test_a_suite_may_extend_another(folder: Path) -> None:
    suite = load_suite(suite_of(folder, "extends: folds.yaml\nseeds: [0, 1, 2]\n"))
    assert suite.folds == 2
    assert suite.seeds == (0, 1, 2)
    again = folder / "again.yaml"
    again.write_text(suite_text(suite))
    assert load_suite(again) == suite
