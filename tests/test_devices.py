"""Tests of `wsseg train --devices`: several processes train one run and end together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

RUN = [sys.executable, "-m", "wsseg"]
ON_CPU = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
SHORT = ("--set", "stages.infection.epochs=1", "--set", "stages.consolidation.epochs=1")
LIMIT_S = 120


def start(*words: object) -> "subprocess.Popen[str]":
    command = [*RUN, *map(str, words)]
    return subprocess.Popen(
        command, env=ON_CPU, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def run(*words: object) -> tuple[int, str]:
    with start(*words) as process:
        _, output = process.communicate(timeout=LIMIT_S)
    return process.returncode, output


def epochs(out: Path) -> list[tuple[str, int]]:
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(r["stage"], r["epoch"]) for r in records if r["event"] == "epoch"]


def processes_of(parent: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


@pytest.mark.slow
def test_two_processes_train_one_run_and_only_the_leader_prints(
    toy_recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, output = run("train", toy_recipe, "--out", out, *SHORT, "--devices", 2)
    assert code == 0, output
    assert output.count("trained: ") == 1
    assert "Warning" not in output
    assert "each of 2 processes normalises by its own part" in output
    assert epochs(out) == [("infection", 1), ("consolidation", 1)]
    assert (out / "manifest.json").exists()
    assert not (out / ".lock").exists()


@pytest.mark.slow
def test_two_processes_resume_a_run_that_one_began(toy_recipe: Path, tmp_path: Path) -> None:
    """With one device for the first epoch, then two, the log has each epoch once."""
    out = tmp_path / "run"
    words = ("train", toy_recipe, "--out", out, *SHORT, "--set", "stages.infection.epochs=3")
    with start(*words) as alone:
        wait_for(out / "log.jsonl")
        alone.send_signal(signal.SIGTERM)
        _, output = alone.communicate(timeout=LIMIT_S)
    assert (alone.returncode, "--resume" in output) == (1, True), output
    code, output = run(*words, "--resume", "--devices", 2)
    assert code == 0, output
    assert output.count("resumed after step") == 1  # only the leader prints
    assert epochs(out) == [*(("infection", n) for n in (1, 2, 3)), ("consolidation", 1)]
    assert (out / "stages/consolidation/weights.safetensors").exists()


@pytest.mark.slow
def test_torchrun_trains_the_same_weights_as_devices(toy_recipe: Path, tmp_path: Path) -> None:
    words = ["-m", "wsseg", "train", str(toy_recipe), *SHORT, "--out"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    there, here = tmp_path / "there", tmp_path / "here"
    command = [*torchrun, "--nproc-per-node", "2", *words, str(there)]
    done = subprocess.run(
        command, env=ON_CPU, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trained: ") == 1
    code, output = run(*words[2:], here, "--devices", 2)
    assert code == 0, output
    for stage in ("infection", "consolidation"):
        found, expected = (
            load_file(out / "stages" / stage / "weights.safetensors") for out in (there, here)
        )
        assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_an_error_in_all_processes_is_printed_once(toy_recipe: Path, tmp_path: Path) -> None:
    code, output = run(
        "train", toy_recipe, "--out", tmp_path / "run", "--devices", 2, "--set", "x=1"
    )
    assert code == 2
    assert output.count("error: ") == 1
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_processes_and_the_state_is_saved(
    toy_recipe: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    words = ("train", toy_recipe, "--out", out, "--devices", 2)
    with start(*words, "--set", "stages.infection.epochs=500") as process:
        wait_for(out / "log.jsonl")
        process.send_signal(number)
        _, output = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert output.count("error: interrupted in stage infection after step") == 1, output
    assert output.count("error: ") == 1
    assert (out / "stages/infection/last/state.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_all_others_with_one_error(
    toy_recipe: Path, tmp_path: Path, rank: int
) -> None:
    out = tmp_path / "run"
    words = ("train", toy_recipe, "--out", out, "--devices", 2)
    with start(*words, "--set", "stages.infection.epochs=500") as process:
        wait_for(out / "log.jsonl")
        pair = processes_of(process.pid)
        os.kill(pair[rank], signal.SIGKILL)
        _, output = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert output.count("error: ") == 1, output
    assert "--resume" in output
    assert "Traceback" not in output
    assert not any(Path(f"/proc/{pid}").exists() for pid in pair)


@pytest.mark.slow
def test_processes_end_when_their_launcher_is_killed(toy_recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("train", toy_recipe, "--out", out, "--devices", 2)
    with start(*words, "--set", "stages.infection.epochs=500") as process:
        wait_for(out / "log.jsonl")
        pair = processes_of(process.pid)
        process.kill()
    deadline = time.monotonic() + LIMIT_S
    while any(Path(f"/proc/{pid}").exists() for pid in pair):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["evaluation", "average"])
def test_beliefs_from_a_second_pass_train_in_two_processes(
    toy_recipe: Path, tmp_path: Path, belief: str
) -> None:
    settings = (f"belief={belief}", "average={decay: 0.5}")
    changes = [*SHORT, *(w for each in settings for w in ("--set", f"stages.consolidation.{each}"))]
    code, output = run("train", toy_recipe, "--out", tmp_path / "run", "--devices", 2, *changes)
    assert code == 0, output


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_trains_on_all_gpus(toy_recipe: Path, tmp_path: Path) -> None:
    words = ["train", str(toy_recipe), "--out", str(tmp_path / "run"), *SHORT]
    command = [*RUN, *words, "--devices", str(torch.cuda.device_count())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "normalises by its own part" not in done.stderr
