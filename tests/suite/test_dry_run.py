"""The printed plan of a suite, and its estimated duration."""

from dataclasses import replace
from pathlib import Path

import pytest

from wsseg.inference.folders import RunFolder
from wsseg.suite.definition import Job, load_suite, plan
from wsseg.suite.dry_run import DurationEstimate, plan_lines
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.timings import (
    FILE,
    epoch_kind,
    machine,
    measured_durations,
    record_durations,
    scoring_kind,
)

SUITE = """\
recipes: {em: em.yaml, soft: {extends: em.yaml, stages: {consolidation: {estep: {use: soft}}}}}
seeds: [0, 1]
"""
NOWHERE = SuiteFolder(Path("nowhere"))


@pytest.fixture
def jobs(toy_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Two methods with two seeds; infection has 3 epochs, consolidation 2."""
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "em.yaml").write_text(toy_text)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return plan(load_suite(tmp_path / "suite.yaml"), tmp_path)


def measured(job: Job) -> dict[str, float]:
    return {
        epoch_kind(job, "infection"): 20,
        epoch_kind(job, "consolidation"): 10,
        scoring_kind(job): 5,
    }


def test_the_estimate_is_the_time_of_all_epochs_divided_among_parallel_jobs(
    jobs: list[Job],
) -> None:
    """2 × 3 × 20 s + 4 × (2 × 10 + 5) s = 220 s; two at a time 110 s, all at once 60 + 25 s."""
    for at_once, text in ((1, "about 4 min with 1 job "), (2, "about 2 min"), (9, "about 1 min")):
        lines = list(plan_lines(jobs, NOWHERE, DurationEstimate(at_once, measured(jobs[0]))))
        [time] = [line for line in lines if line.startswith("time:")]
        assert text in time
    assert "  phase 1: infection ×2, for 4 jobs, about 1 min" in lines
    assert "  phase 2: consolidation ×4, then scoring ×4, about 25 s" in lines


def test_the_total_time_is_unknown_if_some_work_was_never_measured(jobs: list[Job]) -> None:
    known = measured(jobs[0])
    del known[epoch_kind(jobs[0], "consolidation")]
    lines = list(plan_lines(jobs, NOWHERE, DurationEstimate(1, known)))
    assert any(line.startswith("time: unknown") for line in lines)
    assert "  phase 1: infection ×2, for 4 jobs, about 2 min" in lines
    assert "  phase 2: consolidation ×4, then scoring ×4" in lines


def test_work_of_the_same_kind_has_the_same_data_backbone_and_batch_size(jobs: list[Job]) -> None:
    em, soft = jobs[0], jobs[-1]
    assert epoch_kind(em, "consolidation") == epoch_kind(soft, "consolidation")
    assert epoch_kind(em, "consolidation") != epoch_kind(em, "infection")
    larger = em.recipe.input.model_copy(update={"size": 64})
    wide = replace(em, recipe=em.recipe.model_copy(update={"input": larger}))
    assert epoch_kind(wide, "infection") != epoch_kind(em, "infection")
    assert scoring_kind(wide) != scoring_kind(em) == scoring_kind(soft)


def test_durations_are_medians_of_the_newest_measurements_on_this_machine(
    jobs: list[Job], tmp_path: Path
) -> None:
    import torch

    here = machine(torch.get_num_threads())
    assert measured_durations(here) == {}
    run = tmp_path / "run"
    run.mkdir()
    line = '{"event": "epoch", "stage": "infection", "epoch": 1, "epochs": 3, "seconds": %d}\n'
    (run / "log.jsonl").write_text("".join(line % seconds for seconds in (9, 2, 1)))
    record_durations(jobs[0], RunFolder(run))
    assert measured_durations(here) == {epoch_kind(jobs[0], "infection"): 2}
    (run / "times.json").write_text('{"train_s": 3, "test_s": 7, "cases": 2}')
    record_durations(jobs[0], RunFolder(run))
    assert measured_durations(here)[scoring_kind(jobs[0])] == 7
    assert measured_durations("elsewhere") == {}
    with (tmp_path / "cache" / FILE).open("a") as file:
        file.write('{"kind": "cut sho')
    assert measured_durations(here)[scoring_kind(jobs[0])] == 7


def test_durations_that_cannot_be_stored_are_left_out(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk after the last file of a job was written must not fail the job."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "file"))
    (tmp_path / "times.json").write_text('{"train_s": 3, "test_s": 7, "cases": 2}')
    record_durations(jobs[0], RunFolder(tmp_path))
