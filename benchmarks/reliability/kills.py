"""Kills a training run at a random moment, lets it go on, and compares the weights, bit for bit."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import perf_counter

import yaml

from benchmarks.reliability.commands import Command, kill, words
from benchmarks.reliability.sound import RECIPE, own_cache, write_cohort

MOST_SECONDS = 300.0
TRAIN = ("train", "recipe.yaml", "--out", "run", "--save-every", "2")
STAGES = tuple(yaml.safe_load(RECIPE)["stages"])
HALVINGS = 20  # of the moment, where a run was done before it


@dataclass(frozen=True)
class Uninterrupted:
    """What a run leaves that nothing disturbed."""

    seconds: float
    weights: Mapping[str, bytes]  # by stage
    epochs: tuple[tuple[str, int], ...]  # of the log, in its order


@dataclass(frozen=True)
class Killed:
    """A run that was killed and went on. `number` draws the moment again."""

    number: int
    seconds: float  # after which it was killed
    had: str  # what it had come to
    problem: str  # "": it ended as if nothing had been

    def __str__(self) -> str:
        return f"kill {self.number}, after {self.seconds:.3f} s ({self.had}): {self.problem}"


def uninterrupted(folder: Path) -> Uninterrupted:
    """Train a tiny recipe of two stages in the new folder `folder`."""
    write_training(folder)
    started = perf_counter()
    ended = _train(folder).run(MOST_SECONDS)
    if ended.code != 0:
        raise RuntimeError(ended.said)
    seconds = perf_counter() - started
    return Uninterrupted(seconds, _weights(folder), _epochs(folder))


def killed(number: int, whole: Uninterrupted, folder: Path) -> Killed:
    """Train the same in the new folder `folder`, kill it at a moment drawn by `number`, go on."""
    moment = Random(f"kill {number}").uniform(0, whole.seconds)  # noqa: S311
    for _ in range(HALVINGS):
        write_training(folder)
        process = _train(folder).start()
        process.join(moment)
        alive = process.is_alive()
        kill(process)
        if alive:
            break
        shutil.rmtree(folder)  # this one was faster
        moment /= 2
    had = _had(folder)
    ended = _train(folder, "--resume").run(MOST_SECONDS)
    return Killed(number, moment, had, ended.said if ended.code else difference(folder, whole))


def kills(number: int, work: Path) -> Iterator[Killed]:
    """Kill so many runs, one after the other; the folders of those that did not survive stay."""
    whole = uninterrupted(work / "uninterrupted")
    for each in range(number):
        place = work / f"kill {each}"
        result = killed(each, whole, place)
        if not result.problem:
            shutil.rmtree(place)
        yield result


def write_training(folder: Path) -> None:
    """Write the cohort and the recipe of the runs that are killed into a new folder."""
    write_cohort(folder)
    (folder / "recipe.yaml").write_text(RECIPE)


def _train(folder: Path, *more: str) -> Command:
    return Command(words(*TRAIN, *more), folder, environment=own_cache(folder))


def _had(folder: Path) -> str:
    """Say how far a killed run had come."""
    run = folder / "run"
    if not (run / "recipe.yaml").exists():
        return "while scans were prepared"
    if (run / "manifest.json").exists():
        return "after all was done"
    stages = STAGES[: sum((run / "stages" / name / "stage.json").exists() for name in STAGES) + 1]
    saved = (run / "stages" / stages[-1] / "last" / "state.safetensors").exists()
    return f"in stage {len(stages)}, {'after' if saved else 'before'} its first checkpoint"


def difference(folder: Path, whole: Uninterrupted) -> str:
    """Say how what a run left differs from what it leaves undisturbed; "" where it does not."""
    weights, epochs = _weights(folder), _epochs(folder)
    if other := [name for name in whole.weights if weights.get(name) != whole.weights[name]]:
        return f"other weights of {' and '.join(other)}"
    if epochs != whole.epochs:
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
