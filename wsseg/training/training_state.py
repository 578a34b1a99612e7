"""The saved state of an unfinished stage: one file, replaced atomically."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wsseg.errors import InputError, UnwritableError, WorkError
from wsseg.inference.checkpoint import write_tensors
from wsseg.inference.folders import StageFolder


def save_state(
    folder: StageFolder, tensors: dict[str, Tensor], values: dict[str, Any], fingerprint: str
) -> None:
    """Save the tensors and JSON-like values needed to resume the stage with this fingerprint.

    Raises:
        WorkError: The file cannot be written; the state saved before is intact.
    """
    text = json.dumps(values)
    metadata = {"plain": text, "fingerprint": fingerprint, "digest": _digest(tensors, text)}
    try:
        write_tensors(folder.state, tensors, metadata)
    except UnwritableError as error:
        saved = folder.state.exists()
        kept = "the state saved before is intact" if saved else "no state was saved before"
        raise WorkError(
            f"{error}; {kept}.\n"
            "Free some disk space, or make the folder writable; then resume with --resume"
        ) from None


def load_state(
    folder: StageFolder, fingerprint: str
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the saved state; return None if there is none.

    Raises:
        InputError: The file is damaged, or was saved with other data or settings.
    """
    path = folder.state
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["digest"] != _digest(tensors, metadata["plain"]):
            raise ValueError("its contents do not match its digest")
        values: dict[str, Any] = json.loads(metadata["plain"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: the file is damaged ({error}); delete it to restart the stage"
        ) from None
    if metadata.get("fingerprint") != fingerprint:
        raise InputError(
            f"{path}: it was saved with other data, settings, code or package versions; resume "
            "with the original ones, delete it to restart the stage, or choose another --out"
        )
    return tensors, values


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """Return a digest of all numbers, since a flipped bit in a weight is still a valid number."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        numbers = tensors[name].cpu().contiguous().flatten().view(torch.uint8)
        digest.update(name.encode())
        digest.update(numbers.numpy().data)
    return digest.hexdigest()
