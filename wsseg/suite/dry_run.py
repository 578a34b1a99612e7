"""The plan of a suite as text: the remaining work, its order and its duration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsseg.config.stages import NetworkStage
from wsseg.errors import InputError
from wsseg.suite.definition import Job
from wsseg.suite.folder import SuiteFolder
from wsseg.suite.job import with_chosen_settings
from wsseg.suite.job_fingerprint import with_fingerprint
from wsseg.suite.job_status import check_folder, failure_of, is_done, is_trained
from wsseg.suite.shared_stages import StageTraining, stage_trainings
from wsseg.suite.timings import epoch_kind, scoring_kind

MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class DurationEstimate:
    """Estimates durations from measured ones; None is an unknown duration."""

    at_once: int  # jobs that run at the same time
    measured: Mapping[str, float]  # seconds, by kind of work

    def training_s(self, training: StageTraining) -> float | None:
        """Return the seconds of all epochs of a stage."""
        job = training.jobs[0]
        stage = job.recipe.stages[training.stage]
        assert isinstance(stage, NetworkStage), "other stages are not trained"  # noqa: S101
        epoch_s = self.measured.get(epoch_kind(job, training.stage))
        return None if epoch_s is None else epoch_s * stage.epochs

    def job_s(self, job: Job, own: Sequence[StageTraining]) -> float | None:
        """Return the seconds of a job that trains its `own` stages and is scored."""
        return _sum([self.measured.get(scoring_kind(job)), *map(self.training_s, own)])

    def parallel_s(self, each: Sequence[float | None]) -> float | None:
        """Return the seconds of work that runs in parallel."""
        total = _sum(each)
        longest = max((seconds or 0 for seconds in each), default=0)
        return None if total is None else max(longest, total / self.at_once)


def plan_lines(
    jobs: Sequence[Job], folder: SuiteFolder, estimate: DurationEstimate
) -> Iterator[str]:
    """Yield the plan of a suite, line by line, with the status of each job at the end."""
    refused = refusals(jobs, folder)
    remaining = [job for job in jobs if not is_done(job, folder)]
    todo = sum(job.folder not in refused for job in remaining)
    counts = [f"{len(jobs) - len(refused) - todo} done", f"{todo} to do"]
    counts += [f"{len(refused)} refused"] if refused else []
    yield f"{_count(jobs)}; {', '.join(counts)}"
    if remaining:
        yield from _phases(remaining, folder, estimate)
    width = max(len(str(job.folder)) for job in jobs)
    for job in jobs:
        reason = refused.get(job.folder)
        status = _status(job, folder) if reason is None else f"refused: {reason}"
        yield f"  {job.folder!s:{width}}  {status}"


def refusals(jobs: Sequence[Job], folder: SuiteFolder) -> dict[Path, str]:
    """Return why `wsseg bench run` would refuse jobs, by folder; it runs none if it refuses one."""
    return {job.folder: reason for job in jobs if (reason := _refusal(job, folder))}


def _refusal(job: Job, folder: SuiteFolder) -> str | None:
    """Return why `wsseg bench run` would refuse a job; None if it would not."""
    try:
        check_folder(with_chosen_settings(with_fingerprint(job), folder), folder)
    except InputError as error:
        return str(error)
    return None


def _phases(todo: Sequence[Job], folder: SuiteFolder, estimate: DurationEstimate) -> Iterator[str]:
    remaining = [
        training
        for training in stage_trainings(todo)
        if not is_trained(training, folder) and not _is_trained_unshared(training, folder)
    ]
    shared = [training for training in remaining if len(training.jobs) > 1]
    times: list[float | None] = []
    unshared = sum(len(training.jobs) for training in remaining)
    yield f"{_plural(len(remaining), 'training')} to do ({unshared} if jobs shared no stage)"
    for depth in sorted({training.depth for training in shared}):
        parallel = [training for training in shared if training.depth == depth]
        times.append(estimate.parallel_s([estimate.training_s(each) for each in parallel]))
        users = len({job.folder for training in parallel for job in training.jobs})
        yield f"  phase {len(times)}: {_stages(parallel)}, for {users} jobs{_about(times[-1])}"
    own: dict[Path, list[StageTraining]] = {job.folder: [] for job in todo}
    for training in remaining:
        if len(training.jobs) == 1:
            own[training.folder].append(training)
    times.append(estimate.parallel_s([estimate.job_s(job, own[job.folder]) for job in todo]))
    rest = _stages([training for each in own.values() for training in each])
    then = f"{rest}, then scoring" if rest else "scoring"
    yield f"  phase {len(times)}: {then} ×{len(todo)}{_about(times[-1])}"
    yield _total_time(times, estimate)


def _status(job: Job, folder: SuiteFolder) -> str:
    if is_done(job, folder):
        return "done"
    reason = failure_of(job, folder)
    if reason is not None:
        return f"failed: {reason}"
    return "started" if folder.run(job.folder).path.exists() else "to do"


def _is_trained_unshared(training: StageTraining, folder: SuiteFolder) -> bool:
    """Return whether a stage that only one job needs is finished in that job's folder."""
    record = folder.run(training.folder).stage(training.stage).record
    return len(training.jobs) == 1 and record.exists()


def _count(jobs: Sequence[Job]) -> str:
    parts = [
        _plural(len({job.method for job in jobs}), "method"),
        _plural(len({job.recipe.seed for job in jobs}), "seed"),
    ]
    parts += [f"{folds.n} folds"] if (folds := jobs[0].folds) else []
    return f"{_plural(len(jobs), 'job')} = {' × '.join(parts)}"


def _stages(trainings: Sequence[StageTraining]) -> str:
    names = dict.fromkeys(training.stage for training in trainings)
    return ", ".join(f"{name} ×{sum(t.stage == name for t in trainings)}" for name in names)


def _total_time(times: Sequence[float | None], estimate: DurationEstimate) -> str:
    total = _sum(times)
    at_once = f"{_plural(estimate.at_once, 'job')} at a time"
    if total is None:
        return (
            f"time: unknown, since not all of this work was measured on this machine with {at_once}"
        )
    return f"time: about {_duration(total)} with {at_once}, as measured on this machine"


def _sum(each: Sequence[float | None]) -> float | None:
    known = [seconds for seconds in each if seconds is not None]
    return sum(known) if len(known) == len(each) else None


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f", about {_duration(seconds)}"


def _duration(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
