"""Predicts many scans into a folder: overlapped, shared among workers, and resumed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from wsseg.components.registry import registry
from wsseg.core.case import Case
from wsseg.data.prepare import Prepared, file_digest
from wsseg.errors import InputError
from wsseg.inference.run import Run, load_run, mask_path
from wsseg.runtime.cache_leases import release
from wsseg.runtime.executors import ThisProcess, WorkerDiedError, Workers
from wsseg.runtime.files import append_line, fingerprint
from wsseg.runtime.threads import pipelined

DONE = "predicted.jsonl"  # beside the masks: a line a mask, its row and what it was made from

A = TypeVar("A")
B = TypeVar("B")
Row: TypeAlias = Mapping[str, Any]  # "case", then scores and volumes


def predict_all(
    run: Run, cases: Sequence[Case], out: Path, workers: Workers
) -> Iterator[tuple[Case, Row | InputError | WorkerDiedError]]:
    """Write each case's mask into `out` and yield its row, or why there is none.

    A mask that is there already, from the same run and the same files, is taken over with its row.
    """
    folder, left = _Folder(out, digest_of(run)), list[Case]()
    made = folder.made()
    for case in cases:
        row = _or_error(partial(folder.taken_over, made, run), case)
        if row is None:
            left.append(case)
        else:
            yield case, row
    if isinstance(workers, ThisProcess):
        yield from zip(left, _here(run, left, folder), strict=True)
        return
    for case, came in workers.each(partial(_elsewhere, run.folder, folder), left):
        if isinstance(came, _Made):
            folder.keep(came)
        yield case, came.row if isinstance(came, _Made) else came


def digest_of(run: Run) -> str:
    """Digest all of a run that shapes what it predicts of a scan."""
    recipe, regions = run.recipe, run.regions
    named = {name: regions.digest(name) for name in (*recipe.regions, *recipe.stages)}
    scores = {name: registry().describe(score) for name, score in recipe.scores.items()}
    return fingerprint([named, registry().describe(recipe.input), recipe.classes, scores])


@dataclass(frozen=True)
class _Made:
    """A mask that was written: what it was made from, and its row."""

    key: str
    row: Row


@dataclass(frozen=True)
class _Folder:
    """Masks, and what is known of them."""

    path: Path
    run: str  # its digest

    def made(self) -> dict[str, _Made]:
        """Return what was written last of each case."""
        path, made = self.path / DONE, dict[str, _Made]()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):  # a last line that was cut short
                record = json.loads(line)
                made[record["row"]["case"]] = _Made(record["key"], record["row"])
        return made

    def taken_over(self, made: Mapping[str, _Made], run: Run, case: Case) -> Row | None:
        """Return the row of a mask that is there already; None where there is none."""
        if case.name not in made or not mask_path(self.path, case).exists():
            return None
        known = made[case.name]
        return known.row if known.key == self.key(run, case) else None

    def key(self, run: Run, case: Case) -> str:
        """Digest what a case's mask is made from."""
        read = [case.image, *(f for r in run.recipe.regions.values() for f in r.files(case))]
        digests = [file_digest(path) for path in read]
        return fingerprint([self.run, case.name, digests, case.frame, case.axes])

    def make(self, run: Run, prepared: Prepared) -> _Made:
        """Write the mask of a case that the networks have looked at."""
        prediction = run.finish(prepared)
        prediction.save(self.path)
        row = {"case": prepared.case.name, **prediction.scores}
        release(prepared.folder)
        return _Made(self.key(run, prepared.case), row)

    def keep(self, made: _Made) -> None:
        """Note that a mask is there."""
        append_line(self.path / DONE, {"key": made.key, "row": made.row})


def _here(run: Run, cases: Sequence[Case], folder: _Folder) -> Iterator[Row | InputError]:
    """Predict in this process: the next scan is read and the last one written meanwhile."""

    def infer(prepared: Prepared) -> Prepared:
        run.infer(prepared)
        return prepared

    def write(prepared: Prepared) -> Row:
        made = folder.make(run, prepared)
        folder.keep(made)
        return made.row

    return pipelined(
        cases,
        before=lambda case: _or_error(run.prepare, case),
        work=lambda prepared: _or_error(infer, prepared),
        after=lambda prepared: _or_error(write, prepared),
    )


def _elsewhere(run_folder: Path, folder: _Folder, case: Case) -> _Made | InputError:
    """Predict in a worker."""
    run = _opened(run_folder, folder.run)

    def make(case: Case) -> _Made:
        prepared = run.prepare(case)
        run.infer(prepared)
        return folder.make(run, prepared)

    return _or_error(make, case)


@lru_cache(maxsize=1)
def _opened(folder: Path, digest: str) -> Run:  # noqa: ARG001 - another digest is another run
    return load_run(folder)


def _or_error(step: Callable[[A], B], thing: A | InputError) -> B | InputError:
    """Take a step, unless one before has failed; what is wrong with a scan ends no other."""
    if isinstance(thing, InputError):
        return thing
    try:
        return step(thing)
    except InputError as error:
        return error
