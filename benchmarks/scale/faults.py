"""The faults that a suite meets while it runs."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

from benchmarks.scale import slow_disk
from benchmarks.scale.dask_cluster import DaskCluster
from wsseg.runtime.folder_lock import holder_of

KILLS = 8  # expected in the time that the undisturbed suite takes
ALL_DONE = re.compile(r"(\d+) of \1 jobs are already done")  # says one that came too late
IN_USE, IN_USE_CODE = "is using this folder", 2  # what a second command says, and its exit code


class NotPossibleError(Exception):
    """This machine does not allow the fault."""


@dataclass(frozen=True)
class Situation:
    """What a fault can see and change while a command runs."""

    cluster: DaskCluster
    out: Path
    jobs: int
    finished: int  # jobs
    start_another: Callable[[], "subprocess.Popen[bytes]"]  # the same command once more


@dataclass(frozen=True)
class Undisturbed:
    """The duration of the undisturbed suite, and the size of its folder."""

    seconds: float
    disk_bytes: int


@dataclass
class Fault:
    """No fault; the base of all others. `count` is how often it has occurred."""

    name: str = "undisturbed"
    what: str = "no fault"
    count: int = 0

    @property
    def preload(self) -> Path | None:
        """A Python file that each worker runs first."""
        return None

    def prepare(self, out: Path, undisturbed: Undisturbed) -> None:
        """Prepare for the suite, whose folder `out` does not exist yet.

        Raises:
            NotPossibleError: This machine does not allow it.
        """

    def disturb(self, now: Situation) -> None:
        """Disturb the suite while its command runs; called several times a second."""

    def repair(self, now: Situation) -> None:
        """Repair the cause after a command has ended with an error."""

    def clean_up(self, out: Path) -> None:
        """Undo `prepare`."""

    def check(self) -> None:
        """Raise `RuntimeError` if the fault did not have the effect that it should have."""


@dataclass
class KilledWorkers(Fault):
    """Workers are killed at random times."""

    name: str = "killed workers"
    what: str = "workers are killed by `kill -9` at random times and replaced"
    mean_interval_s: float = 0.0
    seed: int = 0
    _random: Random = field(init=False)
    _next: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)  # noqa: S311 - no secret

    def prepare(self, out: Path, undisturbed: Undisturbed) -> None:  # noqa: ARG002
        """Choose the mean time between two kills."""
        self.mean_interval_s = undisturbed.seconds / KILLS

    def disturb(self, now: Situation) -> None:
        """Kill a worker when it is time, from the first log of a run on."""
        if self._next == 0.0:
            if not any(now.out.glob("*/seed-*/fold-*/log.jsonl")):
                return
        elif monotonic() >= self._next:
            now.cluster.kill_worker(self._random)
            self.count += 1
        else:
            return
        self._next = monotonic() + self._random.expovariate(1 / self.mean_interval_s)


@dataclass
class RestartedScheduler(Fault):
    """The scheduler is killed once, after a third of the jobs."""

    name: str = "restarted scheduler"
    what: str = "the scheduler is killed after a third of the jobs, then started again"

    def disturb(self, now: Situation) -> None:
        """Kill the scheduler."""
        if self.count == 0 and now.finished >= now.jobs / 3:
            now.cluster.kill_scheduler()
            self.count += 1

    def repair(self, now: Situation) -> None:
        """Start another scheduler, and other workers in place of those that have ended with it."""
        now.cluster.stop()
        now.cluster.start()


@dataclass
class SlowDisk(Fault):
    """Each flush of a file in a worker takes longer."""

    name: str = "slow disk"
    what: str = f"each flush of a file to the disk takes {slow_disk.DELAY_S:g} s longer"

    @property
    def preload(self) -> Path | None:
        """The file that replaces `os.fsync`."""
        return Path(slow_disk.__file__)


@dataclass
class FullDisk(Fault):
    """The suite is written to a disk of half of its size, until a command has failed."""

    name: str = "full disk"
    what: str = "the disk has half of the suite's size; it grows after the command has failed"
    _needed: int = 0

    def prepare(self, out: Path, undisturbed: Undisturbed) -> None:
        """Mount a small disk in memory. Needs the rights of root."""
        self._needed = undisturbed.disk_bytes
        out.mkdir(parents=True)
        try:
            _mount("-t", "tmpfs", "-o", f"size={self._needed // 2}", "tmpfs", str(out))
        except (OSError, subprocess.CalledProcessError) as error:
            out.rmdir()
            raise NotPossibleError("mounting a disk in memory needs the rights of root") from error

    def repair(self, now: Situation) -> None:
        """Make the disk larger."""
        self.count += 1
        _mount("-o", f"remount,size={4 * self._needed}", str(now.out))

    def clean_up(self, out: Path) -> None:
        """Remove the disk."""
        subprocess.run(["umount", str(out)], check=True)  # noqa: S603, S607

    def check(self) -> None:
        """Raise `RuntimeError` unless a command has failed."""
        if self.count == 0:
            raise RuntimeError("the disk was not full")


@dataclass
class TwoCommands(Fault):
    """The same command is started again, at the start and after a third of the jobs."""

    name: str = "two commands"
    what: str = "the same command is started again, at the start and after a third of the jobs"
    _others: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def disturb(self, now: Situation) -> None:
        """Start another command."""
        due = (holder_of(now.out) is not None, now.finished >= now.jobs / 3)
        if self.count < len(due) and due[self.count]:
            self._others.append(now.start_another())
            self.count += 1

    def check(self) -> None:
        """Raise `RuntimeError` unless one was refused, and none of the others found work to do."""
        refused = 0
        for each in self._others:
            output = each.communicate()[0].decode()
            refused += each.returncode == IN_USE_CODE and IN_USE in output
            if each.returncode != IN_USE_CODE and not ALL_DONE.match(output):
                raise RuntimeError(f"a second command was not refused: {output}")
        if not refused:
            raise RuntimeError("no second command ran at the same time as the first")


FAULTS: tuple[type[Fault], ...] = (
    Fault,
    KilledWorkers,
    RestartedScheduler,
    SlowDisk,
    FullDisk,
    TwoCommands,
)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)  # noqa: S603, S607
