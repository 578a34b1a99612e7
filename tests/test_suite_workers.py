"""Suites by several workers: the same rows, also when one of them, or all, are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Wsseg

SUITE = """\
recipes:
  hard: em.yaml
  soft: {extends: em.yaml, stages: {consolidation: {estep: {use: soft}}}}
  adapt: {extends: em.yaml, stages: {consolidation: {estep: {use: adapt, share: 0.2}}}}
"""
LONG = "set: {stages.consolidation.epochs: 12}\n"
PATIENCE_S = 180


@pytest.fixture(scope="module")
def folder(toy_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suites")
    (folder / "em.yaml").write_text(toy_text)
    (folder / "short.yaml").write_text(SUITE)
    (folder / "long.yaml").write_text(SUITE + LONG)
    return folder


def rows_in_this_process(wsseg: "Wsseg", suite: Path) -> bytes:
    """The rows of a suite that nobody disturbs, with one thread."""
    import torch

    before, out = torch.get_num_threads(), suite.with_suffix("")
    try:
        ended = wsseg("bench", "run", suite, "--out", out, "--threads", 1)
    finally:
        torch.set_num_threads(before)
    assert ended.code == 0, ended.err
    return (out / "rows.csv").read_bytes()


@pytest.fixture(scope="module")
def short_rows(wsseg: "Wsseg", folder: Path) -> bytes:
    return rows_in_this_process(wsseg, folder / "short.yaml")


@pytest.fixture(scope="module")
def long_rows(wsseg: "Wsseg", folder: Path) -> bytes:
    return rows_in_this_process(wsseg, folder / "long.yaml")


@contextmanager
def begun(*words: object) -> Iterator["subprocess.Popen[str]"]:
    """A process of its own group, as a terminal would start it; it does not outlive the test."""
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
    """Wait for something, in vain if the process ends that should bring it about."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def second_stages(out: Path) -> list[Path]:
    """The jobs in which the second stage is under way."""
    return [
        log.parent
        for log in out.rglob("log.jsonl")
        if '"consolidation"' in log.read_text() and not (log.parent / "scores.csv").exists()
    ]


def children(process: int) -> list[int]:
    """The processes that a process has begun, and those of these."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    own = [int(word) for word in text.split()]
    return own + [each for child in own for each in children(child)]


def workers_of(process: int) -> list[int]:
    """The processes in which a suite's jobs run: joblib's own, not their trackers."""
    found = []
    for child in children(process):
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
        if b"joblib.externals.loky.backend.popen_loky_posix" in command and parent == process:
            found.append(child)
    return found


def alive(process: int) -> bool:
    """Whether a process runs, and is not only waiting to be forgotten."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_two_jobs_at_a_time_give_the_rows_of_one_at_a_time(
    wsseg: "Wsseg", folder: Path, short_rows: bytes, tmp_path: Path
) -> None:
    words = ("--jobs", 2, "--threads", 1)
    ended = wsseg("bench", "run", folder / "short.yaml", "--out", tmp_path, *words)
    assert ended.code == 0, ended.err
    assert (tmp_path / "rows.csv").read_bytes() == short_rows
    lines = [line for line in ended.err.splitlines() if line.startswith("[")]
    assert lines[0].startswith("[1/4] hard/seed-0: infection, for 3 jobs  (")
    assert [line[:5] for line in lines] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert len(list((tmp_path / "stages").iterdir())) == 4


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the workers in /proc")
@pytest.mark.parametrize("whom", ["a worker", "all"])
def test_a_kill_costs_time_and_no_row(
    wsseg: "Wsseg", folder: Path, long_rows: bytes, tmp_path: Path, whom: str
) -> None:
    """Where all is killed, the same command goes on; where a worker, the suite itself does."""
    words = ("bench", "run", folder / "long.yaml", "--out", tmp_path, "--jobs", 2, "--threads", 1)
    with begun("wsseg", *words) as process:
        until(lambda: second_stages(tmp_path), "no second stage was begun", process)
        workers = workers_of(process.pid)
        assert len(workers) == 2
        if whom == "all":
            process.kill()
            process.wait()
            until(lambda: not any(map(alive, workers)), "workers without a suite go on")
        else:
            os.kill(workers[0], signal.SIGKILL)
            output, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, output
    ended = wsseg(*words)
    assert ended.code == 0, ended.err
    assert (tmp_path / "rows.csv").read_bytes() == long_rows


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the workers in /proc")
def test_ctrl_c_stops_all_workers_and_says_how_to_go_on(
    wsseg: "Wsseg", folder: Path, long_rows: bytes, tmp_path: Path
) -> None:
    words = ("bench", "run", folder / "long.yaml", "--out", tmp_path, "--jobs", 2, "--threads", 1)
    with begun("wsseg", *words) as process:
        until(lambda: second_stages(tmp_path), "no second stage was begun", process)
        workers = workers_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, output
    assert output.rstrip().endswith("To continue, run the same command again"), output
    assert "Traceback" not in output
    until(lambda: not any(map(alive, workers)), "workers outlive the suite")
    assert wsseg(*words).code == 0
    assert (tmp_path / "rows.csv").read_bytes() == long_rows


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list["subprocess.Popen[str]"]]]:
    """A Dask scheduler and two workers of one thread, each a process, on this machine."""
    file = folder / "scheduler.json"
    here = ("--host", "127.0.0.1", "--no-dashboard")
    with begun("distributed.cli.dask_scheduler", *here, "--port", 0, "--scheduler-file", file):
        until(file.exists, "no scheduler")
        about = ("--scheduler-file", file, "--local-directory", folder / "dask", *here[2:])
        one = ("distributed.cli.dask_worker", *about, "--no-nanny", "--nthreads", 1)
        with begun(*one) as first, begun(*one) as second:
            import json

            yield json.loads(file.read_text())["address"], [first, second]


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_in_mid_job_gives_the_same_rows(
    folder: Path, long_rows: bytes, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    out = tmp_path / "out"
    with cluster(tmp_path) as (address, workers):
        how = ("--backend", "dask", "--scheduler", address, "--threads", 1)
        with begun("wsseg", "bench", "run", folder / "long.yaml", "--out", out, *how) as process:
            until(lambda: len(second_stages(out)) == 2, "two second stages", process)
            workers[0].kill()
            output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, output
        assert workers[1].poll() is None
    assert (out / "rows.csv").read_bytes() == long_rows


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_named(
    wsseg: "Wsseg", folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    words = ("--backend", "dask", "--scheduler", "tcp://127.0.0.1:9")
    ended = wsseg("bench", "run", folder / "short.yaml", "--out", tmp_path / "out", *words)
    ended.refused("--scheduler tcp://127.0.0.1:9", "no Dask scheduler answers")
    assert not (tmp_path / "out").exists()
