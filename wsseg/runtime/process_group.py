"""The processes that train one model together, and the rank of this process among them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from wsseg.errors import InputError


@dataclass(frozen=True)
class Group:
    """Processes that train one model together, with one device each."""

    devices: int = 1  # per node
    nodes: int = 1
    rank: int = 0  # of this process

    @property
    def processes(self) -> int:
        """The number of processes."""
        return self.devices * self.nodes

    @property
    def is_leader(self) -> bool:
        """True in the one process that prepares, displays, logs and saves."""
        return self.rank == 0


SINGLE_PROCESS = Group()


def launched_group(environment: Mapping[str, str] = os.environ) -> Group | None:
    """Return the group in which torchrun, srun or `launch` started this process, or None.

    Raises:
        InputError: Slurm's nodes have different or unknown numbers of tasks.
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
            f"srun started {tasks} tasks on {nodes} nodes without an equal --ntasks-per-node; "
            "give that option to sbatch, with one task for each GPU of a node"
        )
    return Group(tasks // nodes, nodes, int(environment["SLURM_PROCID"]))


def requested_group(devices: int | None, launched: Group | None) -> Group:
    """Return the launched group if there is one, else a group of `devices` on this node.

    Raises:
        InputError: `devices` differs from the number of launched processes on this node.
    """
    if launched is not None and devices not in (None, launched.devices):
        raise InputError(
            f"--devices {devices}, but {launched.devices} processes were started on this machine; "
            "leave out --devices under torchrun or Slurm"
        )
    return launched or Group(devices or 1)
