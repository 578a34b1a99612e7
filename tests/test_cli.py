"""The command line as a person meets it: help, exit codes, plain words, and nothing wrapped."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.components.cohorts import Table
from wsseg.components.registry import Registry, registry
from wsseg.core.interfaces import Cohort, Synthetic
from wsseg.data.nifti import open_nifti
from wsseg.errors import InputError
from wsseg.evaluation.rows import read_rows

if TYPE_CHECKING:
    from tests.conftest import Wsseg

GROUPS = {
    "": (
        "train",
        "predict",
        "score",
        "report",
        "new",
        "bench",
        "recipe",
        "plugins",
        "data",
        "manifest",
    ),
    "bench": ("run", "report"),
    "recipe": ("list", "show", "check", "schema"),
    "plugins": ("list", "check"),
    "data": ("template", "check", "fetch", "tags-from-reports", "cache", "prepare", "phantom"),
    "manifest": ("verify",),
}
COMMANDS = [
    f"{group} {name}".strip() for group, names in GROUPS.items() for name in names
    if name not in GROUPS
]  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_commands_uncut(wsseg: "Wsseg", group: str) -> None:
    ended = wsseg(*group.split(), "--help")
    assert ended.code == 0
    assert "..." not in ended.out.partition("Commands:")[2]  # a line that was cut ends so
    listed = [line.split()[0] for line in ended.out.partition("Commands:\n")[2].splitlines()
              if line.startswith("  ")]  # fmt: skip
    assert set(GROUPS[group]) <= set(listed)
    assert {name for name in listed if name.isalpha()} <= {*GROUPS[group], "Any"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(wsseg: "Wsseg", command: str) -> None:
    ended = wsseg(*command.split(), "--help")
    assert ended.code == 0
    assert f"Example: wsseg {command}" in ended.out


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["data", "phantom", "--help"]])
def test_help_does_not_import_torch(words: list[str]) -> None:
    check = (
        f"import sys; sys.argv = ['wsseg', *{words!r}]\n"
        "from wsseg.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "slow = {'torch', 'numpy', 'pandas', 'nibabel'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


@pytest.mark.parametrize(
    "words", [["fly"], ["train"], ["train", "a.yaml"], ["recipe", "show"], ["report", "--fast"]]
)
def test_bad_usage_ends_with_2(wsseg: "Wsseg", words: list[str]) -> None:
    ended = wsseg(*words)
    assert ended.code == 2
    assert "Error: " in ended.err
    assert "Traceback" not in ended.err


def test_from_files_to_report_and_masks(
    wsseg: "Wsseg", toy_cohort: Path, toy_recipe: Path, tmp_path: Path
) -> None:
    run, masks = tmp_path / "runs" / "toy", tmp_path / "masks"
    trained = wsseg("train", toy_recipe, "--out", run, "--set", "seed=3")
    assert (trained.code, trained.out) == (0, "")
    assert f"wsseg score {run}" in trained.err.replace("\n", "")

    early = wsseg("report", run)
    assert early.code == 2
    assert f"wsseg score {run}" in early.error

    scored = wsseg("score", run)
    assert scored.code == 0
    assert "Dice" in scored.out
    rows = read_rows(run / "scores.csv")
    assert list(rows["case"]) == ["case-6", "case-7"]
    assert list(rows["method"]) == ["toy", "toy"]
    assert list(rows["seed"]) == [3, 3]

    reported = wsseg("report", run)
    assert (reported.code, reported.out) == (0, "")
    assert (run / "report.html").stat().st_size > 10_000

    predicted = wsseg("predict", run, toy_cohort.parent / "7-image.nii.gz", "--out", masks)
    assert predicted.code == 0
    assert "1 infection, 2 consolidation" in predicted.err
    assert {path.name for path in masks.iterdir()} == {
        "7-image.nii.gz",
        "predicted.jsonl",
        "scores.csv",
    }
    assert open_nifti(masks / "7-image.nii.gz").shape == (40, 36, 5)


def test_a_run_is_not_overwritten(wsseg: "Wsseg", toy_recipe: Path, trained: Path) -> None:
    ended = wsseg("train", toy_recipe, "--out", trained)
    assert ended.code == 2
    assert "already holds a run" in ended.error


def test_failed_work_ends_with_1(wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path) -> None:
    change = "stages.infection.optimizer.lr=1.0e+30"
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run", "--set", change)
    assert ended.code == 1
    assert "stage infection, step 1 (epoch 1): the weights exploded" in ended.error


def test_a_bug_ends_with_1_and_no_traceback(
    wsseg: "Wsseg", monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        raise ZeroDivisionError("one over nothing")

    monkeypatch.setattr(Registry, "names", broken)
    ended = wsseg("data", "phantom", "--out", "nowhere")
    assert ended.code == 1
    assert ended.error.startswith("ZeroDivisionError: one over nothing\nThis is a bug")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_stage_leaves_no_lock_and_says_how_to_go_on(
    wsseg: "Wsseg",
    toy_recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setattr("wsseg.training.run.prepare_all", lambda *_: signal.raise_signal(number))
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "run")
    assert ended.code == 1
    assert ended.error.startswith("interrupted; finished stages are saved. To continue, run the same command with")
    assert not (tmp_path / "run").exists()


def test_another_interrupted_command_ends_as_a_shell_expects(
    wsseg: "Wsseg", toy_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "wsseg.training.run.prepare_all", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    ended = wsseg("data", "prepare", toy_recipe)
    assert ended.code == 130
    assert ended.error.startswith("interrupted; all files written so far are complete")


def test_debug_lets_the_traceback_through(wsseg: "Wsseg") -> None:
    plain = wsseg("recipe", "check", "none.yaml")
    assert plain.code == 2
    assert plain.err == "error: none.yaml: cannot be read (No such file or directory)\n"
    with pytest.raises(InputError, match="none"):
        wsseg("recipe", "check", "none.yaml", "--debug")


def test_output_to_no_terminal_is_not_wrapped(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a narrow terminal is said to be near."""
    monkeypatch.setenv("COLUMNS", "40")
    copy = shutil.copytree(trained, tmp_path / ("a-long-name-" * 8))
    shown = wsseg("score", copy)
    assert shown.code == 0
    (line,) = [line for line in shown.out.splitlines() if line.lstrip().startswith("a-long-name-")]
    assert len(line) > 120
    reported = wsseg("report", copy)
    assert reported.err == f"report: {copy / 'report.html'}\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -m wsseg --help | true"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_recipe_list_says_what_each_is_for(wsseg: "Wsseg") -> None:
    ended = wsseg("recipe", "list")
    assert ended.code == 0
    lines = {line.split()[0]: line for line in ended.out.splitlines()}
    assert {"covid/phi1", "covid/phi2", "covid/threshold", "covid/supervised"} <= set(lines)
    assert all(len(line.split()) > 3 for line in lines.values())


