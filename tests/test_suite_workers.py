"""Suites run by several workers give the same rows, also if workers are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.suite_rows import Rows, results

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SUITE = """\
recipes:
  hard: em.yaml
  soft: {extends: em.yaml, stages: {consolidation: {estep: {use: soft}}}}
  adapt: {extends: em.yaml, stages: {consolidation: {estep: {use: adapt, share: 0.2}}}}
"""
LONG = "set: {stages.consolidation.epochs: 12}\n"
TIME_LIMIT_S = 180


@pytest.fixture(scope="module")
def folder(toy_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suites")
    (folder / "em.yaml").write_text(toy_text)
    (folder / "short.yaml").write_text(SUITE)
    (folder / "long.yaml").write_text(SUITE + LONG)
    return folder


def rows_in_this_process(wsseg: "Wsseg", suite: Path) -> Rows:
    """The rows of a suite that runs without interruption in one thread."""
    import torch

    before, out = torch.get_num_threads(), suite.with_suffix("")
    try:
        ended = wsseg("bench", "run", suite, "--out", out, "--threads", 1)
    finally:
        torch.set_num_threads(before)
    assert ended.code == 0, ended.err
    return results(out / "rows.csv")


@pytest.fixture(scope="module")
def short_rows(wsseg: "Wsseg", folder: Path) -> Rows:
    return rows_in_this_process(wsseg, folder / "short.yaml")


@pytest.fixture(scope="module")
def long_rows(wsseg: "Wsseg", folder: Path) -> Rows:
    return rows_in_this_process(wsseg, folder / "long.yaml")


@contextmanager
def started(*words: object) -> Iterator["subprocess.Popen[str]"]:
    """Start a process in a process group of its own, and kill the group after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until(
    true: Callable[[], object], what: str, process: "subprocess.Popen[str] | None" = None
) -> None:
    """Wait until a condition is true; fail after a time limit, or if the process ends first."""
    deadline = time.monotonic() + TIME_LIMIT_S
    while not true():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def second_stages(out: Path) -> list[Path]:
    """The jobs that are training their second stage."""
    return [
        log.parent
        for log in out.rglob("log.jsonl")
        if '"consolidation"' in log.read_text() and not (log.parent / "scores.csv").exists()
    ]


def children(process: int) -> list[int]:
    """The child processes of a process, and theirs."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    own = [int(word) for word in text.split()]
    return own + [each for child in own for each in children(child)]


def workers_of(process: int) -> list[int]:
    """The worker processes of a suite, without joblib's resource trackers."""
    found = []
    for child in children(process):
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
        if b"joblib.externals.loky.backend.popen_loky_posix" in command and parent == process:
            found.append(child)
    return found


