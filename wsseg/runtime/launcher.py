"""Begins a command several times on this machine, as `torchrun` does, and sees to its end."""

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

LAUNCHER = "WSSEG_LAUNCHER"  # in a begun process's environment: who began it
LOOK_S = 0.1  # between two looks at the processes
LOOK_AT_PARENT_S = 1
GRACE_S = 30.0  # for the others, once one has failed: to say why, and to end
PASSED_ON = (signal.SIGINT, signal.SIGTERM)


def launch(processes: int) -> int:
    """Run this command in so many processes; return the exit code of the first, which speaks.

    Signals are passed on to all of them.

    Raises:
        WorkError: One was killed, and the first could not tell.
    """
    words = [sys.executable, "-m", "wsseg", *sys.argv[1:]]
    words += ["--debug"] if "--debug" in sys.orig_argv else []
    port, begun = _free_port(), list[subprocess.Popen[bytes]]()
    try:
        with _passing_on(begun):
            for rank in range(processes):
                environment = os.environ | _told(rank, processes, port)
                process = subprocess.Popen(words, env=environment, start_new_session=True)  # noqa: S603 - this command
                begun.append(process)
            codes = _ended(begun)
    finally:
        for process in begun:
            process.kill()
            process.wait()
    first = codes[0]
    if first is not None and first >= 0 and None not in codes:
        return first
    raise WorkError(_lost(codes))


def exit_with_launcher(environment: Mapping[str, str] = os.environ) -> None:
    """See to it that this process, if `launch` began it, does not outlive who may be killed."""
    if LAUNCHER in environment:
        exit_with_parent(int(environment[LAUNCHER]))


def exit_with_parent(parent: int) -> None:
    """See to it that this process does not outlive `parent`, who began it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_AT_PARENT_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _told(rank: int, processes: int, port: int) -> dict[str, str]:
    """Return what torchrun would tell a process of one machine, and who began it."""
    number, all_ = str(rank), str(processes)
    numbers = {"RANK": number, "LOCAL_RANK": number, "GROUP_RANK": "0"}
    sizes = {"WORLD_SIZE": all_, "LOCAL_WORLD_SIZE": all_}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return numbers | sizes | where | {LAUNCHER: str(os.getpid())}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _passing_on(begun: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Pass signals on to processes; they are of sessions of their own, and get none twice."""

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's form
        for process in begun:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(begun: Sequence[subprocess.Popen[bytes]]) -> list[int | None]:
    """Wait for all to end; return their exit codes, None for one that had to be made to."""
    until = float("inf")
    while None in (codes := [process.poll() for process in begun]):
        if any(codes):
            until = min(until, time.monotonic() + GRACE_S)
        if time.monotonic() > until:
            break
        time.sleep(LOOK_S)
    return codes


def _lost(codes: Sequence[int | None]) -> str:
    """Say who went first: one that had to be made to end only waited for it."""
    rank, code = next((i, code) for i, code in enumerate(codes) if code)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return (
        f"process {rank} of {len(codes)} that trained together {how}; was the memory too small?\n"
        "What was saved last is kept; the same command with --resume goes on from there"
    )
