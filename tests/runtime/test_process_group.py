"""Tests of the group of processes in which torchrun, Slurm or wsseg starts a process."""

import pytest

from wsseg.errors import InputError
from wsseg.runtime.process_group import Group, launched_group, requested_group

TORCHRUN = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
SLURM = {
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_PROCID": "5",
}


@pytest.mark.parametrize("environment", [TORCHRUN, SLURM])
def test_torchrun_and_slurm_give_a_process_its_group_and_rank(
    environment: dict[str, str],
) -> None:
    assert launched_group(environment) == Group(devices=4, nodes=2, rank=5)


def test_a_process_without_a_launcher_has_the_requested_group() -> None:
    assert launched_group({}) is None
    assert launched_group({"SLURM_NTASKS": "8"}) is None  # a batch script, without srun
    assert requested_group(None, None) == Group(1)
    assert requested_group(3, None) == Group(3)


def test_a_number_of_devices_other_than_launched_is_refused() -> None:
    with pytest.raises(InputError, match="--devices 3, but 4 processes"):
        requested_group(3, launched_group(TORCHRUN))
    with pytest.raises(InputError, match="--ntasks-per-node"):
        launched_group(SLURM | {"SLURM_NTASKS_PER_NODE": "8"})
