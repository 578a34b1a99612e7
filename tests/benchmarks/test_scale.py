"""The benchmark of many jobs and many cases: its suite, its faults, and the committed page."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import cast

import pytest

from benchmarks.pages import read_rows
from benchmarks.scale.__main__ import PAGE, ROWS
from benchmarks.scale.cases import CACHE, disk_bytes
from benchmarks.scale.cohort import write_scans, write_table
from benchmarks.scale.dask_cluster import DaskCluster
from benchmarks.scale.faults import (
    Fault,
    FullDisk,
    KilledWorkers,
    RestartedScheduler,
    Situation,
    TwoCommands,
    Undisturbed,
)
from benchmarks.scale.jobs import CpuTime, TimeOfJobs
from benchmarks.scale.page import page
from benchmarks.scale.rows import Row
from benchmarks.scale.suite import finished_jobs, results, write_suite
from wsseg.components.cohorts import Table
from wsseg.runtime.folder_lock import lock_folder
from wsseg.suite.definition import load_suite, plan


def rows(part: str, name: str, values: dict[str, float]) -> list[Row]:
    origin = ("0123abcd", "2026-11-27", "M", "V")
    return [Row(part, name, quantity, value, *origin) for quantity, value in values.items()]


def suite_rows(name: str, equal: float = 480, overhead: float = 0.03) -> list[Row]:
    counts = {"jobs": 60, "faults": 1, "commands": 2, "seconds": 120}
    return rows("jobs", name, {**counts, "overhead": overhead, "rows": 480, "equal rows": equal})


def cohort_rows(cpu_s: Callable[[int], float], peak_mb: float = 3) -> list[Row]:
    found = rows(
        "cases",
        CACHE,
        {"without a limit, MB": 12, "limit, MB": 3, "peak with the limit, MB": peak_mb},
    )
    for cases in (1000, 2500, 5000, 10_000):
        cost = {"seconds": 2 * cpu_s(cases), "cpu_s": cpu_s(cases), "peak_mib": 400}
        found += rows("cases", f"data check, again, {cases} cases", cost)
    return found


def test_a_suite_has_at_least_the_wanted_number_of_jobs(tmp_path: Path) -> None:
    for wanted, jobs in ((60, 60), (21, 40), (6, 8)):
        assert len(plan(load_suite(write_suite(tmp_path, wanted)), tmp_path)) == jobs


def test_results_leave_out_what_differs_between_equal_runs(tmp_path: Path) -> None:
    for name, when in (("a", "2026-11-26"), ("b", "2026-11-27")):
        text = f"case,dice,run.date,run.health,run.fingerprint\nx,0.1,{when},,f\n"
        (tmp_path / name).write_text(text)
    expected = {"case": "x", "dice": "0.1", "run.health": "", "run.fingerprint": "f"}
    assert results(tmp_path / "a") == results(tmp_path / "b") == [expected]


def test_a_simulated_cohort_has_masks_and_tags_that_agree(tmp_path: Path) -> None:
    write_scans(tmp_path / "scans", 10)
    table = write_table(tmp_path / "scans", 6).with_suffix(".csv")
    cases = Table(path=table).cases()
    assert [case.split for case in cases] == ["test", *["train"] * 4, "test"]
    assert [case.tags["lesion"] for case in cases] == [False, True] * 3
    assert disk_bytes(tmp_path / "scans") >= 20 * 352


@dataclass
class Cluster:
    """Notes what is killed and started."""

    events: list[str] = field(default_factory=list)

    def kill_worker(self, random: Random) -> None:
        random.random()
        self.events.append("worker killed")

    def kill_scheduler(self) -> None:
        self.events.append("scheduler killed")

    def stop(self) -> None:
        self.events.append("stopped")

    def start(self) -> None:
        self.events.append("started")


def situation(out: Path, finished: int, cluster: Cluster) -> Situation:
    def refused() -> "subprocess.Popen[bytes]":
        text = "import sys; print('process 1 is using this folder'); sys.exit(2)"
        return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)

    return Situation(cast("DaskCluster", cluster), out, 60, finished, refused)


def test_the_scheduler_is_killed_once_after_a_third_of_the_jobs(tmp_path: Path) -> None:
    fault, cluster = RestartedScheduler(), Cluster()
    for finished in (0, 19, 20, 21):
        fault.disturb(situation(tmp_path, finished, cluster))
    assert cluster.events == ["scheduler killed"]
    fault.repair(situation(tmp_path, 21, cluster))
    assert cluster.events[1:] == ["stopped", "started"]


def test_workers_are_killed_only_after_a_run_has_started(tmp_path: Path) -> None:
    fault, cluster = KilledWorkers(), Cluster()
    fault.prepare(tmp_path, Undisturbed(seconds=1e-9, disk_bytes=0))
    for _ in range(3):
        fault.disturb(situation(tmp_path, 0, cluster))
    assert fault.count == 0
    log = tmp_path / "em/seed-0/fold-0/log.jsonl"
    log.parent.mkdir(parents=True)
    log.touch()
    for _ in range(3):
        fault.disturb(situation(tmp_path, 0, cluster))
    assert fault.count == len(cluster.events) == 2
    assert finished_jobs(tmp_path) == 0


def test_the_fault_of_two_commands_requires_that_the_second_one_is_refused(tmp_path: Path) -> None:
    fault, cluster = TwoCommands(), Cluster()
    fault.disturb(situation(tmp_path, 0, cluster))
    assert fault.count == 0, "the first command has not locked the folder"
    with lock_folder(tmp_path):
        for finished in (0, 1, 30, 31):
            fault.disturb(situation(tmp_path, finished, cluster))
    assert fault.count == 2
    fault.check()
    accepted = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    with pytest.raises(RuntimeError, match="not refused"):
        TwoCommands(_others=[accepted]).check()


def test_a_trial_whose_disk_was_never_full_raises_an_error() -> None:
    with pytest.raises(RuntimeError, match="not full"):
        FullDisk().check()
    Fault().check()


def test_cpu_time_is_counted_from_the_first_to_the_last_finished_job() -> None:
    time = TimeOfJobs()
    for seconds, finished in ((1.0, 0), (5.0, 0), (6.0, 1), (7.0, 1), (8.5, 3), (11.0, 3)):
        time.update(finished, CpuTime(seconds, 2 * seconds, 47 * seconds))
    assert time.cpu == CpuTime(2.5, 5.0, 117.5)  # 8.5 - 6.0 seconds, and its multiples
    assert time.cpu.overhead == 3 / 50


def test_the_page_says_which_requirements_are_met() -> None:
    text = page([*suite_rows("undisturbed"), *suite_rows("slow disk")])
    assert "| slow disk | 60 | 1 | 2 | 120 | 2.0 | 3.0 % | 480 of 480 |" in text
    assert text.count("(met)") == 2
    assert "under each fault (**not met**)" in page(
        [*suite_rows("undisturbed"), *suite_rows("slow disk", equal=479)]
    )
    assert "at most 5 % (**not met**)" in page(suite_rows("undisturbed", overhead=0.06))


def test_a_fault_that_a_machine_does_not_allow_has_its_reason_in_the_table() -> None:
    why = rows("jobs", "full disk", {"not measured: it needs the rights of root": 0})
    text = page([*suite_rows("undisturbed"), *why])
    assert "| full disk |  |  |  |  |  |  | not measured: it needs the rights of root |" in text
    assert text.count("(met)") == 2
    failed = rows("jobs", "full disk", {"failed: the disk was not full": 0})
    assert "under each fault (**not met**)" in page([*suite_rows("undisturbed"), *failed])


def test_growth_is_linear_if_more_cases_cost_the_same_each() -> None:
    text = page(cohort_rows(lambda cases: 6 + 0.002 * cases))
    assert "| data check, again | 2,500 | 22 | 11 | 2.00 | 400 |" in text
    assert text.count("(met)") == 3
    quadratic = page(cohort_rows(lambda cases: 6 + 1e-6 * cases**2))
    assert "from the smallest on (**not met**)" in quadratic
    assert "they have bytes (**not met**)" in page(cohort_rows(float, peak_mb=3.7))


def test_an_estimate_is_compared_with_the_time_of_all_epochs() -> None:
    size = {"cases": 20, "slices": 12, "epochs": 12, "pixels": 64, "slices/s": 100}
    for real_s, verdict in ((25.0, "+15 %"), (20.0, "+44 %")):
        seconds = {"estimated seconds": 28.8, "seconds of epochs": real_s, "seconds of command": 40}
        text = page(rows("estimate", "small", {**size, **seconds}))
        line = (
            f"| small, 64 × 64 pixels | 20 | 12 | 12 | 100 | 28.8 | {real_s} | {verdict} | 40.0 |"
        )
        assert line in text
        assert ("(met)" in text) is (verdict == "+15 %")


def test_the_page_is_made_from_the_committed_rows() -> None:
    text = page(read_rows(ROWS, Row))
    assert PAGE.read_text(encoding="utf-8") == text, "run: python -m benchmarks.scale --page"
