"""The GPU benchmark: its page is made from the committed rows, and every part runs on a CPU."""

import math
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import cast

import pytest
import torch

from benchmarks.gpu import measure as measuring
from benchmarks.gpu import source_tree
from benchmarks.gpu.__main__ import FOLDER, main
from benchmarks.gpu.device import searched_algorithms, tf32, time_calls_in_turns
from benchmarks.gpu.measure import ENOUGH_S, measure
from benchmarks.gpu.page import NOT_MEASURED, Row, note_row, page, replaced
from benchmarks.gpu.parts import PARTS, TRIAL
from benchmarks.gpu.steps import CoreStep, EagerStep, noise_batch
from benchmarks.gpu.worker import PartError, TooLongError, Worker
from benchmarks.pages import read_rows, write_rows
from benchmarks.speed.paper import Sizes
from benchmarks.speed.timing import Measurement
from wsseg.inference.network import BODY

SMALL = Sizes(slices=3, pixels=32, width=2, batch=2)
CPU = torch.device("cpu")
SLOW = {"correct", "train", "agree", "predict", "em", "batches", "peers", "compiled"}


def row(part: str, value: float, card: str = "A") -> Row:
    return Row.of(part, Measurement("name", (value,), "s"), card, "V")


def test_the_page_is_made_from_the_committed_rows() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert page(read_rows(FOLDER / "rows.csv", Row), PARTS) == text, "run: python -m benchmarks.gpu"


def test_without_rows_the_page_says_that_nothing_was_measured() -> None:
    assert NOT_MEASURED in page([], PARTS)
    assert NOT_MEASURED not in page([row("card", 1)], PARTS)


def test_parts_and_their_trials_are_in_the_order_of_their_times() -> None:
    assert list(PARTS) == list(TRIAL) == list(ENOUGH_S)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in TRIAL]
)
def test_a_part_yields_finite_values_with_unique_names(name: str) -> None:
    measurements = list(TRIAL[name].measure())
    assert measurements
    assert len({each.name for each in measurements}) == len(measurements)
    assert all(math.isfinite(value) for each in measurements for value in each.values)


class FakeWorker:
    """Yields a row, then fails with `error`."""

    machine, versions = "A", "V"

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def measure(self, part: str, until: float) -> Iterator[Row]:  # noqa: ARG002
        yield row(part, 1)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "note"),
    [(TooLongError(), "stopped after 0 s"), (PartError("ValueError: no"), "ValueError: no")],
)
def test_a_part_that_fails_keeps_its_rows_and_gets_a_note(error: Exception, note: str) -> None:
    worker = cast("Worker", FakeWorker(error))
    rows = list(measuring._rows_of_part("card", worker, monotonic() + 60))
    assert rows[0] == row("card", 1)
    assert [each.note for each in rows[1:]] == [note]


def test_a_part_that_does_not_fit_into_the_remaining_time_gets_only_a_note() -> None:
    worker = cast("Worker", FakeWorker(None))
    (only,) = measuring._rows_of_part("compiled", worker, monotonic() + 44.9)
    assert "45 s of the given time were left" in only.note
    assert [each.note for each in measuring._rows_of_part("card", worker, monotonic() + 45)] == [""]


def test_new_rows_replace_those_of_the_same_part_and_card() -> None:
    old = [row("card", 1), row("train", 2), row("card", 3, "B")]
    found = replaced(old, [row("card", 4)], ["card", "train"])
    assert found == [row("card", 4), row("train", 2), row("card", 3, "B")]


def test_a_part_without_new_values_keeps_its_earlier_rows() -> None:
    note = note_row("card", "stopped", "A", "V")
    assert replaced([row("card", 1)], [note], ["card"]) == [row("card", 1)]
    assert replaced([], [note], ["card"]) == [note]
    assert replaced([note], [row("card", 1)], ["card"]) == [row("card", 1)]


def test_a_note_is_on_the_page_and_not_in_the_table() -> None:
    text = page([row("card", 1), note_row("card", "stopped", "A", "V")], PARTS)
    assert "*not measured: stopped.*" in text
    assert "| not measured |" not in text


def test_notes_are_read_as_they_were_written(tmp_path: Path) -> None:
    note = note_row("card", "stopped, early", "A", "V")
    write_rows(tmp_path / "rows.csv", Row, [note])
    (again,) = read_rows(tmp_path / "rows.csv", Row)
    assert math.isnan(again.value)
    assert again.note == note.note


