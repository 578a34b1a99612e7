"""Damaged inputs end in one clear error; a run that was killed or met a full disk is resumed."""

import re
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import count, islice
from multiprocessing import forkserver
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from benchmarks.pages import read_rows
from benchmarks.reliability import sizes
from benchmarks.reliability.__main__ import PAGE, ROWS, SIZES
from benchmarks.reliability.commands import PRELOADED, Command, Result, words
from benchmarks.reliability.fuzz import ACCEPTED, Trial, fuzz, judge, run_trial, unexpected_files
from benchmarks.reliability.kills import (
    TRAIN,
    KilledRun,
    ReferenceRun,
    difference,
    kill_run,
    run_uninterrupted,
    write_training,
)
from benchmarks.reliability.kinds import KINDS
from benchmarks.reliability.mutations import BYTES, TEXT, Change, damage_bytes
from benchmarks.reliability.page import (
    EQUAL,
    INPUTS,
    KILLS,
    Row,
    input_rows,
    kill_rows,
    page,
    replace_kinds,
)
from benchmarks.reliability.valid_inputs import own_cache, write_valid_inputs


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reliability") / "valid"
    write_valid_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> ReferenceRun:
    return run_uninterrupted(tmp_path_factory.mktemp("uninterrupted") / "run")


def check_accepted(trials: Sequence[Trial]) -> None:
    failures = [each for each in trials if each.outcome not in ACCEPTED]
    assert not failures, "\n".join(
        f"{each.kind} {each.number}: {each.outcome}: {each.output[:600]}" for each in failures
    )


@pytest.mark.slow
def test_damaged_inputs_end_in_success_or_one_clear_error(valid: Path, tmp_path: Path) -> None:
    number = -(-sizes.QUICK_INPUTS // len(KINDS))
    trials = list(islice(fuzz(number, valid, tmp_path), sizes.QUICK_INPUTS))
    check_accepted(trials)
    assert len({each.kind for each in trials}) == len(KINDS)


@pytest.mark.slow
def test_a_thousand_damaged_inputs_end_in_success_or_one_clear_error(
    valid: Path, tmp_path: Path
) -> None:
    number = -(-sizes.SLOW_INPUTS // len(KINDS))
    trials = list(fuzz(number, valid, tmp_path))
    check_accepted(trials)
    assert len(trials) >= sizes.SLOW_INPUTS


@pytest.mark.parametrize("kind", KINDS)
def test_every_valid_input_is_accepted(kind: str, valid: Path, tmp_path: Path) -> None:
    """Otherwise an error would not be due to the damage."""
    if kind in (
        "log",
        "recipe",
        "NIfTI, voxels",
        "NIfTI, mask",
        "NIfTI, labels of 0.9999999",
        "slices.csv",
    ):
        pytest.skip("another kind has the same command")
    shutil.copytree(valid, tmp_path / "work")
    command = Command(KINDS[kind].words, tmp_path / "work", environment=own_cache(tmp_path))
    assert judge(command.run(60)) == "success"


@pytest.mark.parametrize("number", range(sizes.QUICK_KILLS))
def test_a_run_killed_at_a_random_time_and_resumed_ends_with_equal_weights(
    number: int, reference: ReferenceRun, tmp_path: Path
) -> None:
    result = kill_run(number, reference, tmp_path / "run")
    assert not result.problem, str(result)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(sizes.QUICK_KILLS, sizes.SLOW_KILLS))
def test_more_runs_killed_at_a_random_time_and_resumed_end_with_equal_weights(
    number: int, reference: ReferenceRun, tmp_path: Path
) -> None:
    result = kill_run(number, reference, tmp_path / "run")
    assert not result.problem, str(result)


@pytest.mark.parametrize(
    ("file_bytes", "path"),
    [(1200, "cache/"), (20_000, "state.safetensors")],
)
def test_a_full_disk_is_reported_and_the_run_can_be_resumed(
    file_bytes: int, path: str, reference: ReferenceRun, tmp_path: Path
) -> None:
    write_training(tmp_path / "run")
    full = Command(
        words(*TRAIN), tmp_path / "run", environment=own_cache(tmp_path), file_bytes=file_bytes
    ).run(60)
    assert full.code == 1, full.output
    before, error = re.split("^error: ", full.output, maxsplit=1, flags=re.MULTILINE)
    assert path in error.partition(": cannot be written (")[0], error
    assert len(error.splitlines()) <= 3, error
    assert "Traceback" not in before + error, full.output
    assert "bug" not in error, error
    resumed = Command(words(*TRAIN, "--resume"), tmp_path / "run", environment=own_cache(tmp_path))
    assert resumed.run(60).code == 0
    assert difference(tmp_path / "run", reference) == ""


def test_starting_a_command_does_not_read_the_exit_codes_of_other_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """multiprocessing reads the codes of ended processes at a start; each can be read once."""
    first, second = (Command(("no-such-command",), tmp_path / name) for name in ("1", "2"))
    for each in (first, second):
        each.folder.mkdir()
    starting, calls = Thread(target=second.start), count(1)
    read: Callable[[int], int] = forkserver.read_signed

    def read_late(sentinel: int) -> int:
        if next(calls) == 2:  # the first call reads the identifier of the process
            starting.start()
            starting.join(0.2)
        return read(sentinel)

    monkeypatch.setattr(forkserver, "read_signed", read_late)
    assert first.run(60).code == 2
    starting.join()


@pytest.mark.parametrize("name", [name for name in PRELOADED if name != "__main__"])
def test_every_preloaded_module_exists(name: str) -> None:
    """The server that processes are forked from ignores missing modules and is slow then."""
    assert find_spec(name) is not None


def test_damage_depends_only_on_its_seed() -> None:
    def drawn(changes: Sequence[Change]) -> list[bytes]:
        content = b"a: [1, 2]\nb: {c: d}\n"
        return [damage_bytes(content, changes, Random(seed)) for seed in range(40)]  # noqa: S311

    for changes in (BYTES, TEXT):
        assert drawn(changes) == drawn(changes)
        assert len(set(drawn(changes))) > 30


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (Result(0, "fine"), "success"),
        (Result(2, "error: a.csv: is empty"), "clear error"),
        (Result(None, ""), "hang"),
        (Result(1, "error: KeyError: 'a'\nThis is a bug in wsseg or a plugin"), "traceback"),
        (Result(0, "Traceback (most recent call last):"), "traceback"),
        (Result(2, "Traceback (most recent call last):\nerror: x"), "traceback"),
        (Result(2, ""), "traceback"),
        (Result(-11, ""), "traceback"),
        (Result(2, "error: \x1b[31mred"), "traceback"),
        (Result(2, "error: " + "x" * 9000), "traceback"),
    ],
)
def test_the_outcome_depends_on_exit_code_and_output(result: Result, outcome: str) -> None:
    assert judge(result) == outcome


