"""The stages that the runs of a suite share, determined from their recipes alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsseg.config.stages import NetworkStage, upstream
from wsseg.suite.definition import Job
from wsseg.training.stage_identity import planned_identities


@dataclass(frozen=True)
class StageTraining:
    """A stage that is trained once for one or more jobs."""

    stage: str
    jobs: tuple[Job, ...]  # those that need it; the first one's folder is used
    depth: int  # the length of the longest chain of trained stages that it builds on

    @property
    def folder(self) -> Path:
        """The path of the run that trains it, relative to the suite's folder."""
        return self.jobs[0].folder

    @property
    def needed(self) -> list[str]:
        """The stage and the stages that it builds on, in the order of the recipe."""
        return [*upstream(self.jobs[0].recipe.stages, self.stage), self.stage]


def stage_trainings(jobs: Sequence[Job]) -> list[StageTraining]:
    """Return every stage that `jobs` need, in an order in which they can be trained."""
    uses: dict[str, list[tuple[Job, str]]] = {}
    for job in jobs:
        digests = stage_digests(job)
        for name, stage in job.recipe.stages.items():
            if isinstance(stage, NetworkStage):
                uses.setdefault(digests[name], []).append((job, name))
    trainings = [
        StageTraining(stage=name, jobs=tuple(job for job, _ in same), depth=_depth(first, name))
        for same in uses.values()
        for first, name in same[:1]
    ]
    return sorted(trainings, key=lambda training: training.depth)


def stage_digests(job: Job) -> dict[str, str]:
    """Return a digest for each stage; stages with equal digests have equal results."""
    identities = planned_identities(job.recipe, job.split)
    return {name: identity.digest for name, identity in identities.items()}


def _depth(job: Job, name: str) -> int:
    stages = job.recipe.stages
    above = [each for each in upstream(stages, name) if isinstance(stages[each], NetworkStage)]
    return 1 + max((_depth(job, each) for each in above), default=-1)
