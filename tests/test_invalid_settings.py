"""Invalid recipes, runs and suites: one clear error with exit code 2, and no output."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Wsseg


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained run, which tests may damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


# Recipes.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("input.sise=3", "--set input.sise=3: input.sise: unknown key; possible: "),
        ("stages.consolidation.prior={use: hu-sigmoit}", "Did you mean 'hu-sigmoid'?"),
        ("stages.consolidation.estep=[1, 2]", "is not a valid EStep"),
        ("stages.infection.epochs=few", "stages.infection.epochs: "),
        ("stages.infection.epochs=1:30", "stages.infection.epochs: "),
        ("input.clip=[false, 160]", "input.clip.0: must be a number, not false"),
        ("input.scale=.inf", "input.scale: must be a finite number"),
        ("stages.consolidation.region=lung", "'lung' is unknown"),
        ("cohort.path=none.csv", "none.csv: file not found"),
        ("cohort={use: teble}", "Did you mean 'table'?"),
        ("nothing", "write it as a.b.c=VALUE"),
        ("seed=[", "not valid YAML"),
    ],
)
def test_an_error_in_a_setting_is_reported_with_its_key(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, change: str, words: str
) -> None:
    ended = wsseg("train", toy_recipe, "--out", tmp_path / "out", "--set", change)
    ended.refused(words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is missing"),
        ("- a\n", "not a value of type list"),
        ("a: [1\n", "own.yaml:2: not valid YAML"),
        ("extends: covid/phi3\n", "own.yaml:1: extends: no recipe is called 'covid/phi3'"),
        ("extends: own.yaml\n", "extends itself"),
        ("cohort: !!python/object:os.system {}\n", "is not allowed; use plain values"),
    ],
)
def test_an_error_in_a_recipe_file_is_reported_with_file_and_line(
    wsseg: "Wsseg", tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "own.yaml").write_text(text)
    wsseg("train", tmp_path / "own.yaml", "--out", tmp_path / "out").refused(words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["none.yaml", "covid/none", "toy"])
def test_an_unknown_recipe_is_reported_by_name(wsseg: "Wsseg", tmp_path: Path, source: str) -> None:
    wsseg("train", source, "--out", tmp_path / "out").refused(source)
    assert not (tmp_path / "out").exists()


def test_train_refuses_a_file_in_place_of_its_folder(wsseg: "Wsseg", toy_recipe: Path) -> None:
    for out in (toy_recipe, toy_recipe / "below"):
        wsseg("train", toy_recipe, "--out", out).refused("give a folder")


# Runs.


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 64
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def changed(path: Path) -> None:
    record = json.loads(path.read_text())
    record["stage"] = record["stage"] | {"epoch": 3, "loss": {"use": "dise"}}
    path.write_text(json.dumps(record))


def other_width(path: Path) -> None:
    record = json.loads(path.read_text())
    record["stage"]["backbone"]["width"] = 8
    path.write_text(json.dumps(record))


WEIGHTS, RECORD = "stages/infection/weights.safetensors", "stages/infection/stage.json"


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        (WEIGHTS, cut, "damaged"),
        (WEIGHTS, flip_a_bit, "its SHA-256 differs"),
        (WEIGHTS, empty, "damaged"),
        (WEIGHTS, Path.unlink, "file not found"),
        (RECORD, cut, "damaged"),
        (RECORD, changed, "train the stage again"),
        (RECORD, other_width, "the weights do not fit the backbone"),
        (RECORD, lambda path: path.write_text("[]"), "damaged"),
        (RECORD, lambda path: path.write_bytes(b"\xff\xfe"), "damaged"),
        (RECORD, Path.unlink, "is not finished"),
        ("recipe.yaml", Path.unlink, "not the folder of a run"),
        ("recipe.yaml", empty, "is missing"),
    ],
)
def test_a_damaged_file_of_a_run_is_reported(
    wsseg: "Wsseg",
    run: Path,
    toy_cohort: Path,
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], object],
    words: str,
) -> None:
    damage(run / name)
    scan = toy_cohort.parent / "6-image.nii.gz"
    wsseg("predict", run, scan, "--out", tmp_path / "out").refused(words)
    assert not (tmp_path / "out").exists()
    wsseg("score", run).refused(words)
    assert not (run / "scores.csv").exists()


@pytest.mark.parametrize("command", ["score", "report"])
def test_a_folder_without_a_run_is_refused(wsseg: "Wsseg", tmp_path: Path, command: str) -> None:
    wsseg(command, tmp_path / "none").refused("none: not the folder of a run")
    assert not (tmp_path / "none").exists()


def test_an_invalid_number_in_scores_csv_is_reported(wsseg: "Wsseg", run: Path) -> None:
    (run / "scores.csv").write_text("case,dice\nx,high\n")
    wsseg("report", run).refused("scores.csv", "'high' is not a finite number")
    assert not (run / "report.html").exists()


# Suites.


def test_an_error_in_any_recipe_of_a_suite_is_reported_before_the_first_job(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text(f"extends: {toy_recipe.name}\ninput:\n  sizes: 3\n")
    (tmp_path / "suite.yaml").write_text(
        f"recipes: {{a: {toy_recipe.name}, b: {toy_recipe.name}, c: bad.yaml}}\n"
    )
    ended = wsseg("bench", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    ended.refused("bad.yaml:3: input.sizes: unknown key", "Did you mean 'size'?")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recipes: [toy.yaml]\nsets: {}\n", "suite.yaml:2: sets: unknown key"),
        ("recipes: {}\n", "recipes: "),
        ("seeds: [0]\n", "recipes: is missing"),
        ("recipes: [none.yaml]\n", "none.yaml: cannot be read"),
        ("recipes: [toy.yaml, other/toy.yaml]\n", "are both named 'toy'"),
        ("recipes: {../up: toy.yaml}\n", "cannot be used as a folder name"),
        ("recipes: [toy.yaml]\nset: {seed: 1}\n", "seeds: [0, 1]"),
        ("recipes: {rows.csv: toy.yaml}\n", "is the name of a file or folder of the suite"),
        ("recipes: {em: toy.yaml, EM: toy.yaml}\n", "two runs would be written to em/seed-0"),
        ("recipes: {a: {extends: toy.yaml, seed: 1}}\n", "recipes.a.seed: a suite's seeds are"),
        (
            "recipes: [toy.yaml]\nset:\n  cohort.path: x.csv\n  input.sise: 1\n",
            "suite.yaml:4: no recipe has the key 'input.sise'. Did you mean 'input.size'?",
        ),
        (
            "recipes: [toy.yaml]\nmatrix: {input.sise: [1]}\n",
            "suite.yaml:2: no recipe has the key 'input.sise'. Did you mean 'input.size'?",
        ),
        ("recipes: [toy.yaml]\nset: [1]\n", "suite.yaml:2: set: [1] is not a map {key: value}"),
        (
            "recipes: [toy.yaml]\nmatrix: {input.size: []}\n",
            "matrix.input.size: must be a list of values, not []",
        ),
        (
            "recipes: [toy.yaml]\nmatrix: {input.size: 32}\n",
            "matrix.input.size: must be a list of values, not 32",
        ),
        ("recipes: [toy.yaml]\nseeds: [0, 0]\n", "two runs would be written to toy/seed-0"),
        ("recipes: [toy.yaml]\nseeds: [true]\n", "seeds.0: must be a number, not true"),
        ("recipes: [toy.yaml]\nfolds: 1\n", "folds: "),
        (
            "recipes: [toy.yaml]\nfolds: 2\nset: {test: {use: lung-phantom}}\n",
            "folds: toy has a separate test cohort",
        ),
        ("recipes: [toy.yaml]\ncompare: {baseline: tay}\n", "Did you mean 'toy'?"),
        (
            "recipes: [toy.yaml]\nset: {input.size: big}\n",
            "suite.yaml:2: input.size: must be an integer",
        ),
    ],
)
def test_an_error_in_a_suite_is_reported_with_its_key(
    wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path, text: str, words: str
) -> None:
    assert toy_recipe.name == "toy.yaml"
    (tmp_path / "suite.yaml").write_text(text)
    ended = wsseg("bench", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    ended.refused(words)
    assert not (tmp_path / "out").exists()


def test_an_invalid_seed_is_reported_once(wsseg: "Wsseg", toy_recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(f"recipes: [{toy_recipe.name}]\nseeds: [-1]\n")
    ended = wsseg("bench", "run", tmp_path / "suite.yaml", "--out", tmp_path / "out")
    assert ended.error == ("suite.yaml:2: seeds.0: must be greater than or equal to 0, not -1")