def test_recipe_show_prints_a_recipe_and_where_its_values_come_from(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {toy_recipe.name}\nseed: 5\n")
    ended = wsseg("recipe", "show", child, "--set", "input.size=48")
    assert ended.code == 0
    assert "seed: 5  # child.yaml:2\n" in ended.out
    assert "size: 48  # --set input.size=48\n" in ended.out
    assert "slices: 3  # toy.yaml:2\n" in ended.out
    assert "precision: auto  # default\n" in ended.out
    (tmp_path / "shown.yaml").write_text(ended.out)
    assert wsseg("recipe", "check", tmp_path / "shown.yaml").code == 0


def test_recipe_check_names_the_stages(wsseg: "Wsseg", toy_recipe: Path) -> None:
    ended = wsseg("recipe", "check", toy_recipe)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{toy_recipe}: valid; stages: infection, consolidation\n"


@pytest.mark.parametrize("name", ["phi1", "phi2", "threshold", "supervised", "demo-phi2"])
def test_installed_recipes_are_fine(wsseg: "Wsseg", name: str) -> None:
    assert wsseg("recipe", "check", f"covid/{name}").code == 0


def test_plugins_list_names_every_part_and_its_distribution(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "list")
    assert ended.code == 0
    parts = {line.split()[0]: line.split() for line in ended.out.splitlines()}
    assert parts["hard"][1:3] == ["EStep", "wsseg"]
    assert parts["hu-sigmoid"][1:3] == ["Prior", "wsseg-covid"]
    assert parts["covid/phi2"][1] == "recipe"
    assert all(len(line.split()) > 3 for line in ended.out.splitlines())


def test_data_prepare_spares_training_the_work(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_CACHE", str(tmp_path / "cache"))
    ended = wsseg("data", "prepare", toy_recipe)
    assert (ended.code, ended.out) == (0, "8 scans prepared\n")
    images = sorted((tmp_path / "cache").rglob("image.npy"))
    assert len(images) == 8
    before = [path.stat().st_mtime_ns for path in images]
    assert wsseg("data", "prepare", toy_recipe).code == 0
    assert [path.stat().st_mtime_ns for path in images] == before


def test_data_phantom_writes_a_cohort_that_can_be_read(wsseg: "Wsseg", tmp_path: Path) -> None:
    ended = wsseg("data", "phantom", "--out", tmp_path / "new", "--cases", 1, "--seed", 7)
    assert ended.code == 0
    assert "1 scans" in ended.err
    (case,) = Table(path=tmp_path / "new" / "cohort.csv").cases()
    assert {"infection", "consolidation"} <= set(case.masks)
    again = wsseg("data", "phantom", "--out", tmp_path / "new")
    assert again.code == 2
    assert "already exists" in again.error


def test_data_phantom_without_a_cohort_to_make_says_so(
    wsseg: "Wsseg", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = {
        key: offer
        for key, offer in registry().offers.items()
        if not (key[0] is Cohort and issubclass(offer.part, Synthetic))
    }
    monkeypatch.setattr(registry(), "offers", offers)
    ended = wsseg("data", "phantom", "--out", tmp_path / "new")
    assert ended.code == 2
    assert "no installed plugin" in ended.error
    assert not (tmp_path / "new").exists()


def test_data_phantom_names_what_it_can_make(wsseg: "Wsseg", tmp_path: Path) -> None:
    ended = wsseg("data", "phantom", "--out", tmp_path / "new", "--use", "lung-fantom")
    assert ended.code == 2
    assert "Did you mean 'lung-phantom'?" in ended.error


def test_a_damaged_manifest_is_named(wsseg: "Wsseg", trained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained, tmp_path / "copy")
    (copy / "manifest.json").write_text(json.dumps([1, 2]))
    ended = wsseg("score", copy)
    assert ended.code == 2
    assert "manifest.json" in ended.error
