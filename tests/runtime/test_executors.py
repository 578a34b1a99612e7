"""Tests of executors: results, threads, and workers that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wsseg.errors import InputError, WorkError
from wsseg.runtime.executors import (
    Cluster,
    Processes,
    ThisProcess,
    WorkerDiedError,
    Workers,
    open_workers,
)


def square(number: int) -> int:
    return number * number


def process(_: int) -> int:
    return os.getpid()


def threads(_: int) -> int:
    import torch

    return torch.get_num_threads()


def die_once(flag: Path) -> str:
    """Kill this process if the flag file exists, after deleting the file."""
    if flag.exists():
        flag.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return flag.name


def die_always(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [ThisProcess(), Processes(2)], ids=lambda w: type(w).__name__)
def test_each_item_is_returned_with_its_result(workers: Workers) -> None:
    assert dict(workers.imap_unordered(square, range(5))) == {0: 0, 1: 1, 2: 4, 3: 9, 4: 16}
    assert list(workers.imap_unordered(square, [])) == []


def test_one_job_runs_in_this_process_and_several_run_in_others() -> None:
    for jobs, here in ((None, True), (1, True), (2, False)):
        with open_workers(jobs=jobs) as workers:
            [(_, pid)] = workers.imap_unordered(process, [0])
        assert (pid == os.getpid()) is here


def test_each_process_uses_the_requested_number_of_threads() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        for workers in (ThisProcess(2), Processes(2, threads=2)):
            assert [found for _, found in workers.imap_unordered(threads, [0, 1])] == [2, 2]
    finally:
        torch.set_num_threads(before)


def test_the_items_of_a_killed_worker_are_repeated(tmp_path: Path) -> None:
    flags = [tmp_path / name for name in "abcde"]
    flags[2].touch()
    ended = dict(Processes(2).imap_unordered(die_once, flags))
    assert ended == {flag: flag.name for flag in flags}


def test_an_item_that_kills_its_worker_fails_alone() -> None:
    ended = dict(Processes(2).imap_unordered(die_always, range(5)))
    assert isinstance(ended.pop(1), WorkerDiedError)
    assert ended == {0: 0, 2: 2, 3: 3, 4: 4}


kept: list[bytes] = []


def keep_memory(mebibytes: int) -> int:
    """Keep memory for so long that loky, which looks at it once a second, replaces this worker."""
    kept.append(b"x" * (mebibytes << 20))
    time.sleep(1.1)
    return mebibytes


@pytest.mark.slow
def test_workers_that_keep_memory_are_replaced_without_a_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    sizes = [*range(4), *range(400, 404)]
    assert len(list(Processes(2).imap_unordered(keep_memory, sizes))) == len(sizes)
    assert [str(each.message) for each in recwarn] == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_idle_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    text = (
        "import os, signal, sys, time; from wsseg.runtime.executors import Processes; "
        "sys.path.append(sys.argv[1]); from idle import pid; "
        "print([found for _, found in Processes(2).imap_unordered(pid, range(1))], flush=True); "
        "time.sleep(60)"
    )
    (tmp_path / "idle.py").write_text("import os\ndef pid(_): return os.getpid()\n")
    command = [sys.executable, "-c", text, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[1:]])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        [worker] = json.loads(process.stdout.readline())
        task = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = [int(word) for word in task.read_text().split()]
        process.kill()
    assert worker in children
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"backend": "dask"}, "needs --scheduler"),
        ({"scheduler": "tcp://x:1"}, "add --backend dask"),
        (
            {"backend": "dask", "scheduler": "tcp://x:1", "jobs": 2},
            "--jobs works only with --backend loky",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    words: dict[str, object], text: str
) -> None:
    with pytest.raises(InputError, match=text), open_workers(**words):  # type: ignore[arg-type]
        pass


class ClosingClient:
    """A Dask client whose connection to the scheduler closes while it fetches a result."""

    loop = None

    def __init__(self) -> None:
        self.cancelled: list[ClosingClient] = []

    def submit(self, *_: object, pure: bool) -> "ClosingClient":
        assert not pure
        return self

    def result(self) -> None:
        from distributed.comm.core import CommClosedError

        raise CommClosedError("in <TCP (closed) ConnectionPool.gather>: Stream is closed")

    def cancel(self, futures: "list[ClosingClient]") -> None:
        self.cancelled += futures


def test_a_connection_that_closes_while_a_result_is_fetched_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("distributed", reason="needs the extra dask")
    monkeypatch.setattr("distributed.as_completed", lambda futures, **_: iter(futures))
    client = ClosingClient()
    with pytest.raises(WorkError, match="connection to the Dask scheduler was lost"):
        list(Cluster(client).imap_unordered(square, [3]))
    assert client.cancelled == [client]
