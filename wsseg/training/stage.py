"""Trains one stage into its folder, unless the same work was done before."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from wsseg.components.registry import registry
from wsseg.config.recipe import Recipe
from wsseg.config.stages import EmStage, Learning, PriorStage
from wsseg.core.batch import Batch
from wsseg.core.input import Input
from wsseg.core.interfaces import Prior
from wsseg.data.batches import Scan, Slices, all_slices, collate
from wsseg.data.prepare import Prepared
from wsseg.errors import InterruptedWorkError, WorkError
from wsseg.inference.checkpoint import fingerprint_of, save_stage
from wsseg.inference.network import (
    Network,
    depends_on_batch_mates,
    load_matching_weights,
    new_network,
)
from wsseg.inference.stage_inputs import Regions, describe_scans, scans_to_learn
from wsseg.runtime.collectives import any_rank, leader_first
from wsseg.runtime.console import Display
from wsseg.runtime.device import keep_memory
from wsseg.runtime.files import append_line, atomic_folder, fingerprint, write_text
from wsseg.runtime.process_group import SINGLE_PROCESS, Group
from wsseg.runtime.signals import graceful_interrupts
from wsseg.training.log import SHARES, epoch_line
from wsseg.training.monitoring import check_positives
from wsseg.training.target_snapshots import keep_planes, moments
from wsseg.training.trainer import EpochDone, StepDone, Trainer
from wsseg.training.training_state import load_state, save_state

LOG = "log.jsonl"
FIT_BATCH = 16


@dataclass(frozen=True)
class RunContext:
    """Where a run works and who watches. Nothing here shapes a result."""

    out: Path
    display: Display
    save_every: int | None = None  # steps; the state is saved at the end of each epoch anyhow
    stage_cache: Path | None = None  # finished stages that several runs share, by fingerprint
    should_continue: Callable[[], bool] = lambda: True  # asked each step: whether to go on
    group: Group = SINGLE_PROCESS  # that trains as one; its leader alone shows, logs and saves


def train_stage(
    name: str,
    stage: Learning,
    recipe: Recipe,
    cases: Sequence[Prepared],
    regions: Regions,
    place: RunContext,
) -> list[str]:
    """Train a stage, or find it trained; return the names of the cases it learnt from.

    Raises:
        InputError: The cases have nothing that the stage could learn from.
        WorkError: Training failed or was interrupted; the last state is saved.
    """
    fabric = regions.fabric
    scans = leader_first(fabric, lambda: scans_to_learn(name, stage, cases, regions))
    check_positives(name, stage.classes, scans)
    if stage.backbone is None:
        stage = stage.model_copy(update={"backbone": _started(stage, regions).backbone})
    key = _fingerprint(name, stage, recipe, scans, regions)
    folder = place.out / "stages" / name
    about = describe_scans(stage, scans, len(cases))
    if fabric.broadcast(fingerprint_of(folder) == key):
        place.display.note(f"stage {name}: done already")
    elif place.stage_cache is not None and fingerprint_of(place.stage_cache / key) == key:
        place.display.note(f"stage {name}: shared with an earlier run")
        _copy(place.stage_cache / key, folder)
    else:
        place.display.note(f"stage {name}: {about}")
        _train(name, stage, recipe, scans, regions, place, key)
    fabric.barrier()  # now all can open what the leader saved
    shutil.rmtree(folder / "last", ignore_errors=True)
    if place.stage_cache is not None and fingerprint_of(place.stage_cache / key) != key:
        _copy(folder, place.stage_cache / key)
    return [scan.name for scan in scans]


def fit_stage(
    name: str,
    stage: PriorStage,
    recipe: Recipe,
    cases: Sequence[Prepared],
    regions: Regions,
    place: RunContext,
) -> list[str]:
    """Save a stage that trains nothing; return the names of the cases its prior was fitted to.

    Raises:
        InputError: The prior needs tags, and no case has them.
    """
    scans: list[Scan] = []
    if type(stage.prior).fit is not Prior.fit:
        scans = leader_first(regions.fabric, lambda: scans_to_learn(name, stage, cases, regions))
        prior = stage.prior.fit(_plain_batches(scans, recipe.input))
        stage = stage.model_copy(update={"prior": prior})
    if place.group.is_leader:
        save_stage(place.out / "stages" / name, name, stage, recipe.input, {}, {"history": []})
    regions.fabric.barrier()  # now all can open it
    return [scan.name for scan in scans]


def _train(
    name: str,
    stage: Learning,
    recipe: Recipe,
    scans: Sequence[Scan],
    regions: Regions,
    place: RunContext,
    key: str,
) -> None:
    keep_memory()
    folder = place.out / "stages" / name
    if isinstance(stage, EmStage):
        prior = stage.prior.fit(_plain_batches(scans, recipe.input))
        stage = stage.model_copy(update={"prior": prior})
    fit = _new_fit(name, stage, recipe, scans, regions, place.display)
    if state := load_state(folder, key):
        fit.restore(*state)
        place.display.note(f"  going on after step {fit.progress.step}")
    _check_alike(fit.progress.step, folder, regions.fabric)
    if not place.group.is_leader:
        _run_follower(fit, name, regions.fabric)
        return
    _forget_after(place.out / LOG, name, len(fit.progress.history))
    _run_leader(fit, name, folder, place, key, regions.fabric)
    record = {"fingerprint": key, "history": fit.progress.history}
    save_stage(folder, name, stage, recipe.input, fit.weights, record)


def _new_fit(
    name: str,
    stage: Learning,
    recipe: Recipe,
    scans: Sequence[Scan],
    regions: Regions,
    display: Display,
) -> Trainer:
    assert stage.backbone is not None, "completed by train_stage"  # noqa: S101
    seed = int(fingerprint([recipe.seed, name])[:8], 16)
    network = new_network(stage.backbone, recipe.input, len(stage.classes), seed)
    if stage.start is not None:
        learnt = regions.trained[stage.start].network
        assert learnt is not None, "the recipe allows to start from learning stages only"  # noqa: S101
        new = load_matching_weights(network, learnt.state_dict())
        display.note(f"  starts from {stage.start}" + (f"; new: {', '.join(new)}" if new else ""))
    if said := _batch_norm_differs(network, regions.fabric):
        display.note(said)
    return Trainer(name, stage, network, scans, recipe.input, seed, regions.fabric)


def _run_leader(
    fit: Trainer, name: str, folder: Path, place: RunContext, key: str, fabric: Fabric
) -> None:
    """Run a fit to its end: show it, log it, save its state, and stop when asked to."""
    if fit.progress.step == 0:
        keep_planes(folder, 0, fit.planes())
    with (
        graceful_interrupts() as interrupt,
        place.display.bar(name, fit.steps, fit.progress.step) as advance,
    ):
        for event in fit.run():
            if isinstance(event, EpochDone):
                _log_epoch(event, name, place)
                if event.record["epoch"] in moments(event.record["epochs"]):
                    keep_planes(folder, event.record["epoch"], fit.planes())
                save_state(folder, *fit.state(), key)
                continue
            advance(1, _words(event, fit.progress.history))
            if event.warning is not None:
                _log_warning(event.warning, name, event.epoch, place)
            if place.save_every and event.step % place.save_every == 0:
                save_state(folder, *fit.state(), key)
            if not place.should_continue():
                raise InterruptedWorkError(f"nobody waits for stage {name} any more")
            if any_rank(fabric, here=interrupt.requested):
                save_state(folder, *fit.state(), key)
                fabric.barrier()
                raise InterruptedWorkError(_interrupted(name, event))


def _run_follower(fit: Trainer, name: str, fabric: Fabric) -> None:
    """Take the steps that the leader takes in `_drive`, and stop where it stops."""
    with graceful_interrupts() as interrupt:
        for event in fit.run():
            if isinstance(event, StepDone) and any_rank(fabric, here=interrupt.requested):
                fabric.barrier()  # the leader has saved
                raise InterruptedWorkError(_interrupted(name, event))


def _interrupted(name: str, event: StepDone) -> str:
    return f"interrupted in stage {name} after step {event.step} of {event.steps}; saved"


def _check_alike(step: int, folder: Path, fabric: Fabric) -> None:
    """Raise `WorkError` where processes would go on from different steps."""
    if any_rank(fabric, here=fabric.broadcast(step) != step):
        raise WorkError(
            f"{folder}: not all processes see the same state in it; --out must be on a file system "
            "that all machines share"
        )


def _batch_norm_differs(network: Network, fabric: Fabric) -> str | None:
    """Say where several processes learn something else than one; torch has no remedy on a CPU."""
    alike = fabric.world_size == 1 or fabric.device.type == "cuda"
    if alike or not depends_on_batch_mates(network):
        return None
    return (
        f"  batch norm: each of {fabric.world_size} processes normalises by its own part of a "
        "batch, as torch cannot join these on CPUs: weights differ from one process's"
    )


def _words(step: StepDone, history: Sequence[Mapping[str, Any]]) -> str:
    """Say how a step went, for the bar."""
    text = f"loss {step.loss:.3f}  {SHARES[step.watched]} {100 * step.share:.0f} %"
    if history and "flip_rate" in history[-1]:
        text += f"  flipped {100 * history[-1]['flip_rate']:.1f} %"
    return f"{text}  {step.slices_per_s:.0f} slices/s"


def _log_epoch(event: EpochDone, name: str, place: RunContext) -> None:
    place.display.note(epoch_line(event.record))
    append_line(place.out / LOG, {"event": "epoch"} | event.record)
    if event.warning is not None:
        _log_warning(event.warning, name, event.record["epoch"], place)


def _log_warning(text: str, name: str, epoch: int, place: RunContext) -> None:
    place.display.warn(text)
    append_line(place.out / LOG, {"event": "warning", "stage": name, "epoch": epoch, "text": text})


def _forget_after(log: Path, stage: str, epochs: int) -> None:
    """Drop what the log has of a stage's epochs that were lost, and a line cut by a crash."""
    if not log.exists():
        return
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    kept = []
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            if record["stage"] != stage or record["epoch"] <= epochs:
                kept.append(line + "\n")
    write_text(log, "".join(kept))


