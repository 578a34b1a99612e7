"""Any mistake in a recipe is told by file, line and key, what came, what is possible, the nearest.

Not by examples alone: every word of a recipe is misspelt, one at a time.
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
  thick: {thinner_than_mm: 4, smoothing: 0.25}
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
INVENTED = {"lung", "infection", "consolidation", "overlap", "severity"}  # keys that are free
CHOSEN = re.compile(
    r"\b(?:use|learn|labels|region|mask|start|sampling|precision|of|within): ([a-z][a-z0-9-]+)"
)
FLIP = re.compile(r"\[(left-right)\]")
KEY = re.compile(r"\b([a-z][a-z_]+): ?")


def words(pattern: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    """Line and column of each word of the recipe that a pattern finds, and the word."""
    for number, line in enumerate(RECIPE.splitlines()):
        for found in pattern.finditer(line):
            yield number, found.start(1), found.group(1)


MISTAKES = [
    *(each for each in words(KEY) if each[2] not in INVENTED),
    *words(CHOSEN),
    *words(FLIP),
]


def test_the_recipe_is_fine_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(RECIPE)
    assert load_recipe(tmp_path / "own.yaml").classes == ["infection", "consolidation"]
    assert len(MISTAKES) > 80


@pytest.mark.parametrize(
    ("number", "column", "word"), MISTAKES, ids=lambda value: str(value).replace("-", "_")
)
def test_every_misspelt_word_is_told_by_its_line_with_the_right_one(
    tmp_path: Path, number: int, column: int, word: str
) -> None:
    lines = RECIPE.splitlines()
    came = word[:-1] + "qx"
    lines[number] = lines[number][:column] + came + lines[number][column + len(word) :]
    (tmp_path / "own.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "own.yaml")
    text = str(caught.value)
    if word in {"use", "learn"}:  # what is absent cannot be told from what is misspelt
        assert re.search(r"^own.yaml:\d+: .*(names no|is missing|unknown key)", text), text
        return
    is_key = RECIPE.splitlines()[number][column:].startswith(f"{word}:")
    marks = (f".{came}: ", f" {came}: ") if is_key else (f"{came!r} is unknown", f"called {came!r}")
    (told,) = [line for line in text.splitlines() if any(mark in line for mark in marks)]
    assert told.startswith(f"own.yaml:{number + 1}: "), text
    assert "possible: " in told
    if len(word) > 3:
        assert f"Did you mean {word!r}?" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("stages.a.learn=null", "stages.a.learn: 'None' is unknown; possible: em, masks, nothing"),
        ("stages.a={}", "stages.a.learn: is missing"),
        ("stages=3", "stages: 3 is no map {key: value}"),
        ("input=7", "input: 7 is no map {key: value}"),
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
def test_a_change_that_cannot_be_is_told_by_the_change(
    tmp_path: Path, change: str, told: str
) -> None:
    (tmp_path / "own.yaml").write_text(RECIPE)
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "own.yaml", [change])
    line = str(caught.value).splitlines()[0]
    assert line.startswith(f"--set {change}: ")
    assert re.search(told, line), line


@pytest.mark.parametrize("extends", ["3", "{a: b}", "[[covid/phi2]]", "[1]"])
def test_what_can_be_no_recipe_to_extend_is_named(tmp_path: Path, extends: str) -> None:
    (tmp_path / "own.yaml").write_text(f"seed: 1\nextends: {extends}\n")
    with pytest.raises(InputError, match=r"own.yaml:2: extends: .* is no recipe's name"):
        load_recipe(tmp_path / "own.yaml")
