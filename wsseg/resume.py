"""The state of a stage half-way: one file, renamed into place, so there is always a whole one."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wsseg.errors import InputError, WorkError
from wsseg.files import written_whole

STATE = "last/state.safetensors"


def save_state(
    folder: Path, tensors: dict[str, Tensor], plain: dict[str, Any], fingerprint: str
) -> None:
    """Write what a stage, whose data and settings have `fingerprint`, needs to go on.

    Raises:
        WorkError: It cannot be written; the state before is kept.
    """
    about = {"plain": json.dumps(plain), "fingerprint": fingerprint}
    path = folder / STATE
    try:
        with written_whole(path) as temporary:
            save_file({name: t.contiguous() for name, t in tensors.items()}, temporary, about)
    except (SafetensorError, OSError) as error:
        kept = "the state saved before is kept" if path.exists() else "nothing was saved before"
        raise WorkError(
            f"{path}: cannot be written ({error}); {kept}.\n"
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
