"""Tries damaged inputs, and judges how each command took its own."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias, get_args

from benchmarks.reliability.commands import SAID, Command, Ended, tree
from benchmarks.reliability.kinds import KINDS
from benchmarks.reliability.mutations import damage
from benchmarks.reliability.sound import own_cache

MOST_SECONDS = 60.0  # on a busy machine; the commands take a second
MEMORY_BYTES = 3 * 2**30  # more than any sound input takes, less than a bomb does
MOST_LINES, MOST_LETTERS = 7, 4000  # of an error: a recipe may have several mistakes

Outcome: TypeAlias = Literal["success", "clear error", "traceback", "hang", "half-written"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
WELL: tuple[Outcome, ...] = ("success", "clear error")


@dataclass(frozen=True)
class Tried:
    """One damaged input: `kind` and `number` make it again."""

    kind: str
    number: int
    outcome: Outcome
    said: str  # by the command, or about what it left


def tried(kind: str, number: int, sound: Path, work: Path) -> Tried:
    """Copy the folder of sound files to `work`, damage a file there, and run its command."""
    subject = KINDS[kind]
    shutil.copytree(sound, work)
    damage(work / subject.file, subject.changes, Random(f"{kind} {number}"))  # noqa: S311
    before = tree(work)
    ended = Command(
        subject.words, work, memory_bytes=MEMORY_BYTES, environment=own_cache(work)
    ).run(MOST_SECONDS)
    outcome = judged(ended, subject.codes)
    if outcome in WELL and (left := litter(before, tree(work), subject.writes, outcome)):
        outcome = "half-written"
        return Tried(kind, number, outcome, f"left: {', '.join(left)}\n{ended.said}")
    return Tried(kind, number, outcome, ended.said)


def fuzz(
    inputs: int, sound: Path, work: Path, kinds: Sequence[str] = tuple(KINDS)
) -> Iterator[Tried]:
    """Try so many inputs of each kind; the folders of those not taken well stay in `work`."""
    for number in range(inputs):
        for kind in kinds:
            place = work / f"{kind} {number}"
            result = tried(kind, number, sound, place)
            if result.outcome in WELL:
                shutil.rmtree(place)
            yield result


def judged(ended: Ended, codes: tuple[int, ...] = (2,)) -> Outcome:
    """Say how a command ended, by its exit code and its words."""
    if ended.code is None:
        return "hang"
    if ended.code == 0 and "Traceback" not in ended.said:
        return "success"
    before, found, error = ended.said.partition("error: ")
    brief = len(error.splitlines()) <= MOST_LINES and len(error) <= MOST_LETTERS
    readable = all(letter.isprintable() or letter in "\n\t" for letter in ended.said)
    clear = found and brief and readable and "Traceback" not in before + error
    return "clear error" if clear and ended.code in codes else "traceback"


def litter(
    before: Mapping[str, bytes], after: Mapping[str, bytes], writes: Sequence[str], outcome: Outcome
) -> list[str]:
    """Name what should not be there: a file half-written or elsewhere, or one that was changed."""
    allowed = (SAID, "cache", *(writes if outcome == "success" else ()))
    changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    elsewhere = [name for name in changed if not name.startswith(allowed)]
    hidden = [name for name in after if Path(name).name.startswith(".") and name not in before]
    return sorted({*elsewhere, *hidden})
