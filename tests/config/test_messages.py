"""Errors in a recipe are reported with file, line, key, invalid value and possible values.

Each word of a recipe is misspelt in turn.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsseg import InputError, load_recipe

RECIPE = """\
cohort: {use: lung-phantom, cases: 4}
regions:
  lung: {use: lung-threshold}
input:
  slices: 7
  unit: HU
  thick: {thinner_than_mm: 4, to_mm: 5, smoothing: 0.25}
  mask: lung
stages:
  infection:
    learn: masks
    classes: [infection]
    labels: independent
    region: lung
    backbone: {use: additive-unet, width: 32}
    loss: {use: smooth-dice}
    epochs: 200
    optimizer: {use: adam, lr: {start: 1.0e-2, end: 1.0e-5}}
    augment: {rotate_deg: 90, flip: [left-right]}
  consolidation:
    learn: em
    classes: [consolidation]
    start: infection
    region: infection
    prior: {use: hu-sigmoid, midpoint_hu: -34}
    estep: {use: scheduled, first: {use: soft}, then: {use: hard}, at: 0.5}
    loss: {use: smooth-dice}
    epochs: 50
    optimizer: {use: adam, lr: 5.0e-4}
    sampling: balanced
metrics:
  overlap: {use: dice}
scores:
  severity: {use: share, of: infection, within: lung}
precision: float32
"""
FREE_KEYS = {"lung", "infection", "consolidation", "overlap", "severity"}
VALUE = re.compile(
    r"\b(?:use|learn|labels|region|mask|start|sampling|precision|of|within): ([a-z][a-z0-9-]+)"
)
FLIP = re.compile(r"\[(left-right)\]")
KEY = re.compile(r"\b([a-z][a-z_]+): ?")


def words(pattern: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the line, the column and the text of each match of `pattern` in the recipe."""
    for number, line in enumerate(RECIPE.splitlines()):
        for found in pattern.finditer(line):
            yield number, found.start(1), found.group(1)


WORDS = [
    *(each for each in words(KEY) if each[2] not in FREE_KEYS),
    *words(VALUE),
    *words(FLIP),
]


def error_of(recipe: Path, text: str) -> str:
    recipe.write_text(text)
    with pytest.raises(InputError) as caught:
        load_recipe(recipe)
    return str(caught.value)


def test_the_recipe_without_errors_is_valid(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(RECIPE)
    assert load_recipe(tmp_path / "own.yaml").classes == ["infection", "consolidation"]


def test_each_misspelt_word_is_reported_with_its_line_and_the_correct_word(tmp_path: Path) -> None:
    assert len(WORDS) > 80
    for number, column, word in WORDS:
        lines = RECIPE.splitlines()
        misspelt, rest = word[:-1] + "qx", lines[number][column + len(word) :]
        lines[number] = lines[number][:column] + misspelt + rest
        text = error_of(tmp_path / "own.yaml", "\n".join(lines))
        if word in {"use", "learn"}:  # reported as a missing key
            assert re.match(r"own.yaml:\d+: .*(is not a valid|is missing|unknown key)", text), text
            continue
        if rest.startswith(":"):
            marks = (f".{misspelt}: ", f" {misspelt}: ")
        else:
            marks = (f"{misspelt!r} is unknown", f"called {misspelt!r}")
        (message,) = [line for line in text.splitlines() if any(mark in line for mark in marks)]
        assert message.startswith(f"own.yaml:{number + 1}: "), text
        assert "possible: " in message
        if len(word) > 3:
            assert f"Did you mean {word!r}?" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.a.learn=null", "stages.a.learn: 'None' is unknown; possible: em, masks, "),
        ("stages.a={}", "stages.a.learn: is missing"),
        ("stages=3", "stages: 3 is not a map {key: value}"),
        ("input=7", "input: 7 is not a map {key: value}"),
        ("input.clip=[1, x]", "input.clip.1: .* valid number.*, not 'x'"),
        (
            "stages.infection.optimizer.lr=fast",
            "lr: .*valid number.*; or .*valid list.*; or .* map",
        ),
        ("stages.infection.classes=[]", "classes: list should have at least 1 item .*, not 0$"),
        ("metrics.overlap.use=dise", "metrics.overlap.use: no Metric is called 'dise'"),
        ("stages.consolidation.prior.kind=3", "prior.kind: unknown key; possible: bias, "),
        ("a.b=1", "a: unknown key; possible: cohort, "),
    ],
)
def test_an_invalid_change_is_reported_with_the_change_and_the_key(
    tmp_path: Path, change: str, message: str
) -> None:
    (tmp_path / "own.yaml").write_text(RECIPE)
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "own.yaml", [change])
    line = str(caught.value).splitlines()[0]
    assert line.startswith(f"--set {change}: ")
    assert re.search(message, line), line


@pytest.mark.parametrize("extends", ["3", "{a: b}", "[[covid/phi2]]", "[1]"])
def test_an_invalid_value_of_extends_is_reported_with_its_line(
    tmp_path: Path, extends: str
) -> None:
    (tmp_path / "own.yaml").write_text(f"seed: 1\nextends: {extends}\n")
    with pytest.raises(
        InputError, match=r"own.yaml:2: extends: .* is not a name, a file or a list"
    ):
        load_recipe(tmp_path / "own.yaml")
