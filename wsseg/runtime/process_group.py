"""Which processes train as one, and which of them this is."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from wsseg.errors import InputError


@dataclass(frozen=True)
class Group:
    """Processes that train as one, a device each: as many on every machine."""

    devices: int = 1  # on each machine
    nodes: int = 1  # machines
    rank: int = 0  # this process's number among all

    @property
    def processes(self) -> int:
        """How many there are."""
        return self.devices * self.nodes

    @property
    def is_leader(self) -> bool:
        """Whether this process is the one that prepares, shows, logs and saves."""
        return self.rank == 0


SINGLE_PROCESS = Group()


def launched_group(environment: Mapping[str, str] = os.environ) -> Group | None:
    """Return the group that torchrun, Slurm's srun or `launch` began this process in; None: none.

    Raises:
        InputError: Slurm's machines do not have equally many tasks, or it was not said how many.
    """
    if {"RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"} <= environment.keys():
        devices = int(environment["LOCAL_WORLD_SIZE"])
        nodes = int(environment["WORLD_SIZE"]) // devices
        return Group(devices, nodes, int(environment["RANK"]))
    tasks = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks == 1:
        return None
    nodes = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
    if environment.get("SLURM_NTASKS_PER_NODE") != str(tasks // nodes) or tasks % nodes:
        raise InputError(
            f"srun began {tasks} tasks on {nodes} nodes without an equal --ntasks-per-node; give "
            "that to sbatch, a task for each GPU of a node"
        )
    return Group(tasks // nodes, nodes, int(environment["SLURM_PROCID"]))


def requested_group(devices: int | None, here: Group | None) -> Group:
    """Return the group to be: what was asked for, which is what this process was begun in, if any.

    Raises:
        InputError: Another number was asked for than was begun.
    """
    if here is not None and devices not in (None, here.devices):
        raise InputError(
            f"--devices {devices}, but {here.devices} processes were begun on this machine; leave "
            "--devices to torchrun or Slurm"
        )
    return here or Group(devices or 1)
