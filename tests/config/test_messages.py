"""Errors in a recipe are reported with file, line, key, invalid value and possible values.

Each word of a recipe is misspelt in turn.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from wsseg import InputError, load_recipe
from wsseg.components.registry import registry

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
        ("stages.a.learn=null", "stages.a.learn: null is unknown; possible: em, masks, "),
        ("stages.a={}", "stages.a.learn: is missing"),
        ("stages=3", "stages: 3 is not a map {key: value}"),
        ("input=7", "input: 7 is not a map {key: value}"),
        ("input.clip=[1, x]", "input.clip.1: must be a number, not 'x'"),
        ("input.clip=[no, 160]", "input.clip.0: must be a number, not 'no'"),
        ("window=[off, on]", "window.0: must be a number, not 'off'"),
        ("window=[false, 3]", "window.0: must be a number, not false"),
        ("stages.infection.augment.zoom=[yes, 1.1]", "zoom.0: must be a number, not 'yes'"),
        (
            "stages.infection.optimizer.lr=[[true, 0.01]]",
            "lr.0.0: must be a number, not true",
        ),
        (
            "stages.infection.optimizer.lr=fast",
            "lr: must be a number, .*; or must be a list, .*; or .* map",
        ),
        ("stages.infection.classes=[]", "classes: is empty, but must not be$"),
        ("metrics.overlap.use=dise", "metrics.overlap.use: no Metric is called 'dise'"),
        ("stages.consolidation.prior.kind=3", "prior.kind: unknown key; possible: bias, "),
        ("a.b=1", "a: unknown key; possible: cohort, "),
        (
            "stages.infection.loss=null",
            "null is not a valid PixelLoss; write {use: NAME}; possible: b",
        ),
        ("stages.infection.epochs=null", "stages.infection.epochs: must be an integer, not null$"),
        ("cohort.use=null", "cohort.use: no Cohort is called 'null'; possible: covid-20, "),
        ("regions.lung=[null]", r"regions.lung: \[null\] is not a valid Region"),
        (
            "stages=null",
            "is not a map {key: value}; to remove an inherited key, write {key: null}$",
        ),
        (
            "stages.infecton.epochs=3",
            "stages.infecton.learn: is missing. Did you mean 'infection'?",
        ),
        ("regions.lnug.threshold_hu=3", "regions.lnug: .*. Did you mean 'lung'?"),
        ("regions.lung={use: file}", "regions.lung.mask: is missing$"),
        ("window=[1, 2, 3]", "window: must have at most 2 items, not 3$"),
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


def test_null_in_place_of_any_value_is_allowed_or_reported_in_the_terms_of_yaml(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.yaml").write_text(RECIPE)
    errors: dict[str, str] = {}
    for key in keys_of(registry().describe(load_recipe(tmp_path / "own.yaml"))):
        change = f"{key}=null"
        try:
            load_recipe(tmp_path / "own.yaml", [change])
        except InputError as error:
            errors[change] = str(error)
    assert len(errors) > 80
    for change, text in errors.items():
        assert (f"--set {change}: " in text and "null" in text) or "set a backbone" in text
        assert not re.search("None|input should|dictionary|tuple|mean 'n", text), text


def keys_of(values: Mapping[str, object], above: str = "") -> Iterator[str]:
    for word, value in values.items():
        yield above + word
        if isinstance(value, Mapping):
            yield from keys_of(value, f"{above}{word}.")


def test_the_removal_of_the_last_stage_is_reported_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "cohort: {use: lung-phantom}\nstages:\n"
        "  a: {learn: nothing, classes: [infection], prior: {use: constant}}\n"
    )
    (tmp_path / "child.yaml").write_text("extends: own.yaml\n\nstages: {a: null}\n")
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "child.yaml")
    wanted = "child.yaml:3: stages.a: null removes the last of the stages; one is needed"
    assert str(caught.value) == wanted


def test_an_unknown_region_that_null_removed_is_reported_with_the_place_of_the_null(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.yaml").write_text(RECIPE)
    (tmp_path / "child.yaml").write_text("extends: own.yaml\nregions:\n  lung: null\n")
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "child.yaml")
    assert str(caught.value) == (
        "own.yaml:8: input.mask: 'lung' is unknown; possible: none "
        "(child.yaml:3: null removes regions.lung)"
    )


@pytest.mark.parametrize("extends", ["3", "{a: b}", "[[covid/phi2]]", "[1]"])
def test_an_invalid_value_of_extends_is_reported_with_its_line(
    tmp_path: Path, extends: str
) -> None:
    (tmp_path / "own.yaml").write_text(f"seed: 1\nextends: {extends}\n")
    with pytest.raises(
        InputError, match=r"own.yaml:2: extends: .* must be the name or file of a recipe, or a list"
    ):
        load_recipe(tmp_path / "own.yaml")
