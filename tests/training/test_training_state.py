"""The saved state of an unfinished stage is replaced atomically."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from wsseg.errors import WorkError
from wsseg.inference.folders import StageFolder
from wsseg.training.training_state import load_state, save_state


@contextmanager
def full_disk(file_bytes: int) -> Iterator[None]:
    """Let writing fail once a file has this size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_state_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    assert load_state(StageFolder(tmp_path), "key") is None
    save_state(StageFolder(tmp_path), {"w": torch.tensor([1.5])}, {"step": 1}, "key")
    tensors, plain = load_state(StageFolder(tmp_path), "key") or ({}, {})
    assert tensors["w"].tolist() == [1.5]
    assert plain == {"step": 1}


def test_a_full_disk_keeps_the_state_saved_before(tmp_path: Path) -> None:
    save_state(StageFolder(tmp_path), {"w": torch.zeros(3)}, {"step": 1}, "key")
    with full_disk(4096), pytest.raises(WorkError) as caught:
        save_state(StageFolder(tmp_path), {"w": torch.ones(10_000)}, {"step": 2}, "key")
    for words in ("cannot be written", "the state saved before is intact", "--resume"):
        assert words in str(caught.value)
    tensors, plain = load_state(StageFolder(tmp_path), "key") or ({}, {})
    assert tensors["w"].tolist() == [0, 0, 0]
    assert plain == {"step": 1}
    assert [path.name for path in (tmp_path / "last").iterdir()] == ["state.safetensors"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_an_error_at_the_end_of_writing_keeps_the_state_saved_before(
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


def test_a_state_that_cannot_be_written_is_a_work_error(tmp_path: Path) -> None:
    (tmp_path / "last").write_text("a file where the folder should be")
    with pytest.raises(WorkError, match="no state was saved before"):
        save_state(StageFolder(tmp_path), {"w": torch.ones(3)}, {"step": 2}, "key")
