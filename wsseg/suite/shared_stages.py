"""What the runs of a suite share: each stage once, told from the recipes alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsseg.components.regions import FileRegion
from wsseg.components.registry import registry
from wsseg.config.stages import Learning, MasksStage, Stage, upstream
from wsseg.core.interfaces import Cohort
from wsseg.runtime.files import fingerprint
from wsseg.suite.definition import Job


@dataclass(frozen=True)
class Training:
    """A stage that is trained once, for one or more jobs."""

    stage: str
    jobs: tuple[Job, ...]  # that need it; it is trained in the folder of the first
    depth: int  # how many trained stages it builds on, one after the other

    @property
    def folder(self) -> Path:
        """Where it is trained, below the suite's folder."""
        return self.jobs[0].folder

    @property
    def needed(self) -> list[str]:
        """The stage and what it builds on, in the recipe's order."""
        return [*upstream(self.jobs[0].recipe.stages, self.stage), self.stage]


def trainings(jobs: Sequence[Job]) -> list[Training]:
    """Return every stage that `jobs` have to train, the shallowest first."""
    needed: dict[str, list[tuple[Job, str]]] = {}
    for job in jobs:
        keys = stage_keys(job)
        for name, stage in job.recipe.stages.items():
            if isinstance(stage, Learning):
                needed.setdefault(keys[name], []).append((job, name))
    found = [
        Training(uses[0][1], tuple(job for job, _ in uses), _depth(uses[0][0], uses[0][1]))
        for uses in needed.values()
    ]
    return sorted(found, key=lambda training: training.depth)


def stage_keys(job: Job) -> dict[str, str]:
    """Digest all of a recipe that determines a stage's result, for each stage.

    Stages that agree in this agree in the fingerprint by which trained ones are kept, which looks
    at the prepared data and the versions too.
    """
    keys: dict[str, str] = {}
    for name, stage in job.recipe.stages.items():
        keys[name] = fingerprint(
            [name, *_common(job, stage), _own(stage), _places(job, stage, keys)]
        )
    return keys


def cohort_of(job: Job, stage: Stage) -> Cohort:
    """Return the cohort that a stage learns from, as it sees it, who reads some of the masks."""
    regions = job.recipe.regions.values()
    masks = {region.mask for region in regions if isinstance(region, FileRegion)}
    masks |= set(stage.classes) if isinstance(stage, MasksStage) else set()
    return (stage.cohort or job.recipe.cohort).as_seen_with(masks)


def _common(job: Job, stage: Stage) -> list[object]:
    recipe, describe = job.recipe, registry().describe
    seen = [name for name in (recipe.input.mask, recipe.input.standardize) if name is not None]
    return [
        describe(cohort_of(job, stage)),
        [job.fold, job.folds] if stage.cohort is None else None,  # of its own: in every fold whole
        describe(recipe.input),
        [describe(recipe.regions[name]) for name in seen],
        recipe.seed,
        recipe.precision,
    ]


def _own(stage: Stage) -> dict[str, object]:
    named = dict.fromkeys(("start", "region", "region_in_training", "cohort"))  # counted apart
    return registry().describe(stage) | named


def _places(job: Job, stage: Stage, keys: Mapping[str, str]) -> list[object]:
    """Return the keys of the stage that it starts from and of its regions, seen and predicted."""
    start = stage.start if isinstance(stage, Learning) else None
    names = (start, stage.region_in_training or stage.region, stage.region)
    found = dict(keys) | {
        name: registry().describe(region) for name, region in job.recipe.regions.items()
    }
    return [found[name] if name is not None else None for name in names]


def _depth(job: Job, name: str) -> int:
    stages = job.recipe.stages
    above = [each for each in upstream(stages, name) if isinstance(stages[each], Learning)]
    return 1 + max((_depth(job, each) for each in above), default=-1)
