"""Runs commands on damaged inputs and judges their outcomes."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias, get_args

from benchmarks.reliability.commands import OUTPUT, Command, Result, file_contents
from benchmarks.reliability.kinds import KINDS
from benchmarks.reliability.mutations import damage_file
from benchmarks.reliability.valid_inputs import own_cache

TIMEOUT_S = 300.0  # on a busy machine; the commands take a second
MEMORY_BYTES = 3 * 2**30  # more than any valid input needs, less than a decompression bomb
MAX_LINES, MAX_CHARACTERS = 7, 4000  # of an error message, which may list several problems

Outcome: TypeAlias = Literal["success", "clear error", "traceback", "hang", "half-written"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
ACCEPTED: tuple[Outcome, ...] = ("success", "clear error")


@dataclass(frozen=True)
class Trial:
    """The outcome for one damaged input, which `kind` and `number` determine."""

    kind: str
    number: int
    outcome: Outcome
    output: str  # of the command, after what is wrong with its exit code or its files


def run_trial(kind: str, number: int, valid: Path, work: Path) -> Trial:
    """Copy the folder of valid files to `work`, damage a file there, and run its command."""
    subject = KINDS[kind]
    shutil.copytree(valid, work)
    damage_file(work / subject.file, subject.changes, Random(f"{kind} {number}"))  # noqa: S311
    before = file_contents(work)
    result = Command(
        subject.words, work, memory_bytes=MEMORY_BYTES, environment=own_cache(work)
    ).run(TIMEOUT_S)
    outcome = judge(result, subject.codes)
    if outcome in ACCEPTED and (
        left := unexpected_files(before, file_contents(work), subject.writes, outcome)
    ):
        outcome = "half-written"
        return Trial(kind, number, outcome, f"left: {', '.join(left)}\n{result.output}")
    if outcome not in ACCEPTED:
        return Trial(kind, number, outcome, f"exit code: {result.code}\n{result.output}")
    return Trial(kind, number, outcome, result.output)


def fuzz(
    inputs: int,
    valid: Path,
    work: Path,
    kinds: Sequence[str] = tuple(KINDS),
    jobs: int = 1,
) -> Iterator[Trial]:
    """Try `inputs` inputs of each kind, `jobs` at a time.

    The folders of failures are kept in `work`.
    """

    def try_next(kind_and_number: tuple[str, int]) -> Trial:
        kind, number = kind_and_number
        place = work / f"{kind} {number}"
        trial = run_trial(kind, number, valid, place)
        if trial.outcome in ACCEPTED:
            shutil.rmtree(place)
        return trial

    each = [(kind, number) for number in range(inputs) for kind in kinds]
    with ThreadPoolExecutor(jobs) as threads:  # a trial is a process of its own
        yield from threads.map(try_next, each)


def judge(result: Result, codes: tuple[int, ...] = (2,)) -> Outcome:
    """Return the outcome of a command from its exit code and output."""
    if result.code is None:
        return "hang"
    if result.code == 0 and "Traceback" not in result.output:
        return "success"
    before, found, error = result.output.partition("error: ")
    brief = len(error.splitlines()) <= MAX_LINES and len(error) <= MAX_CHARACTERS
    readable = all(character.isprintable() or character in "\n\t" for character in result.output)
    clear = found and brief and readable and "Traceback" not in before + error
    return "clear error" if clear and result.code in codes else "traceback"


def unexpected_files(
    before: Mapping[str, bytes], after: Mapping[str, bytes], writes: Sequence[str], outcome: Outcome
) -> list[str]:
    """Return the paths of files that are half-written, outside the output folder or changed."""
    allowed = (OUTPUT, "cache", *(writes if outcome == "success" else ()))
    changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    elsewhere = [name for name in changed if not name.startswith(allowed)]
    hidden = [name for name in after if Path(name).name.startswith(".") and name not in before]
    return sorted({*elsewhere, *hidden})
