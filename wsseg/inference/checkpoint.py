"""Saving and loading of trained stages: their weights and the settings needed to use them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from wsseg.components.registry import UnknownComponentError, registry
from wsseg.components.saving import check_no_hidden_state, check_offered, check_restored
from wsseg.config.messages import explain
from wsseg.config.settings import Settings
from wsseg.config.stages import AnyStage, EmStage, NetworkStage, PriorStage, Stage
from wsseg.core.channels import ONE_CHANNEL
from wsseg.core.input import Input
from wsseg.core.interfaces import Prior
from wsseg.errors import InputError
from wsseg.inference.folders import StageFolder
from wsseg.inference.network import Network, new_network
from wsseg.runtime.files import atomic_write, fingerprint, read_json, sha256, write_json
from wsseg.runtime.memory_format import to_channels_last


@dataclass(frozen=True)
class StageRecord:
    """The content of `stage.json`, which describes a finished stage."""

    name: str
    stage: Stage  # with its fitted prior, and with its backbone even if the recipe omits it
    input: Input
    history: tuple[dict[str, Any], ...] = ()  # a record for each epoch
    fingerprint: str | None = None  # of all that determined its weights; None: nothing was trained
    channels: tuple[str, ...] = ONE_CHANNEL  # of the images that it learnt from


@dataclass(frozen=True)
class TrainedStage:
    """A finished stage. Its prior is fitted, and its backbone is never None."""

    name: str
    stage: Stage
    input: Input
    network: Network | None  # None if the stage trains no network
    history: tuple[dict[str, Any], ...]  # a record for each epoch
    digest: str  # of everything that determines its predictions
    channels: tuple[str, ...] = ONE_CHANNEL  # of the images that it learnt from


def save_stage(folder: StageFolder, record: StageRecord, weights: Mapping[str, Tensor]) -> None:
    """Write a finished stage. `stage.json` is written last and marks the stage as finished.

    Raises:
        UnwritableError: The disk is full, or the folder is read-only.
    """
    described = _described(record)
    if weights:
        write_tensors(folder.weights, weights)
        described["weights_sha256"] = sha256(folder.weights)
    if record.fingerprint is not None:
        described["fingerprint"] = record.fingerprint
    write_json(folder.record, described | {"history": record.history})


def check_can_be_saved(record: StageRecord) -> None:
    """Check that the settings of a stage are the same after they are written and read as JSON.

    Raises:
        InputError: No plugin registers a part, or a value cannot be saved.
    """
    check_offered(record.stage)
    text = json.dumps(_described(record))
    try:
        restored = _stage_of(json.loads(text))
    except ValidationError as error:
        reason = explain(error, Settings()).partition("\n")[0]
        raise InputError(
            f"stage {record.name} cannot be saved, since it could not be loaded again: {reason}"
        ) from None
    check_restored(record.stage, restored)
    for own, again in zip(_learnt_parts(record.stage), _learnt_parts(restored), strict=True):
        check_no_hidden_state(own, again)


def load_stage(folder: StageFolder) -> TrainedStage:
    """Read a finished stage.

    Raises:
        InputError: A file is missing or damaged, or a required component is not installed.
    """
    record, described = read_record(folder), read_json(folder.record)
    determining: list[Any] = [described["stage"], described["input"], record.channels]
    network = None
    if isinstance(record.stage, NetworkStage):
        network = _load_network(folder, record, record.stage)
        digest = sha256(folder.weights)
        if digest != described.get("weights_sha256", digest):
            raise InputError(
                f"{folder.weights}: its SHA-256 differs from the one in {folder.record.name}; copy "
                "both files again, or train the stage again"
            )
        determining.append(digest)
    return TrainedStage(
        name=record.name,
        stage=record.stage,
        input=record.input,
        network=network,
        history=record.history,
        digest=fingerprint(determining),
        channels=record.channels,
    )


def read_record(folder: StageFolder) -> StageRecord:
    """Read the description of a finished stage, without its weights.

    Raises:
        InputError: The file is missing or damaged, or a required component is not installed.
    """
    path = folder.record
    try:
        record = read_json(path)
        input = Input.model_validate(record["input"], context=registry())
        name, history = str(record["name"]), tuple(record.get("history", ()))
        channels = tuple(map(str, record.get("channels", ONE_CHANNEL)))
        stage, fingerprinted = _stage_of(record), record.get("fingerprint")
        return StageRecord(name, stage, input, history, fingerprinted, channels)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, UnknownComponentError):
            raise InputError(f"{path}: {error}") from None
        if isinstance(error, ValidationError):
            reason = explain(error, Settings()).partition("\n")[0]
            raise InputError(f"{path}: {reason}; train the stage again") from None
        raise InputError(f"{path}: the file is missing or damaged; train the stage again") from None


def fingerprint_of(folder: StageFolder) -> str | None:
    """Return the fingerprint of a finished stage, or None if there is none."""
    try:
        record = read_json(folder.record)
        return str(record["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def copy_record(source: StageFolder, target: StageFolder, replaced: Mapping[str, Any]) -> None:
    """Copy `stage.json` and replace some of the stage's settings."""
    record = read_json(source.record)
    write_json(target.record, record | {"stage": record["stage"] | dict(replaced)})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors by name.

    Raises:
        InputError: The file is missing, or is not a complete safetensors file.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(
            f"{path}: file not found; copy the run again, with all of its files"
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: the file is damaged ({error}); copy it again, or train the stage again"
        ) from None


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors by name atomically, with `metadata` in the file's header.

    Raises:
        UnwritableError: The disk is full, or the folder is read-only.
    """
    separate = {
        name: each.clone(memory_format=torch.contiguous_format) for name, each in tensors.items()
    }  # the format does not allow tensors that share memory
    content = save(separate, None if metadata is None else dict(metadata))
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)  # `save_file` would write another temporary file


def _learnt_parts(stage: Stage) -> list[Prior]:
    """Return the parts of a stage that `fit` may change."""
    return [stage.prior] if isinstance(stage, EmStage | PriorStage) else []


def _described(record: StageRecord) -> dict[str, Any]:
    """Return the settings in a record as plain values."""
    return {
        "name": record.name,
        "stage": registry().describe(record.stage),
        "input": registry().describe(record.input),
        "channels": list(record.channels),
    }


def _stage_of(described: Mapping[str, Any]) -> Stage:
    stage: Stage = TypeAdapter[Any](AnyStage).validate_python(
        described["stage"], context=registry()
    )
    return stage


def _load_network(folder: StageFolder, record: StageRecord, stage: NetworkStage) -> Network:
    weights = read_weights(folder.weights)
    if stage.backbone is None:
        raise InputError(f"{folder.record}: the backbone is missing; train the stage again")
    backbone, classes = stage.backbone.untrained(), len(stage.classes)
    network = new_network(backbone, record.input, classes, seed=0, channels=len(record.channels))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"{folder.weights}: the weights do not fit the backbone in {folder.record.name}: "
            f"{reason}"
        ) from None
    return to_channels_last(network).eval()
