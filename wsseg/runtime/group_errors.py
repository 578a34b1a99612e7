"""How processes that train as one end: what ends one ends all, and is told once."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from torch import distributed

from wsseg.errors import InputError, InterruptedWorkError, UnwritableError, WorkError
from wsseg.runtime.device import open_fabric
from wsseg.runtime.launcher import exit_with_launcher
from wsseg.runtime.process_group import Group

CAUSE = "wsseg/cause"  # in the store that all processes see: JSON of the first error
TOLD = {kind.__name__: kind for kind in (InputError, InterruptedWorkError, WorkError)}
LOST = ("gloo", "nccl", "connection")  # one of them is in what torch says of a process that is gone


@contextmanager
def group_session(group: Group) -> Iterator[None]:
    """Work as a process of `group`: an error in any ends all.

    The leader raises the first one, whoever had it, and the others end without a word.
    """
    if group.processes == 1:
        yield
        return
    exit_with_launcher()
    if not group.is_leader:
        logging.disable(logging.WARNING)  # the leader says the same
    try:
        open_fabric("float32", group)
        yield
    except Exception as error:  # noqa: BLE001 - all ends all
        _end(group, error)
    distributed.destroy_process_group()


def _end(group: Group, error: Exception) -> NoReturn:
    mine = _described(group, error)
    first = _first(mine)
    if not group.is_leader:
        raise SystemExit(2 if isinstance(error, InputError) else 1) from None
    if first == mine and not _is_loss(error):
        raise error
    cause = json.loads(first)
    raise TOLD[cause["kind"]](cause["text"]) from None


def _described(group: Group, error: Exception) -> str:
    """Return kind and text of an error as the leader shall raise it."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, UnwritableError):
        kind = WorkError.__name__
    elif _is_loss(error):
        kind, text = WorkError.__name__, _lost(group)
    elif kind not in TOLD:
        kind, text = (
            WorkError.__name__,
            f"process {group.rank} of {group.processes}: {kind}: {text}",
        )
    return json.dumps({"kind": kind, "text": text})


def _first(mine: str) -> str:
    """Leave word of an error; return the first that anyone left."""
    with suppress(distributed.DistError, KeyError):  # the store goes with the leader
        store = distributed.TCPStore(  # type: ignore[attr-defined] # public, but not for mypy
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False
        )
        return bytes(store.compare_set(CAUSE, "", mine)).decode()
    return mine


def _is_loss(error: Exception) -> bool:
    """Say whether an error is only what torch makes of another process that is gone."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in LOST)


def _lost(group: Group) -> str:
    return (
        f"one of {group.processes} processes that trained together is gone; was it killed, or the "
        "memory too small?\n"
        "What was saved last is kept; the same command with --resume goes on from there"
    )
