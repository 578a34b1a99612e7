"""Tensors in files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from wsseg.inference import checkpoint
from wsseg.inference.checkpoint import write_tensors
from wsseg.runtime.files import atomic_write


def test_weights_shared_by_two_layers_are_saved_under_both_names(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    write_tensors(tmp_path / "w.safetensors", net.state_dict())
    found = load_file(tmp_path / "w.safetensors")
    assert sorted(found) == ["0.bias", "0.weight", "1.bias", "1.weight"]
    assert all(torch.equal(found[name], each) for name, each in net.state_dict().items())


def test_tensors_are_saved_correctly_in_any_memory_format(tmp_path: Path) -> None:
    image = torch.arange(24.0).reshape(1, 2, 3, 4)
    stored = {"last": image.to(memory_format=torch.channels_last), "part": image[..., 1]}
    write_tensors(tmp_path / "w.safetensors", stored)
    found = load_file(tmp_path / "w.safetensors")
    assert torch.equal(found["last"], image)
    assert torch.equal(found["part"], image[..., 1])


def test_the_umask_decides_who_can_read_the_weights(tmp_path: Path) -> None:
    write_tensors(tmp_path / "w.safetensors", {"weight": torch.ones(2)})
    (tmp_path / "other").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_write_creates_no_file_except_the_one_that_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill would leave another one behind, whose name is not known."""
    files: list[int] = []

    @contextmanager
    def observed(path: Path) -> Iterator[Path]:
        with atomic_write(path) as temporary:
            files.append(temporary.stat().st_ino)
            yield temporary
            files.append(temporary.stat().st_ino)

    monkeypatch.setattr(checkpoint, "atomic_write", observed)
    write_tensors(tmp_path / "weights.safetensors", {"weight": torch.ones(3)})
    assert files[0] == files[1]