@pytest.mark.slow
def test_after_a_failure_the_next_part_is_measured_in_a_new_process() -> None:
    with Worker(monotonic() + 300, trial=True) as worker:
        with pytest.raises(PartError, match="KeyError"):
            list(worker.measure("no part", monotonic() + 300))
        with pytest.raises(TooLongError):
            list(worker.measure("correct", monotonic() + 0.1))
        rows = list(worker.measure("card", monotonic() + 300))
        assert {each.machine for each in rows} == {worker.machine}


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_without_a_gpu_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu", "card", "--out", str(tmp_path / "out")])
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "torch finds no NVIDIA GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_rows_and_page_are_written_within_the_given_time(tmp_path: Path) -> None:
    started = monotonic()
    assert not measure(["card", "compiled"], 40, tmp_path, trial=True)
    assert monotonic() - started < 45
    rows = read_rows(tmp_path / "rows.csv", Row)
    assert {each.subject for each in rows} == {"card", "compiled"}
    assert [each.is_note for each in rows if each.subject == "compiled"] == [True]
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == page(rows, PARTS)


def test_packages_that_are_missing_or_too_old_are_named_with_their_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert source_tree.unmet_requirements() == []
    versions = {"torch": None, "isal": None, "filelock": "3.20.1", "timm": "1.1.0.dev0"}
    installed = source_tree._installed_version
    monkeypatch.setattr(
        source_tree, "_installed_version", lambda name: versions.get(name, installed(name))
    )
    assert source_tree.unmet_requirements() == [
        "torch>=2.6,<3",
        "isal>=1.7,<2",
        "filelock>=4.2.1,<5 (3.20.1 is installed)",
    ]
    versions["packaging"] = None
    assert source_tree.unmet_requirements() == ["packaging"]


def test_a_source_tree_has_the_entry_points_of_installed_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_tree, "_installed_version", lambda _: None)
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setenv("PYTHONPATH", "before")
    source_tree.make_importable(tmp_path)
    found = {each.name: each for each in metadata.distributions(path=[str(tmp_path)])}
    assert {"wsseg", "wsseg-crf", "wsseg-covid"} <= set(found)
    (entry,) = found["wsseg-crf"].entry_points
    assert (entry.group, entry.value) == ("wsseg", "wsseg_crf")
    assert found["wsseg"].version == metadata.version("wsseg")
    assert os.environ["PYTHONPATH"].endswith(f"{os.pathsep}before")
    assert str(source_tree.REPOSITORY / "plugins/wsseg-crf") in os.environ["PYTHONPATH"]


def test_the_plain_step_has_the_same_loss_as_a_step_with_the_functions_of_wsseg() -> None:
    core = CoreStep("masks", SMALL, CPU, torch.float32)
    plain = EagerStep(SMALL, torch.float32, torch.channels_last)
    body = core.network.get_submodule(BODY)
    weights = zip(plain.network.state_dict(), body.state_dict().values(), strict=True)
    plain.network.load_state_dict({name: each.clone() for name, each in weights})
    for number in range(3):
        batch = noise_batch(SMALL, number)
        assert float(plain(batch)) == pytest.approx(float(core(batch)), rel=1e-4)


def test_a_repeated_batch_keeps_the_memory_format_of_its_images() -> None:
    once = noise_batch(SMALL)
    twice = once.repeated(2)
    for batch in (once.batch, twice.batch):
        planes = batch.image.flatten(1, 2)
        assert planes.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(twice.labels[2:], once.labels)


def test_settings_of_torch_are_restored() -> None:
    def settings() -> tuple[bool, bool, bool]:
        cudnn = torch.backends.cudnn
        return cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, cudnn.benchmark

    before = settings()
    with tf32(allowed=False):
        assert settings()[:2] == (False, False)
        with tf32(allowed=True), searched_algorithms():
            assert settings() == (True, True, True)
        assert settings()[:2] == (False, False)
    assert settings() == before


def test_the_time_of_a_call_is_the_mean_over_calls_after_an_uncounted_round() -> None:
    calls: list[int] = []
    seconds = time_calls_in_turns({"a": lambda: calls.append(1)}, calls=4, repeats=3)
    assert len(calls) == 4 + 3 * 4
    assert len(seconds["a"]) == 3
