"""Rows: one per method, seed, fold and case, and the CSV file that holds them."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wsseg.errors import InputError, known_words
from wsseg.files import written_whole
from wsseg.metrics import Mask, Metric, Score, Spacing

KEY = ("method", "seed", "fold", "case")  # no two rows of a file agree in all four
IDENTITY = (*KEY, "patient", "site")  # text, but for the seed; every other column is a number


def score_case(
    predicted: Mapping[str, Mask],
    true: Mapping[str, Mask],
    spacing_mm: Spacing,
    *,
    classes: Sequence[str],
    within: Mapping[str, str | None],
    metrics: Mapping[str, Metric],
    scores: Mapping[str, Score],
) -> dict[str, float]:
    """Return the numbers of a case's row.

    `predicted` holds the masks of classes and of named regions, `true` of what is annotated;
    `within` names the region that a class was predicted in (None: the whole image); a metric of
    the annotated region has no columns where that is a class without annotation. The target, the
    last of `classes`, has the metrics' columns, another class has `<class>.<column>`, one that is
    not annotated has none. A score is `<name>` from the prediction, and `<name>_true` from the
    annotation where it has every class needed; a region without annotation counts as predicted.

    Raises:
        InputError: masks differ in shape, or a score needs one that was not predicted.
    """
    _check_shapes(predicted, true)
    regions = {name: mask for name, mask in predicted.items() if name not in classes}
    labelled = {**regions, **true}
    row: dict[str, float] = {}
    for name in classes:
        if name not in true:
            continue
        prefix = "" if name == classes[-1] else f"{name}."
        for metric in metrics.values():
            region = _region(labelled if metric.in_annotated_region else predicted, within[name])
            if region is not None:
                measured = metric(predicted[name], true[name], spacing_mm, region)
                row |= {f"{prefix}{column}": value for column, value in measured.items()}
    for name, score in scores.items():
        row |= _score(name, score, predicted, labelled)
    return row


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV: who and which first, then tags, then numbers as they first appear.

    NaN and None are written as nothing, bools as 1 and 0.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.sort(key=_place)  # stable
    with (
        written_whole(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in rows)


def read_rows(path: Path) -> pd.DataFrame:
    """Read rows as `write_rows` wrote them: names as text, numbers as floats, NaN where empty.

    A file needs a column `case`; a missing patient is the case itself, a missing seed is 0.

    Raises:
        InputError: it is no such table, a number is none, or a case stands in it twice.
    """
    header, lines = _read_csv(path)
    table = {name: [line[column] for line in lines] for column, name in enumerate(header)}
    defaults = {"patient": table["case"], "seed": ["0"] * len(lines)}
    blank = [""] * len(lines)
    frame = pd.DataFrame(
        {name: table.pop(name, defaults.get(name, blank)) for name in IDENTITY}, dtype=object
    )
    frame["seed"] = [_seed(path, number, text) for number, text in enumerate(frame["seed"], 2)]
    numbers = {name: _numbers(path, name, column) for name, column in table.items()}
    frame = pd.concat([frame, pd.DataFrame(numbers, index=frame.index, dtype=float)], axis=1)
    twice = frame[frame.duplicated(list(KEY))]
    if len(twice):
        key = ", ".join(f"{name} {twice.iloc[0][name]!r}" for name in KEY)
        raise InputError(
            f"{path}: {len(twice)} rows stand in it twice, first {key}\nKeep one of each."
        )
    return frame


def _check_shapes(predicted: Mapping[str, Mask], true: Mapping[str, Mask]) -> None:
    shapes = {f"predicted {name}": mask.shape for name, mask in predicted.items()}
    shapes |= {f"annotated {name}": mask.shape for name, mask in true.items()}
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"masks of one case have different shapes: {found}")


def _region(masks: Mapping[str, Mask], place: str | None) -> Mask | None:
    """Return the mask of a place, the whole image where none is named; None: it is not known."""
    return np.ones_like(next(iter(masks.values()))) if place is None else masks.get(place)


def _score(
    name: str, score: Score, predicted: Mapping[str, Mask], labelled: Mapping[str, Mask]
) -> dict[str, float]:
    missing = sorted(score.needs - predicted.keys())
    if missing:
        raise InputError(
            f"score {name!r} needs a mask of {missing[0]!r}; {known_words(missing[0], predicted)}"
        )
    row = {name: score(predicted)}
    return row | ({f"{name}_true": score(labelled)} if score.needs <= labelled.keys() else {})


def _place(name: str) -> int:
    if name in IDENTITY:
        return IDENTITY.index(name)
    return len(IDENTITY) + (not name.startswith("tag."))


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return int(value)
    return value.item() if isinstance(value, np.generic) else value  # float32's text is its own


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *lines = [line for line in csv.reader(file, strict=True) if line] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV table of rows: {error}") from error
    repeated = {name for name in header if header.count(name) > 1}
    if "case" not in header or repeated:
        fault = f"has two columns {min(repeated)!r}" if repeated else "has no column 'case'"
        raise InputError(
            f"{path} {fault}; a table of rows has a row per method, seed, fold and case"
        )
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise InputError(f"{path}, row {number}: {len(line)} cells, but {len(header)} columns")
    return header, lines


def _numbers(path: Path, name: str, column: Sequence[str]) -> list[float]:
    return [_number(path, name, number, text) for number, text in enumerate(column, 2)]


def _number(path: Path, name: str, number: int, text: str) -> float:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise InputError(
            f"{path}, row {number}, column {name!r}: {text[:40]!r} is not a finite number\n"
            f"Only {', '.join(IDENTITY)} may hold text."
        )
    return value


def _seed(path: Path, number: int, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(
            f"{path}, row {number}, column 'seed': {text[:40]!r} is not a whole number"
        ) from None
