"""How long work took on this machine, which tells how long the like will take."""

import json
import platform
from contextlib import suppress
from pathlib import Path
from statistics import median

import torch

from wsseg.components.registry import registry
from wsseg.config.stages import Learning
from wsseg.errors import InputError
from wsseg.runtime.files import append_line, cache_folder, fingerprint
from wsseg.suite.definition import Job
from wsseg.suite.shared_stages import cohort_of
from wsseg.training.log import read_log

STORE = "pace.jsonl"  # in the cache folder
LATEST = 5  # measurements of a kind that count


def machine(threads: int) -> str:
    """Name this machine, and how much of it a job has."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return f"{platform.node()}, {device}, {threads} threads"


def epoch_kind(job: Job, name: str) -> str:
    """Digest what makes an epoch of a job's stage long or short."""
    stage, recipe, describe = job.recipe.stages[name], job.recipe, registry().describe
    assert isinstance(stage, Learning), "only these have epochs"  # noqa: S101
    learning = describe(stage)
    shaping = [learning[key] for key in ("learn", "classes", "batch_size", "sampling", "augment")]
    backbone = _backbone(job, stage)
    data = [describe(cohort_of(job, stage)), job.folds, describe(recipe.input), recipe.precision]
    return fingerprint(["epoch", shaping, backbone, data])


def scoring_kind(job: Job) -> str:
    """Digest what makes the scoring of a job long or short."""
    recipe = registry().describe(job.recipe)
    backbones = [
        _backbone(job, stage) for stage in job.recipe.stages.values() if isinstance(stage, Learning)
    ]
    shaping = [recipe[key] for key in ("cohort", "test", "input", "metrics", "precision")]
    return fingerprint(["scoring", shaping, job.folds, backbones])


def remember(job: Job, folder: Path) -> None:
    """Note how long each epoch and the scoring took in a job's folder, as far as it has come."""
    seconds: dict[str, list[float]] = {}
    with suppress(InputError, KeyError):  # a stage that another job trained is not in the log
        for record in read_log(folder / "log.jsonl"):
            if record["event"] == "epoch":
                seconds.setdefault(record["stage"], []).append(record["seconds"])
    measured = {epoch_kind(job, name): median(each) for name, each in seconds.items()}
    with suppress(OSError, ValueError, KeyError):
        times = json.loads((folder / "times.json").read_text(encoding="utf-8"))
        measured[scoring_kind(job)] = times["test_s"]
    here = machine(torch.get_num_threads())
    for kind, each in measured.items():
        append_line(cache_folder() / STORE, {"kind": kind, "machine": here, "seconds": each})


def paces(machine: str) -> dict[str, float]:
    """Return the seconds that each kind of work takes, as last measured on `machine`."""
    measured: dict[str, list[float]] = {}
    path = cache_folder() / STORE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            if record["machine"] == machine:
                measured.setdefault(record["kind"], []).append(float(record["seconds"]))
    return {kind: median(seconds[-LATEST:]) for kind, seconds in measured.items()}


def _backbone(job: Job, stage: Learning) -> object:
    """Describe a stage's backbone, which may be that of the stage it starts from."""
    if stage.backbone is not None:
        return registry().describe(stage.backbone)
    earlier = job.recipe.stages[str(stage.start)]
    assert isinstance(earlier, Learning), "the recipe allows to start from learning stages only"  # noqa: S101
    return _backbone(job, earlier)