def alive(process: int) -> bool:
    """Return whether a process runs and is not a zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.slow
def test_two_jobs_at_a_time_give_the_same_rows_as_one(
    wsseg: "Wsseg", folder: Path, short_rows: Rows, tmp_path: Path
) -> None:
    words = ("--jobs", 2, "--threads", 1)
    ended = wsseg("bench", "run", folder / "short.yaml", "--out", tmp_path, *words)
    assert ended.code == 0, ended.err
    assert results(tmp_path / "rows.csv") == short_rows
    lines = [line for line in ended.err.splitlines() if line.startswith("[")]
    assert lines[0].startswith("[1/4] hard/seed-0: infection, for 3 jobs  (")
    assert [line[:5] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert len(list((tmp_path / "stages").iterdir())) == 4


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the workers in /proc")
@pytest.mark.parametrize("whom", ["a worker", "all"])
def test_no_row_is_lost_if_a_worker_or_all_processes_are_killed(
    wsseg: "Wsseg", folder: Path, long_rows: Rows, tmp_path: Path, whom: str
) -> None:
    """The suite replaces a killed worker; if all are killed, the same command continues."""
    words = ("bench", "run", folder / "long.yaml", "--out", tmp_path, "--jobs", 2, "--threads", 1)
    with started("wsseg", *words) as process:
        until(lambda: second_stages(tmp_path), "no second stage was started", process)
        workers = workers_of(process.pid)
        assert len(workers) == 2
        if whom == "all":
            process.kill()
            process.wait()
            until(lambda: not any(map(alive, workers)), "workers continue without their suite")
        else:
            os.kill(workers[0], signal.SIGKILL)
            output, _ = process.communicate(timeout=TIME_LIMIT_S)
            assert process.returncode == 0, output
    ended = wsseg(*words)
    assert ended.code == 0, ended.err
    assert results(tmp_path / "rows.csv") == long_rows


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the workers in /proc")
def test_ctrl_c_stops_all_workers_and_the_message_explains_how_to_continue(
    wsseg: "Wsseg", folder: Path, long_rows: Rows, tmp_path: Path
) -> None:
    words = ("bench", "run", folder / "long.yaml", "--out", tmp_path, "--jobs", 2, "--threads", 1)
    with started("wsseg", *words) as process:
        until(lambda: second_stages(tmp_path), "no second stage was started", process)
        workers = workers_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=TIME_LIMIT_S)
    assert process.returncode == 1, output
    assert output.rstrip().endswith("To continue, run the same command again"), output
    assert "Traceback" not in output
    until(lambda: not any(map(alive, workers)), "workers outlive the suite")
    assert wsseg(*words).code == 0
    assert results(tmp_path / "rows.csv") == long_rows


@dataclass(frozen=True)
class DaskCluster:
    """A Dask scheduler and its workers on this machine."""

    address: str
    scheduler: "subprocess.Popen[str]"
    workers: tuple["subprocess.Popen[str]", ...]

    @property
    def options(self) -> tuple[object, ...]:
        """The options of a command that uses the cluster."""
        return ("--backend", "dask", "--scheduler", self.address, "--threads", 1)


@contextmanager
def cluster(folder: Path) -> Iterator[DaskCluster]:
    """Start a Dask scheduler and two workers with one thread each."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)  # of an earlier cluster
    here = ("--host", "127.0.0.1", "--no-dashboard")
    words = (*here, "--port", 0, "--scheduler-file", file)
    with started("distributed.cli.dask_scheduler", *words) as scheduler:
        until(file.exists, "no scheduler")
        about = ("--scheduler-file", file, "--local-directory", folder / "dask", *here[2:])
        one = ("distributed.cli.dask_worker", *about, "--no-nanny", "--nthreads", 1)
        with started(*one) as first, started(*one) as second:
            address = json.loads(file.read_text())["address"]
            yield DaskCluster(address, scheduler, (first, second))


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_during_a_job_gives_the_same_rows(
    folder: Path, long_rows: Rows, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    out = tmp_path / "out"
    words = ("wsseg", "bench", "run", folder / "long.yaml", "--out", out)
    with cluster(tmp_path) as dask:
        with started(*words, *dask.options) as process:
            until(lambda: len(second_stages(out)) == 2, "two second stages", process)
            dask.workers[0].kill()
            output, _ = process.communicate(timeout=TIME_LIMIT_S)
        assert process.returncode == 0, output
        assert dask.workers[1].poll() is None
    assert results(out / "rows.csv") == long_rows


@pytest.mark.slow
def test_a_suite_whose_dask_scheduler_ends_stops_with_one_error_and_continues_on_another(
    folder: Path, short_rows: Rows, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    out = tmp_path / "out"
    words = ("wsseg", "bench", "run", folder / "short.yaml", "--out", out)
    with cluster(tmp_path) as dask, started(*words, *dask.options) as process:
        until(lambda: list(out.rglob("log.jsonl")), "no stage was started", process)
        dask.scheduler.kill()
        output, _ = process.communicate(timeout=TIME_LIMIT_S)
    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert output.rstrip().endswith("then run the same command again"), output
    with cluster(tmp_path) as dask, started(*words, *dask.options) as process:
        output, _ = process.communicate(timeout=TIME_LIMIT_S)
    assert process.returncode == 0, output
    assert results(out / "rows.csv") == short_rows


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_refused_by_its_address(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    words = ("--backend", "dask", "--scheduler", "tcp://127.0.0.1:9")
    ended = wsseg("bench", "run", folder / "short.yaml", "--out", tmp_path / "out", *words)
    ended.refused("--scheduler tcp://127.0.0.1:9", "no Dask scheduler answers")
    assert not (tmp_path / "out").exists()
