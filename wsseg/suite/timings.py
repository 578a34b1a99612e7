"""Durations measured on this machine, from which a dry run estimates the duration of a suite."""

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from statistics import median

import torch

from wsseg.components.registry import registry
from wsseg.config.stages import NetworkStage
from wsseg.errors import InputError
from wsseg.inference.folders import RunFolder
from wsseg.runtime.files import append_line, cache_folder, fingerprint
from wsseg.suite.definition import Job
from wsseg.training.log import read_log
from wsseg.training.stage_identity import backbone_of, visible_cohort

FILE = "pace.jsonl"  # in the cache folder
MEASUREMENTS = 5  # of each kind: the median of the newest ones is used


def machine(threads: int) -> str:
    """Return the name of this machine, its GPU or "CPU", and the number of threads of a job."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return f"{platform.node()}, {device}, {threads} threads"


def epoch_kind(job: Job, name: str) -> str:
    """Return a digest of what determines the duration of an epoch of a job's stage."""
    stage, recipe, describe = job.recipe.stages[name], job.recipe, registry().describe
    assert isinstance(stage, NetworkStage), "other stages have no epochs"  # noqa: S101
    learning = describe(stage)
    settings = [learning[key] for key in ("learn", "classes", "batch_size", "sampling", "augment")]
    backbone = describe(backbone_of(recipe.stages, name))
    cohort = describe(visible_cohort(recipe, stage))
    data = [cohort, job.folds and job.folds.n, describe(recipe.input), recipe.precision]
    return fingerprint(["epoch", settings, backbone, data])


def scoring_kind(job: Job) -> str:
    """Return a digest of what determines the duration of scoring a job."""
    describe, stages = registry().describe, job.recipe.stages
    recipe = describe(job.recipe)
    backbones = [
        describe(backbone_of(stages, name))
        for name, stage in stages.items()
        if isinstance(stage, NetworkStage)
    ]
    settings = [recipe[key] for key in ("cohort", "test", "input", "metrics", "precision")]
    return fingerprint(["scoring", settings, job.folds and job.folds.n, backbones])


def record_durations(job: Job, folder: RunFolder) -> None:
    """Store the durations of the epochs and of the scoring in a job's folder, if known."""
    seconds: dict[str, list[float]] = {}
    with suppress(InputError, KeyError):  # the log lacks stages that another job has trained
        for record in read_log(folder.log):
            if record["event"] == "epoch":
                seconds.setdefault(record["stage"], []).append(record["seconds"])
    measured = {epoch_kind(job, name): median(each) for name, each in seconds.items()}
    with suppress(OSError, ValueError, KeyError):
        times = json.loads(folder.times.read_text(encoding="utf-8"))
        measured[scoring_kind(job)] = times["test_s"]
    here = machine(torch.get_num_threads())
    for kind, each in measured.items():
        line = {"kind": kind, "machine": here, "seconds": each}
        with suppress(OSError):  # a full disk here would fail a job that is done
            append_line(cache_folder() / FILE, line)


def measured_durations(machine: str) -> Mapping[str, float]:
    """Return the median of the latest durations of each kind of work on `machine`, in seconds."""
    measured: dict[str, list[float]] = {}
    path = cache_folder() / FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            if record["machine"] == machine:
                measured.setdefault(record["kind"], []).append(float(record["seconds"]))
    return {kind: median(seconds[-MEASUREMENTS:]) for kind, seconds in measured.items()}
