"""Launches a command in several processes on this machine, as `torchrun` does."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from wsseg.errors import WorkError

LAUNCHER = "WSSEG_LAUNCHER"  # environment variable of launched processes: the launcher's ID
POLL_S = 0.1
POLL_PARENT_S = 1
GRACE_S = 30.0  # after one process has failed: time for the others to report it and exit
FORWARDED = (signal.SIGINT, signal.SIGTERM)


def launch(processes: int) -> int:
    """Run this command in several processes; return the exit code of the first, the leader.

    Signals are forwarded to all processes.

    Raises:
        WorkError: A process was killed, and the leader could not report it.
    """
    command = [sys.executable, "-m", "wsseg", *sys.argv[1:]]
    command += ["--debug"] if "--debug" in sys.orig_argv else []
    port, started = _free_port(), list[subprocess.Popen[bytes]]()
    try:
        with _forwarding_signals(started):
            for rank in range(processes):
                environment = os.environ | _environment(rank, processes, port)
                process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - this command
                started.append(process)
            codes = _exit_codes(started)
    finally:
        for process in started:
            process.kill()
            process.wait()
    first = codes[0]
    if first is not None and first >= 0 and None not in codes:
        return first
    raise WorkError(_failure(codes))


def exit_with_launcher(environment: Mapping[str, str] = os.environ) -> None:
    """End this process when its launcher ends, even if the launcher was killed."""
    if LAUNCHER in environment:
        exit_with_parent(int(environment[LAUNCHER]))


def exit_with_parent(parent: int) -> None:
    """End this process when its parent process, with the ID `parent`, has ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_PARENT_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _environment(rank: int, processes: int, port: int) -> dict[str, str]:
    """Return the variables that torchrun sets on a single machine, and the launcher's ID."""
    own, total = str(rank), str(processes)
    ranks = {"RANK": own, "LOCAL_RANK": own, "GROUP_RANK": "0"}
    sizes = {"WORLD_SIZE": total, "LOCAL_WORLD_SIZE": total}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return ranks | sizes | address | {LAUNCHER: str(os.getpid())}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _forwarding_signals(started: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Forward signals to processes; as these have their own sessions, none receives one twice."""

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's form
        for process in started:
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_codes(started: Sequence[subprocess.Popen[bytes]]) -> list[int | None]:
    """Wait for the processes; return their exit codes, None for each that does not end in time."""
    deadline = float("inf")
    while None in (codes := [process.poll() for process in started]):
        if any(codes):
            deadline = min(deadline, time.monotonic() + GRACE_S)
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    return codes


def _failure(codes: Sequence[int | None]) -> str:
    """Return a message about the process that failed; those with None only waited for it."""
    rank, code = next((i, code) for i, code in enumerate(codes) if code)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
    return (
        f"process {rank} of the {len(codes)} training processes {how}; possibly out of memory.\n"
        "The last saved state is kept; continue with the same command and --resume"
    )