def test_changed_misplaced_and_temporary_files_are_unexpected() -> None:
    before = {"a": b"1", "out/x": b""}
    after = {"a": b"2", "out/x": b"", "out/y": b"", "cache/.1-2.z": b"", "output.txt": b""}
    assert unexpected_files(before, after, ("out",), "success") == ["a", "cache/.1-2.z"]
    assert unexpected_files(before, after, ("out",), "clear error") == [
        "a",
        "cache/.1-2.z",
        "out/y",
    ]


def test_the_page_is_made_from_the_committed_rows() -> None:
    rows = read_rows(ROWS, Row)
    text = PAGE.read_text(encoding="utf-8")
    assert page(rows, SIZES) == text, "run: python -m benchmarks.reliability"


def test_the_committed_rows_have_all_kinds_enough_trials_and_no_failure() -> None:
    rows = read_rows(ROWS, Row)
    inputs, kills = ([row for row in rows if row.subject == each] for each in (INPUTS, KILLS))
    assert sum(row.count for row in inputs) >= sizes.SLOW_INPUTS
    assert sum(row.count for row in kills) >= sizes.SLOW_KILLS
    assert {row.kind for row in inputs} == set(KINDS)
    accepted = {*ACCEPTED, EQUAL}
    failed = {(row.kind, row.outcome, row.count) for row in rows if row.outcome not in accepted}
    assert not failed


def test_rows_count_trials_by_kind_and_outcome() -> None:
    trials = [Trial("recipe", n, "success" if n else "clear error", "") for n in range(3)]
    runs = [KilledRun(0, 1.0, "early", ""), KilledRun(1, 1.0, "early", "different weights")]
    text = page([*input_rows(trials, "M", "V"), *kill_rows(runs, "M", "V")], SIZES)
    assert "| recipe | 3 | 2 | 1 | 0 | 0 | 0 |" in text
    assert "| early | 2 | 1 | 1 |" in text
    assert "| **all** | **3** | **2** | **1** |" in text


def test_rows_of_a_kind_that_was_tried_again_replace_all_rows_of_that_kind() -> None:
    old = [
        Row(INPUTS, "DICOM", "traceback", 1, "M", "V"),
        Row(INPUTS, "recipe", "success", 2, "M", "V"),
        Row(INPUTS, "DICOM", "success", 1, "M", "V"),
        Row(KILLS, "early", EQUAL, 3, "M", "V"),
    ]
    new = [Row(INPUTS, "DICOM", "success", 2, "M2", "V2")]
    assert replace_kinds(old, new) == [new[0], old[1], old[3]]


def test_the_exit_code_of_a_failure_is_in_its_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid" / "recipe.yaml").write_text("a: 1\n")
    monkeypatch.setattr(Command, "run", lambda *_: Result(255, "error: a clear message"))
    trial = run_trial("recipe", 0, tmp_path / "valid", tmp_path / "work")
    assert trial.outcome == "traceback"
    assert trial.output == "exit code: 255\nerror: a clear message"
