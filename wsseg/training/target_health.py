"""Rules that detect, from the records of epochs, whether EM's targets collapse or fill the region.

This module does not import torch, so that reports can use it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

COLLAPSED_SHARE = 0.001  # of the support; with fewer targets, the network only learns background
FULL_SHARE = 0.97  # of the support; with more targets, only the tag counts, not the pixels
GRACE_SHARE = 0.4  # of the epochs; before that, targets may still change a lot
COLLAPSE, EXPLOSION = "collapse", "explosion"
PROBLEM_WORDS = {COLLAPSE: "targets are empty", EXPLOSION: "targets fill the region"}
NOT_A_RESULT = "not a result"
SEPARATOR = "; "  # between problems


def target_problem(record: Mapping[str, Any]) -> str | None:
    """Return `COLLAPSE` or `EXPLOSION` for an epoch's targets, or None.

    None in the first `GRACE_SHARE` of epochs, and for stages without EM.
    """
    if not {"probe_share", "epoch", "epochs"} <= record.keys():
        return None
    if record["epoch"] < GRACE_SHARE * record["epochs"]:
        return None
    if record["probe_share"] < COLLAPSED_SHARE:
        return COLLAPSE
    return EXPLOSION if record["probe_share"] > FULL_SHARE else None


def final_problems(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Describe the problem of each stage whose last epoch has one.

    `records` are those of a run's log, in order; records without `probe_share` are ignored.
    """
    last = {str(each["stage"]): each for each in records if "probe_share" in each}
    problems = {stage: target_problem(record) for stage, record in last.items()}
    return {stage: PROBLEM_WORDS[each] for stage, each in problems.items() if each is not None}
