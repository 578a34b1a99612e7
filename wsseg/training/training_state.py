"""The state of a stage half-way: one file, renamed into place, so there is always a whole one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wsseg.errors import InputError, UnwritableError, WorkError
from wsseg.inference.checkpoint import write_tensors

STATE = "last/state.safetensors"


def save_state(
    folder: Path, tensors: dict[str, Tensor], plain: dict[str, Any], fingerprint: str
) -> None:
    """Write what a stage, whose data and settings have `fingerprint`, needs to go on.

    Raises:
        WorkError: It cannot be written; the state before is kept.
    """
    text = json.dumps(plain)
    about = {"plain": text, "fingerprint": fingerprint, "digest": _digest(tensors, text)}
    path = folder / STATE
    try:
        write_tensors(path, tensors, about)
    except UnwritableError as error:
        kept = "the state saved before is kept" if path.exists() else "nothing was saved before"
        raise WorkError(
            f"{error}; {kept}.\n"
            "Make room or give leave to write there; the same command with --resume goes on"
        ) from None


def load_state(folder: Path, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the state, or return None where none was saved.

    Raises:
        InputError: It is damaged, or belongs to other data or settings.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about["digest"] != _digest(tensors, about["plain"]):
            raise ValueError("its numbers are not those that were saved")
        plain: dict[str, Any] = json.loads(about["plain"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: damaged ({error}); delete it to start the stage afresh"
        ) from None
    if about.get("fingerprint") != fingerprint:
        raise InputError(
            f"{path}: was saved with other data or settings than these; go on with the recipe it "
            "was begun with, or choose another --out"
        )
    return tensors, plain


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """Digest what a state holds: a bit that flips in weights is still a number."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        numbers = tensors[name].cpu().contiguous().flatten().view(torch.uint8)
        digest.update(name.encode())
        digest.update(numbers.numpy().data)
    return digest.hexdigest()
