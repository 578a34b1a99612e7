"""What a suite would do, before it does it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsseg.config.stages import Learning
from wsseg.suite.definition import Job
from wsseg.suite.folder import is_done, is_trained, why_failed
from wsseg.suite.shared_stages import Training, trainings
from wsseg.suite.timings import epoch_kind, scoring_kind

MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class Clock:
    """Tells how long work will take, from how long its like took. None: that is not known."""

    at_once: int  # jobs
    paces: Mapping[str, float]  # seconds, by kind of work

    def training(self, training: Training) -> float | None:
        """Return the seconds of all epochs of a stage."""
        job = training.jobs[0]
        stage = job.recipe.stages[training.stage]
        assert isinstance(stage, Learning), "only these are trained"  # noqa: S101
        pace = self.paces.get(epoch_kind(job, training.stage))
        return None if pace is None else pace * stage.epochs

    def job(self, job: Job, own: Sequence[Training]) -> float | None:
        """Return the seconds of a job that trains its `own` stages, and is scored."""
        return _sum([self.paces.get(scoring_kind(job)), *map(self.training, own)])

    def wave(self, each: Sequence[float | None]) -> float | None:
        """Return the seconds of what is done next to each other."""
        whole = _sum(each)
        longest = max((seconds or 0 for seconds in each), default=0)
        return None if whole is None else max(longest, whole / self.at_once)


def plan_lines(jobs: Sequence[Job], out: Path, clock: Clock) -> Iterator[str]:
    """Say what there is to do, in which order, how long it takes, and how far each job is."""
    todo = [job for job in jobs if not is_done(job, out)]
    yield f"{_count(jobs)}; {len(jobs) - len(todo)} done, {len(todo)} to do"
    if todo:
        yield from _waves(todo, out, clock)
    width = max(len(str(job.folder)) for job in jobs)
    for job in jobs:
        yield f"  {job.folder!s:{width}}  {_state(job, out)}"


def _waves(todo: Sequence[Job], out: Path, clock: Clock) -> Iterator[str]:
    left = [t for t in trainings(todo) if not is_trained(t, out) and not _has(t, out)]
    shared = [training for training in left if len(training.jobs) > 1]
    times: list[float | None] = []
    alone = sum(len(training.jobs) for training in left)
    yield f"{_plural(len(left), 'training')} to do, {alone} if no jobs shared any"
    for depth in sorted({training.depth for training in shared}):
        now = [training for training in shared if training.depth == depth]
        times.append(clock.wave([clock.training(training) for training in now]))
        yield f"  wave {len(times)}: {_stages(now)}, for {_users(now)} jobs{_about(times[-1])}"
    own = {job.folder: [t for t in left if t.jobs == (job,)] for job in todo}
    times.append(clock.wave([clock.job(job, own[job.folder]) for job in todo]))
    rest = _stages([training for each in own.values() for training in each])
    then = f"{rest}, then scoring" if rest else "scoring"
    yield f"  wave {len(times)}: {then} ×{len(todo)}{_about(times[-1])}"
    yield _time(times, clock)


def _state(job: Job, out: Path) -> str:
    if is_done(job, out):
        return "done"
    reason = why_failed(job, out)
    if reason is not None:
        return f"failed: {reason}"
    return "begun" if (out / job.folder).exists() else "to do"


def _has(training: Training, out: Path) -> bool:
    """Whether the only job that needs a stage has it."""
    path = out / training.folder / "stages" / training.stage / "stage.json"
    return len(training.jobs) == 1 and path.exists()


def _count(jobs: Sequence[Job]) -> str:
    parts = [
        _plural(len({job.method for job in jobs}), "method"),
        _plural(len({job.recipe.seed for job in jobs}), "seed"),
    ]
    parts += [f"{jobs[0].folds} folds"] if jobs[0].folds else []
    return f"{_plural(len(jobs), 'job')} = {' × '.join(parts)}"


def _stages(found: Sequence[Training]) -> str:
    names = dict.fromkeys(training.stage for training in found)
    return ", ".join(f"{name} ×{sum(t.stage == name for t in found)}" for name in names)


def _users(found: Sequence[Training]) -> int:
    return len({job.folder for training in found for job in training.jobs})


def _time(times: Sequence[float | None], clock: Clock) -> str:
    whole = _sum(times)
    at_once = f"{_plural(clock.at_once, 'job')} at a time"
    if whole is None:
        return (
            f"time: not known, as not all of this was measured on this machine with {at_once}; "
            "what runs is measured"
        )
    return f"time: about {_duration(whole)} with {at_once}, from what was measured on this machine"


def _sum(each: Sequence[float | None]) -> float | None:
    known = [seconds for seconds in each if seconds is not None]
    return sum(known) if len(known) == len(each) else None


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f", about {_duration(seconds)}"


def _duration(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"


def _plural(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
