"""Training runs that are killed at a random time and resumed must give the same weights."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import perf_counter

import yaml

from benchmarks.reliability.commands import Command, kill, words
from benchmarks.reliability.valid_inputs import RECIPE, own_cache, write_cohort

TIMEOUT_S = 300.0
TRAIN = ("train", "recipe.yaml", "--out", "run", "--save-every", "2")
STAGES = tuple(yaml.safe_load(RECIPE)["stages"])
MAX_HALVINGS = 20  # of the time, if the run ended before it


@dataclass(frozen=True)
class ReferenceRun:
    """The duration and the result of an uninterrupted run."""

    seconds: float
    weights: Mapping[str, bytes]  # by stage
    epochs: tuple[tuple[str, int], ...]  # stage and epoch, in the order of the log


@dataclass(frozen=True)
class KilledRun:
    """A run that was killed and resumed. `number` determines the time of the kill."""

    number: int
    seconds: float  # until it was killed
    progress: str  # when it was killed
    problem: str  # "" if its result equals that of the reference run

    def __str__(self) -> str:
        return f"kill {self.number}, after {self.seconds:.3f} s ({self.progress}): {self.problem}"


def run_uninterrupted(folder: Path) -> ReferenceRun:
    """Train a tiny recipe of two stages in the new folder `folder`."""
    write_training(folder)
    started = perf_counter()
    result = _train(folder).run(TIMEOUT_S)
    if result.code != 0:
        raise RuntimeError(result.output)
    seconds = perf_counter() - started
    return ReferenceRun(seconds, _weights(folder), _epochs(folder))


def kill_run(number: int, reference: ReferenceRun, folder: Path) -> KilledRun:
    """Train in the new folder `folder`, kill the run at a random time, and resume it."""
    kill_time_s = Random(f"kill {number}").uniform(0, reference.seconds)  # noqa: S311
    for _ in range(MAX_HALVINGS):
        write_training(folder)
        process = _train(folder).start()
        process.join(kill_time_s)
        alive = process.is_alive()
        kill(process)
        if alive:
            break
        shutil.rmtree(folder)  # it ended before the kill
        kill_time_s /= 2
    progress = _progress(folder)
    result = _train(folder, "--resume").run(TIMEOUT_S)
    return KilledRun(
        number,
        kill_time_s,
        progress,
        result.output if result.code else difference(folder, reference),
    )


def kill_runs(number: int, work: Path) -> Iterator[KilledRun]:
    """Kill and resume `number` runs; the folders of failures are kept."""
    reference = run_uninterrupted(work / "uninterrupted")
    for each in range(number):
        place = work / f"kill {each}"
        run = kill_run(each, reference, place)
        if not run.problem:
            shutil.rmtree(place)
        yield run


def write_training(folder: Path) -> None:
    """Write the cohort and the recipe of the runs into a new folder."""
    write_cohort(folder)
    (folder / "recipe.yaml").write_text(RECIPE)


def _train(folder: Path, *more: str) -> Command:
    return Command(words(*TRAIN, *more), folder, environment=own_cache(folder))


def _progress(folder: Path) -> str:
    """Return how far a killed run had come."""
    run = folder / "run"
    if not (run / "recipe.yaml").exists():
        return "while scans were prepared"
    if (run / "manifest.json").exists():
        return "after all was done"
    stages = STAGES[: sum((run / "stages" / name / "stage.json").exists() for name in STAGES) + 1]
    saved = (run / "stages" / stages[-1] / "last" / "state.safetensors").exists()
    return f"in stage {len(stages)}, {'after' if saved else 'before'} its first checkpoint"


def difference(folder: Path, reference: ReferenceRun) -> str:
    """Return how the result of a run differs from that of the reference run, or ""."""
    weights, epochs = _weights(folder), _epochs(folder)
    if different := [
        name for name in reference.weights if weights.get(name) != reference.weights[name]
    ]:
        return f"different weights of {' and '.join(different)}"
    if epochs != reference.epochs:
        return f"the log has the epochs {epochs}"
    left = [path.name for path in (folder / "run").rglob(".*")]
    return f"left: {', '.join(left)}" if left else ""


def _weights(folder: Path) -> dict[str, bytes]:
    paths = (folder / "run").glob("stages/*/weights.safetensors")
    return {path.parent.name: path.read_bytes() for path in paths}


def _epochs(folder: Path) -> tuple[tuple[str, int], ...]:
    path = folder / "run" / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return tuple((each["stage"], each["epoch"]) for each in records if each["event"] == "epoch")
