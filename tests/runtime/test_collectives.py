"""Tests of collectives: several processes take the training steps of one process."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from safetensors.torch import load_file

from wsseg.runtime.collectives import gather_batch, shard

ONE_PROCESS = Fabric(accelerator="cpu", devices=1)
PROGRAM = Path(__file__).with_name("train_in_processes.py")


@given(st.integers(1, 20), st.integers(1, 6))
def test_shards_have_equal_lengths_and_interleave_to_the_batch(number: int, processes: int) -> None:
    batch = list(range(number))
    shards = [shard(batch, rank, processes) for rank in range(processes)]
    assert len({len(each) for each in shards}) == 1
    interleaved = [each[i] for i in range(len(shards[0])) for each in shards]
    assert interleaved[:number] == batch
    assert len(interleaved) - number < processes  # the fewest possible items are repeated


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 4))
def test_shards_have_the_smallest_size_without_a_repeated_item(
    number: int, processes: int, smallest: int
) -> None:
    batch = list(range(number))
    shards = [shard(batch, rank, processes, smallest) for rank in range(processes)]
    assert len({len(each) for each in shards}) == 1
    assert len(shards[0]) >= min(smallest, number)
    assert all(len(set(each)) == len(each) for each in shards)
    interleaved = [each[i] for i in range(len(shards[0])) for each in shards]
    assert interleaved[:number] == batch
    if number >= smallest * processes:
        assert shards == [shard(batch, rank, processes) for rank in range(processes)]


def test_gathering_in_one_process_returns_the_tensor_itself() -> None:
    rows = torch.rand(3, 2)
    assert gather_batch(ONE_PROCESS, rows, 3) is rows


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["batch-dice", "smooth-dice", "brighter-counts", "em"])
def test_two_processes_take_the_same_steps_as_one(tmp_path: Path, loss: str) -> None:
    """20 SGD steps in float64, with batch norm frozen; the last batch of an epoch is uneven."""
    alone, together = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    run(1, loss, alone)
    run(2, loss, together)
    expected, found = load_file(alone), load_file(together)
    assert expected["body.0.weight"].dtype == torch.float64
    start = load_file(tmp_path / "1.start.safetensors")
    moved = (expected["body.0.weight"] - start["body.0.weight"]).abs().max()
    assert moved > 1e-3
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["batch-dice", "em"])
def test_two_processes_continue_from_the_state_of_one(tmp_path: Path, loss: str) -> None:
    """With weights, momentum, memory and position in the epoch, all is as with one process."""
    alone, together = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    run(1, loss, alone)
    run(2, loss, together, alone.with_suffix(""))
    found = load_file(together)
    for name, weight in load_file(alone).items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=1e-8)


def run(processes: int, loss: str, out: Path, *state: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    environment |= {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), str(processes), loss, str(out), *map(str, state)]
    subprocess.run(command, env=environment, check=True, timeout=300, capture_output=True)
