"""What a stage leaves behind: weights.safetensors and stage.json, enough to use it anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from wsseg.components.registry import UnknownComponentError, registry
from wsseg.config.messages import explain
from wsseg.config.settings import Settings
from wsseg.config.stages import AnyStage, Learning, Stage
from wsseg.core.input import Input
from wsseg.errors import InputError
from wsseg.inference.network import Network, new_network
from wsseg.runtime.files import atomic_write, fingerprint, read_json, sha256, write_json

WEIGHTS = "weights.safetensors"
RECORD = "stage.json"


@dataclass(frozen=True)
class Trained:
    """A finished stage. Its prior is the fitted one, and its backbone is never None."""

    name: str
    stage: Stage
    input: Input
    network: Network | None  # None where the stage learns nothing
    history: tuple[dict[str, Any], ...]  # a record an epoch
    key: str  # digest of all that shapes its predictions


def save_stage(
    folder: Path,
    name: str,
    stage: Stage,
    input: Input,
    weights: dict[str, Tensor],
    record: dict[str, Any],
) -> None:
    """Write a finished stage; `stage.json` comes last, so that its presence means finished."""
    described = {
        "name": name,
        "stage": registry().describe(stage),
        "input": registry().describe(input),
    }
    if weights:
        write_tensors(folder / WEIGHTS, weights)
        described["weights_sha256"] = sha256(folder / WEIGHTS)
    write_json(folder / RECORD, described | record)


def load_stage(folder: Path) -> Trained:
    """Read a finished stage.

    Raises:
        InputError: A file is missing or damaged, or a part it needs is not installed.
    """
    try:
        record = read_json(folder / RECORD)
        stage: Stage = TypeAdapter[Any](AnyStage).validate_python(
            record["stage"], context=registry()
        )
        input = Input.model_validate(record["input"])
        name, history = str(record["name"]), tuple(record.get("history", ()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, UnknownComponentError):
            raise InputError(f"{folder / RECORD}: {error}") from None
        if isinstance(error, ValidationError):
            reason = explain(error, Settings()).partition("\n")[0]
            raise InputError(f"{folder / RECORD}: {reason}; train the stage again") from None
        raise InputError(f"{folder / RECORD}: missing or damaged; train the stage again") from None
    shaping: list[Any] = [record["stage"], record["input"]]
    network = None
    if isinstance(stage, Learning):
        network = _load_network(folder / WEIGHTS, stage, input)
        digest = sha256(folder / WEIGHTS)
        if digest != record.get("weights_sha256", digest):
            raise InputError(f"{folder / WEIGHTS}: is not what {RECORD} says; copy or train again")
        shaping.append(digest)
    return Trained(name, stage, input, network, history, fingerprint(shaping))


def fingerprint_of(folder: Path) -> str | None:
    """Return the fingerprint of the finished stage in `folder`; None where there is none."""
    try:
        record = read_json(folder / RECORD)
        return str(record["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors by name.

    Raises:
        InputError: The file is missing or is not what safetensors wrote.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; the run was not copied whole") from None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); copy or train it again") from None


def _load_network(path: Path, stage: Learning, input: Input) -> Network:
    weights = read_weights(path)
    if stage.backbone is None:
        raise InputError(f"{path.parent / RECORD}: names no backbone; train the stage again")
    network = new_network(stage.backbone.untrained(), input, len(stage.classes), seed=0)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path}: does not fit the backbone in {RECORD}: {reason}") from None
    return network.to(memory_format=torch.channels_last).eval()


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None
) -> None:
    """Write tensors by name, with texts `about` them, whole or not at all.

    Raises:
        UnwritableError: The disk is full, or the folder is not for writing.
    """
    with atomic_write(path) as temporary:
        try:
            whole = {
                name: each.clone(memory_format=torch.contiguous_format)
                for name, each in tensors.items()
            }  # the format knows no shared memory
            save_file(whole, temporary, None if about is None else dict(about))
        except SafetensorError as error:  # of what the system says, too
            raise OSError(str(error)) from None
