"""Prediction of many scans into a folder: pipelined, in parallel, and resumable."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from wsseg.components.registry import registry
from wsseg.core.case import Case
from wsseg.core.code_digest import code_digest
from wsseg.core.contracts import region_files
from wsseg.data.file_digests import file_digest, image_digest
from wsseg.data.mask_files import mask_suffix
from wsseg.data.prepare import Prepared
from wsseg.data.reading import read_case_grid
from wsseg.errors import InputError
from wsseg.inference.ensemble import load_ensemble
from wsseg.inference.folders import PredictionFolder
from wsseg.inference.mirroring import Direction
from wsseg.inference.run import Run
from wsseg.runtime.cache_leases import release
from wsseg.runtime.executors import ThisProcess, WorkerDiedError, Workers
from wsseg.runtime.files import append_line, fingerprint
from wsseg.runtime.freed_memory import return_freed_memory
from wsseg.runtime.threads import pipelined

A = TypeVar("A")
B = TypeVar("B")
Row: TypeAlias = Mapping[str, Any]  # "case", scores and volumes, and "warnings" if there are any


def predict_all(
    run: Run,
    cases: Sequence[Case],
    out: Path,
    workers: Workers,
    mirror: tuple[Direction, ...] = (),
) -> Iterator[tuple[Case, Row | InputError | WorkerDiedError]]:
    """Write the mask of each case into `out`; yield its row, or the error that prevented it.

    Masks that the same run has made from the same files are kept, with their rows. Worker processes
    load the run, or the ensemble, from `run.folder`, with the directions `mirror`.
    """
    masks, remaining = _MaskWriter(PredictionFolder(out), digest_of(run)), list[Case]()
    existing = masks.existing()
    for case in cases:
        row = _or_error(partial(masks.existing_row, existing, run), case)
        if row is None:
            remaining.append(case)
        else:
            yield case, row
    if isinstance(workers, ThisProcess):
        yield from zip(remaining, _in_this_process(run, remaining, masks), strict=True)
        return
    predict = partial(_in_worker, run.folder, mirror, masks)
    for case, result in workers.imap_unordered(predict, remaining):
        if isinstance(result, _MaskRecord):
            masks.note(result)
        yield case, result.row if isinstance(result, _MaskRecord) else result


def digest_of(run: Run) -> str:
    """Return a digest of everything in a run that determines its predictions and scores."""
    recipe, pipeline = run.recipe, run.pipeline
    named = {name: pipeline.digest(name) for name in (*recipe.regions, *recipe.stages)}
    scores = {
        name: [registry().describe(score), code_digest(score)]
        for name, score in recipe.scores.items()
    }
    return fingerprint([named, registry().describe(recipe.input), recipe.classes, scores])


@dataclass(frozen=True)
class _MaskRecord:
    """The row of a mask, and a digest of the run and the files from which it was made."""

    key: str
    row: Row


@dataclass(frozen=True)
class _MaskWriter:
    """Writes the masks of one run, and recognises those written earlier."""

    folder: PredictionFolder
    run_digest: str

    def existing(self) -> dict[str, _MaskRecord]:
        """Return the newest record of each case."""
        path, records = self.folder.record, dict[str, _MaskRecord]()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):  # a crash may truncate the last line
                record = json.loads(line)
                records[record["row"]["case"]] = _MaskRecord(record["key"], record["row"])
        return records

    def existing_row(self, existing: Mapping[str, _MaskRecord], run: Run, case: Case) -> Row | None:
        """Return the row of a mask that can be kept, or None if the mask must be made."""
        if case.name not in existing:
            return None
        if not self.folder.mask(case.name, mask_suffix(read_case_grid(case))).exists():
            return None
        record = existing[case.name]
        return record.row if record.key == self._key(run, case) else None

    def write(self, run: Run, prepared: Prepared) -> _MaskRecord:
        """Write the mask of a case after inference."""
        prediction = run.finish(prepared)
        prediction.save(self.folder.path)
        row: dict[str, Any] = {"case": prepared.case.name, **prediction.scores}
        if prediction.warnings:
            row["warnings"] = " ".join(prediction.warnings)
        release(prepared.folder)
        return _MaskRecord(self._key(run, prepared.case), row)

    def note(self, record: _MaskRecord) -> None:
        """Append a mask's record to the file of records."""
        append_line(self.folder.record, {"key": record.key, "row": record.row})

    def _key(self, run: Run, case: Case) -> str:
        """Return a digest of the run and of the files that a case's mask is made from."""
        files = [f for region in run.recipe.regions.values() for f in region_files(region, case)]
        digests = [image_digest(case), *map(file_digest, files)]
        return fingerprint([self.run_digest, case.name, digests, case.frame, case.axes])


def _in_this_process(
    run: Run, cases: Sequence[Case], masks: _MaskWriter
) -> Iterator[Row | InputError]:
    """Predict cases; meanwhile, the next scan is read and the last mask is written."""

    def infer(prepared: Prepared) -> Prepared:
        run.infer(prepared)
        return_freed_memory()
        return prepared

    def write(prepared: Prepared) -> Row:
        record = masks.write(run, prepared)
        masks.note(record)
        return record.row

    return pipelined(
        cases,
        before=lambda case: _or_error(run.prepare, case),
        work=lambda prepared: _or_error(infer, prepared),
        after=lambda prepared: _or_error(write, prepared),
    )


def _in_worker(
    run_folder: Path, mirror: tuple[Direction, ...], masks: _MaskWriter, case: Case
) -> _MaskRecord | InputError:
    """Predict a case in another process."""
    run = _loaded_run(run_folder, mirror, masks.run_digest)

    def predict(case: Case) -> _MaskRecord:
        prepared = run.prepare(case)
        run.infer(prepared)
        return_freed_memory()
        return masks.write(run, prepared)

    return _or_error(predict, case)


@lru_cache(maxsize=1)
def _loaded_run(folder: Path, mirror: tuple[Direction, ...], digest: str) -> Run:  # noqa: ARG001 - part of the cache's key
    return load_ensemble(folder, mirror).run


def _or_error(step: Callable[[A], B], value: A | InputError) -> B | InputError:
    """Apply `step`, or return an earlier error: an invalid scan must not stop the others."""
    if isinstance(value, InputError):
        return value
    try:
        return step(value)
    except InputError as error:
        return error
