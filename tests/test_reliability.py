"""Damaged inputs end in one clear error; a run that was killed, or met a full disk, goes on."""

import re
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from benchmarks.reliability import sizes
from benchmarks.reliability.__main__ import FACTS, PAGE, ROWS
from benchmarks.reliability.commands import Command, Ended, words
from benchmarks.reliability.fuzz import WELL, Tried, fuzz, judged, litter
from benchmarks.reliability.kills import (
    TRAIN,
    Killed,
    Uninterrupted,
    difference,
    killed,
    uninterrupted,
    write_training,
)
from benchmarks.reliability.kinds import KINDS
from benchmarks.reliability.mutations import BYTES, TEXT, Change, damaged
from benchmarks.reliability.sound import own_cache, write_sound
from benchmarks.reliability.table import (
    EQUAL,
    INPUTS,
    KILLS,
    lines_of_inputs,
    lines_of_kills,
    page,
    read_lines,
    write_lines,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reliability") / "sound"
    write_sound(folder)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    return uninterrupted(tmp_path_factory.mktemp("uninterrupted") / "run")


def taken_well(tried: Sequence[Tried]) -> None:
    wrong = [each for each in tried if each.outcome not in WELL]
    assert not wrong, "\n".join(
        f"{each.kind} {each.number}: {each.outcome}: {each.said[:600]}" for each in wrong
    )


def test_damaged_inputs_end_in_success_or_one_clear_error(sound: Path, tmp_path: Path) -> None:
    number = -(-sizes.QUICK_INPUTS // len(KINDS))
    tried = list(islice(fuzz(number, sound, tmp_path), sizes.QUICK_INPUTS))
    taken_well(tried)
    assert len({each.kind for each in tried}) == len(KINDS)


@pytest.mark.slow
def test_a_thousand_damaged_inputs_end_in_success_or_one_clear_error(
    sound: Path, tmp_path: Path
) -> None:
    number = -(-sizes.SLOW_INPUTS // len(KINDS))
    tried = list(fuzz(number, sound, tmp_path))
    taken_well(tried)
    assert len(tried) >= sizes.SLOW_INPUTS


@pytest.mark.parametrize("kind", KINDS)
def test_every_sound_input_is_taken(kind: str, sound: Path, tmp_path: Path) -> None:
    """Else an error would say nothing about the damage."""
    if kind in ("log", "recipe", "NIfTI, voxels", "NIfTI, mask", "slices.csv"):
        pytest.skip("another kind has the same command")
    shutil.copytree(sound, tmp_path / "work")
    command = Command(KINDS[kind].words, tmp_path / "work", environment=own_cache(tmp_path))
    assert judged(command.run(60)) == "success"


@pytest.mark.parametrize("number", range(sizes.QUICK_KILLS))
def test_a_run_killed_at_a_random_moment_ends_with_the_same_bits(
    number: int, whole: Uninterrupted, tmp_path: Path
) -> None:
    result = killed(number, whole, tmp_path / "run")
    assert not result.problem, str(result)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(sizes.QUICK_KILLS, sizes.SLOW_KILLS))
def test_a_run_killed_at_another_moment_ends_with_the_same_bits(
    number: int, whole: Uninterrupted, tmp_path: Path
) -> None:
    result = killed(number, whole, tmp_path / "run")
    assert not result.problem, str(result)


@pytest.mark.parametrize(
    ("file_bytes", "cannot"),
    [(1200, "cache/"), (20_000, "state.safetensors")],
)
def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(
    file_bytes: int, cannot: str, whole: Uninterrupted, tmp_path: Path
) -> None:
    write_training(tmp_path / "run")
    full = Command(
        words(*TRAIN), tmp_path / "run", environment=own_cache(tmp_path), file_bytes=file_bytes
    ).run(60)
    assert full.code == 1, full.said
    before, error = re.split("^error: ", full.said, maxsplit=1, flags=re.MULTILINE)
    assert cannot in error.partition(": cannot be written (")[0], error
    assert len(error.splitlines()) <= 3, error
    assert "Traceback" not in before + error, full.said
    assert "bug" not in error, error
    again = Command(words(*TRAIN, "--resume"), tmp_path / "run", environment=own_cache(tmp_path))
    assert again.run(60).code == 0
    assert difference(tmp_path / "run", whole) == ""


def test_damage_is_drawn_by_its_seed_alone() -> None:
    def drawn(changes: Sequence[Change]) -> list[bytes]:
        content = b"a: [1, 2]\nb: {c: d}\n"
        return [damaged(content, changes, Random(seed)) for seed in range(40)]  # noqa: S311

    for changes in (BYTES, TEXT):
        assert drawn(changes) == drawn(changes)
        assert len(set(drawn(changes))) > 30


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        (Ended(0, "fine"), "success"),
        (Ended(2, "error: a.csv: is empty"), "clear error"),
        (Ended(None, ""), "hang"),
        (Ended(1, "error: KeyError: 'a'\nThis is a bug in wsseg or a plugin"), "traceback"),
        (Ended(0, "Traceback (most recent call last):"), "traceback"),
        (Ended(2, "Traceback (most recent call last):\nerror: x"), "traceback"),
        (Ended(2, ""), "traceback"),
        (Ended(-11, ""), "traceback"),
        (Ended(2, "error: \x1b[31mred"), "traceback"),
        (Ended(2, "error: " + "x" * 9000), "traceback"),
    ],
)
def test_an_end_is_judged_by_its_code_and_its_words(ended: Ended, outcome: str) -> None:
    assert judged(ended) == outcome


def test_a_file_left_elsewhere_is_found() -> None:
    before = {"a": b"1", "out/x": b""}
    after = {"a": b"2", "out/x": b"", "out/y": b"", "cache/.1-2.z": b"", "said.txt": b""}
    assert litter(before, after, ("out",), "success") == ["a", "cache/.1-2.z"]
    assert litter(before, after, ("out",), "clear error") == ["a", "cache/.1-2.z", "out/y"]


def test_the_page_is_made_from_the_committed_rows() -> None:
    lines = read_lines(ROWS)
    assert page(lines, FACTS) == PAGE.read_text(encoding="utf-8"), (
        "run: python -m benchmarks.reliability"
    )
    inputs = sum(each.count for each in lines if each.subject == INPUTS)
    kills = sum(each.count for each in lines if each.subject == KILLS)
    assert inputs >= sizes.SLOW_INPUTS
    assert kills >= sizes.SLOW_KILLS
    assert {each.kind for each in lines if each.subject == INPUTS} == set(KINDS)
    assert {each.outcome for each in lines} <= {*WELL, EQUAL}


def test_rows_are_counts_by_kind_and_outcome(tmp_path: Path) -> None:
    tried = [Tried("recipe", n, "success" if n else "clear error", "") for n in range(3)]
    ends = [Killed(0, 1.0, "early", ""), Killed(1, 1.0, "early", "other weights")]
    lines = [*lines_of_inputs(tried, "M", "V"), *lines_of_kills(ends, "M", "V")]
    write_lines(tmp_path / "rows.csv", lines)
    assert read_lines(tmp_path / "rows.csv") == lines
    text = page(lines, FACTS)
    assert "| recipe | 3 | 2 | 1 | 0 | 0 | 0 |" in text
    assert "| early | 2 | 1 | 1 |" in text
    assert "| **all** | **3** | **2** | **1** |" in text
