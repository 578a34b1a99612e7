"""A state is there whole or not at all, and what could not be saved is said."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wsseg.errors import WorkError
from wsseg.inference.folders import StageFolder
from wsseg.training.training_state import load_state, save_state

SAVE_MORE_THAN_FITS = """\
import resource, sys
from pathlib import Path
import torch
from wsseg.errors import WorkError
from wsseg.inference.folders import StageFolder
from wsseg.training.training_state import save_state
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # a disk that is full after 4 KiB
try:
    save_state(StageFolder(Path(sys.argv[1])), {"w": torch.ones(10_000)}, {"step": 2}, "key")
except WorkError as error:
    print(error)
"""


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    assert load_state(StageFolder(tmp_path), "key") is None
    save_state(StageFolder(tmp_path), {"w": torch.tensor([1.5])}, {"step": 1}, "key")
    tensors, plain = load_state(StageFolder(tmp_path), "key") or ({}, {})
    assert tensors["w"].tolist() == [1.5]
    assert plain == {"step": 1}


def test_a_full_disk_leaves_the_state_before(tmp_path: Path) -> None:
    save_state(StageFolder(tmp_path), {"w": torch.zeros(3)}, {"step": 1}, "key")
    command = [sys.executable, "-c", SAVE_MORE_THAN_FITS, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cannot be written" in said
    assert "the state saved before is intact" in said
    assert "--resume" in said
    tensors, plain = load_state(StageFolder(tmp_path), "key") or ({}, {})
    assert tensors["w"].tolist() == [0, 0, 0]
    assert plain == {"step": 1}
    assert [path.name for path in (tmp_path / "last").iterdir()] == ["state.safetensors"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_write_that_fails_at_its_end_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    save_state(StageFolder(tmp_path), {"w": torch.zeros(3)}, {"step": 1}, "key")

    def fail(file: int) -> None:  # noqa: ARG001
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(WorkError, match=f"{os.strerror(number)}.*before is intact"):
            save_state(StageFolder(tmp_path), {"w": torch.ones(3)}, {"step": 2}, "key")
    assert (load_state(StageFolder(tmp_path), "key") or ({}, {}))[1] == {"step": 1}


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "last").write_text("a file where the folder should be")
    with pytest.raises(WorkError, match="no state was saved before"):
        save_state(StageFolder(tmp_path), {"w": torch.ones(3)}, {"step": 2}, "key")
