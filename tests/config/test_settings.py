"""YAML in, values and their places out; merging as ARCHITECTURE.md states it."""

import pytest

from wsseg.config.settings import Settings, parse_assignment, parse_settings
from wsseg.errors import InputError


def parse(text: str) -> Settings:
    return parse_settings(text, "a.yaml")


def test_every_key_knows_its_line() -> None:
    settings = parse("a: 1\nb:\n  c: [5, 6]\n")
    assert settings.values == {"a": 1, "b": {"c": [5, 6]}}
    assert settings.place(("b", "c")) == "a.yaml:3"
    assert settings.place(("b", "nothing", "there")) == "a.yaml:2"


def test_a_map_that_no_file_holds_as_such_has_the_place_of_what_is_in_it() -> None:
    merged = parse("a: 1").merged(parse_assignment("b.c=2"))
    assert merged.place(("b",)) == "--set b.c=2"
    assert merged.place(("b", "c", "d")) == "--set b.c=2"


def test_maps_merge_and_lists_and_scalars_replace() -> None:
    merged = parse("m: {x: 1, y: [1, 2]}\nn: 3").merged(parse("m: {y: [9]}\nn: 4"))
    assert merged.values == {"m": {"x": 1, "y": [9]}, "n": 4}


def test_another_use_replaces_the_whole_map() -> None:
    parent = parse("prior: {use: hu-sigmoid, midpoint_hu: -34}")
    same = parent.merged(parse("prior: {use: hu-sigmoid, width_hu: 1}"))
    other = parent.merged(parse("prior: {use: constant}"))
    assert same.values["prior"] == {"use": "hu-sigmoid", "midpoint_hu": -34, "width_hu": 1}
    assert other.values["prior"] == {"use": "constant"}
    assert ("prior", "midpoint_hu") not in other.places


def test_a_child_without_use_changes_the_parents_part() -> None:
    merged = parse("stage: {learn: em, epochs: 50}").merged(parse("stage: {epochs: 8}"))
    assert merged.values == {"stage": {"learn": "em", "epochs": 8}}


def test_a_merged_value_keeps_the_place_of_who_wrote_it_last() -> None:
    merged = parse("a: 1\nb: 2").merged(parse_settings("b: 3", "child.yaml"))
    assert merged.place(("a",)) == "a.yaml:1"
    assert merged.place(("b",)) == "child.yaml:1"


def test_an_assignment_takes_a_yaml_value() -> None:
    assert parse_assignment("a.b=[1, x]").values == {"a": {"b": [1, "x"]}}
    assert parse_assignment("a=").values == {"a": None}


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", "a=[1"])
def test_a_broken_assignment_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--set"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "a.yaml:1: not valid YAML|a.yaml:2: not valid YAML"),
        ("- 1\n- 2", "a.yaml: holds list"),
        ("a: 1\na: 2", "a.yaml:2: 'a' stands there twice"),
        ("a: !!python/object/apply:os.system [true]", "a.yaml:1: .*plain values"),
        ("a: !mine 3", "a.yaml:1: .*plain values"),
        ("? [1, 2]\n: 3", "a key is a word"),
        ("a: 2001-99-99", "a.yaml:1: '2001-99-99': month must be in"),
        ("a: " + "9" * 5000, "a.yaml:1: '9999"),
        ("a: 0x_", "a.yaml:1: '0x_'"),
        ("x: &x [*x]", "alias that holds itself"),
        ("a: " + "[" * 3000, "a.yaml"),
    ],
)
def test_hostile_or_broken_yaml_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text)


def test_aliases_cannot_blow_a_file_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match="values"):
        parse("\n".join(lines))