def _started(stage: Learning, regions: Regions) -> Learning:
    earlier = regions.trained[str(stage.start)].stage
    assert isinstance(earlier, Learning), "the recipe allows to start from learning stages only"  # noqa: S101
    return earlier


def _fingerprint(
    name: str, stage: Learning, recipe: Recipe, scans: Sequence[Scan], regions: Regions
) -> str:
    """Digest all that determines the stage's result: no device, no path outside the cache.

    Maps are kept under names that say what made them, so that their names stand for the data. The
    stage's name is a part of its seed. `sharing.stage_keys` tells without any data what will agree.
    """
    data = [
        [
            scan.name,
            [_content_name(path) for path in (scan.image, scan.inside, scan.region, *scan.labels)],
            scan.tags.astype(int).tolist(),
            scan.slices,
        ]
        for scan in scans
    ]
    start = regions.trained[stage.start].key if stage.start else None
    named = dict.fromkeys(("region", "region_in_training", "cohort"))  # the data stands for them
    described = registry().describe(stage) | named
    versions = [metadata.version(package) for package in ("wsseg", "torch", "albumentations")]
    versions += sorted(registry().distributions(described))
    precision = regions.fabric._precision.precision  # noqa: SLF001 - has no public name
    return fingerprint(
        [
            name,
            described,
            registry().describe(recipe.input),
            recipe.seed,
            precision,
            start,
            versions,
            data,
        ]
    )


def _content_name(path: object) -> str:
    return f"{path.parent.name}/{path.name}" if isinstance(path, Path) else ""


def _plain_batches(scans: Sequence[Scan], input: Input) -> Iterator[Batch]:
    """Yield the slices as they are; of the recipe only what a prior may see: it names the table."""
    slices, draws = Slices(scans, input), all_slices(scans)
    for start in range(0, len(draws), FIT_BATCH):
        yield collate([slices[draw] for draw in draws[start : start + FIT_BATCH]])[0]


def _copy(source: Path, target: Path) -> None:
    """Copy a finished stage; not its log, which is the run's."""
    shutil.rmtree(target, ignore_errors=True)
    with atomic_folder(target) as temporary:
        for file in source.iterdir():
            if file.is_file():
                shutil.copy2(file, temporary / file.name)
