"""Errors in a group of training processes: an error in one ends all, and is reported once."""

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

CAUSE = "wsseg/cause"  # key in the store of all processes: the first error, as JSON
REPORTED = {kind.__name__: kind for kind in (InputError, InterruptedWorkError, WorkError)}
CONNECTION_WORDS = ("gloo", "nccl", "connection")  # in torch's errors after a process has ended


@contextmanager
def group_session(group: Group) -> Iterator[None]:
    """Run the block as one process of `group`; an error in any process ends all of them.

    The leader raises the first error, whichever process it came from; the others exit silently.
    """
    if group.processes == 1:
        yield
        return
    exit_with_launcher()
    if not group.is_leader:
        logging.disable(logging.WARNING)  # the leader logs the same
    try:
        open_fabric("float32", group)
        yield
    except Exception as error:  # noqa: BLE001 - any error ends all processes
        _end(group, error)
    distributed.destroy_process_group()


def _end(group: Group, error: Exception) -> NoReturn:
    own = _as_json(group, error)
    first = _first_error(own)
    if not group.is_leader:
        raise SystemExit(2 if isinstance(error, InputError) else 1) from None
    if first == own and not _is_connection_loss(error):
        raise error
    cause = json.loads(first)
    raise REPORTED[cause["kind"]](cause["text"]) from None


def _as_json(group: Group, error: Exception) -> str:
    """Return the kind and the text of the error that the leader raises for `error`."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, UnwritableError):
        kind = WorkError.__name__
    elif _is_connection_loss(error):
        kind, text = WorkError.__name__, _lost_process(group)
    elif kind not in REPORTED:
        kind, text = (
            WorkError.__name__,
            f"process {group.rank} of {group.processes}: {kind}: {text}",
        )
    return json.dumps({"kind": kind, "text": text})


def _first_error(own: str) -> str:
    """Store this process's error unless there is one already; return the stored error."""
    with suppress(distributed.DistError, KeyError):  # the store ends with the leader
        store = distributed.TCPStore(  # type: ignore[attr-defined] # public, but not for mypy
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False
        )
        return bytes(store.compare_set(CAUSE, "", own)).decode()
    return own


def _is_connection_loss(error: Exception) -> bool:
    """Return whether torch raised `error` only because another process has ended."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in CONNECTION_WORDS)


def _lost_process(group: Group) -> str:
    return (
        f"one of the {group.processes} training processes has ended; it may have been killed, or "
        "was out of memory.\n"
        "The last saved state is kept; continue with the same command and --resume"
    )
