"""Settings are parsed from YAML with the place of each value, and merged."""

import pytest

from wsseg.config.settings import Settings, parse_settings
from wsseg.errors import InputError


def parse(text: str) -> Settings:
    return parse_settings(text, "a.yaml")


def test_the_place_of_a_key_is_its_line() -> None:
    settings = parse("a: 1\nb:\n  c: [5, 6]\n")
    assert settings.values == {"a": 1, "b": {"c": [5, 6]}}
    assert settings.place(("b", "c")) == "a.yaml:3"
    assert settings.place(("b", "nothing", "there")) == "a.yaml:2"


def test_the_place_of_a_map_without_a_line_is_that_of_a_key_inside_it() -> None:
    merged = parse("a: 1").assigned("b.c=2")
    assert merged.place(("b",)) == "--set b.c=2"
    assert merged.place(("b", "c", "d")) == "--set b.c=2"


def test_maps_are_merged_and_lists_and_scalars_are_replaced() -> None:
    merged = parse("m: {x: 1, y: [1, 2]}\nn: 3").merged(parse("m: {y: [9]}\nn: 4"))
    assert merged.values == {"m": {"x": 1, "y": [9]}, "n": 4}


def test_a_map_with_another_use_replaces_the_map() -> None:
    parent = parse("prior: {use: hu-sigmoid, midpoint_hu: -34}")
    same = parent.merged(parse("prior: {use: hu-sigmoid, width_hu: 1}"))
    other = parent.merged(parse("prior: {use: constant}"))
    assert same.values["prior"] == {"use": "hu-sigmoid", "midpoint_hu": -34, "width_hu": 1}
    assert other.values["prior"] == {"use": "constant"}
    assert ("prior", "midpoint_hu") not in other.places


def test_a_map_without_learn_changes_single_keys() -> None:
    merged = parse("stage: {learn: em, epochs: 50}").merged(parse("stage: {epochs: 8}"))
    assert merged.values == {"stage": {"learn": "em", "epochs": 8}}


def test_a_merged_value_has_the_place_of_its_last_definition() -> None:
    merged = parse("a: 1\nb: 2").merged(parse_settings("b: 3", "child.yaml"))
    assert merged.place(("a",)) == "a.yaml:1"
    assert merged.place(("b",)) == "child.yaml:1"


def test_the_value_of_an_assignment_is_yaml() -> None:
    assert Settings().assigned("a.b=[1, x]").values == {"a": {"b": [1, "x"]}}
    assert Settings().assigned("a=").values == {"a": None}


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", "a=[1", "a=1\nb: 2", "a\n=1"])
def test_an_invalid_assignment_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--set"):
        Settings().assigned(text)


@pytest.mark.parametrize("name", ["unet.v1", "unet.v1.2", "v"])
def test_an_assignment_reaches_a_key_with_dots(name: str) -> None:
    settings = Settings({"stages": {name: {"prior": {"hu": 1}}, "unet": {"epochs": 1}}})
    assigned = settings.assigned(f"stages.{name}.prior.hu=5").assigned("stages.unet.epochs=6")
    assert assigned.values == {"stages": {name: {"prior": {"hu": 5}}, "unet": {"epochs": 6}}}


@pytest.mark.parametrize("mark", ["'", '"'])
def test_a_new_key_with_dots_or_an_equals_sign_is_written_in_quotation_marks(mark: str) -> None:
    assigned = parse("stages: {unet: {}}").assigned(f"stages.{mark}a.b=1{mark}.prior.hu=5")
    assert assigned.values == {"stages": {"unet": {}, "a.b=1": {"prior": {"hu": 5}}}}
    again = assigned.assigned(f"stages.{mark}unet{mark}.epochs = 2")
    assert again.values["stages"]["unet"] == {"epochs": 2}


def test_a_quotation_mark_inside_a_word_is_part_of_it() -> None:
    assert parse("{}").assigned("scores.crohn's.of=a").values == {
        "scores": {"crohn's": {"of": "a"}}
    }
    assert Settings().split("a.'b'c.'d.e'") == ["a", "'b'c", "d.e"]


def test_the_longest_known_key_of_an_assignment_is_taken() -> None:
    settings = Settings({"a": {"b": 1}, "a.b": {"c": 2}})
    assert settings.split("a.b.c") == ["a.b", "c"]
    assert settings.split("a.c.b") == ["a", "c", "b"]


@pytest.mark.parametrize("kind", ["stages", "regions", "metrics", "scores", "recipes", "matrix"])
def test_null_removes_an_inherited_key_from_a_map_of_named_values(kind: str) -> None:
    merged = parse(f"{kind}: {{a: {{x: 1}}, b: 2}}").merged(parse(f"{kind}: {{a: null}}"))
    assert merged.values == {kind: {"b": 2}}
    assert merged.assigned(f"{kind}.a=3").values == {kind: {"b": 2, "a": 3}}


def test_null_is_a_value_elsewhere() -> None:
    merged = parse("input: {fill: 1}\nset: {a: 1}\nstages: {a: {region: lung}}").merged(
        parse("input: {fill: null}\nset: {a: null}\nstages: {a: {region: null}}")
    )
    expected = {"input": {"fill": None}, "set": {"a": None}, "stages": {"a": {"region": None}}}
    assert merged.values == expected


def test_a_null_that_removes_nothing_is_refused() -> None:
    settings = parse("scores: {severity: 1}").assigned("scores.severty=null")
    with pytest.raises(InputError, match=r"scores\.severty: null removes.* mean 'severity'\?"):
        settings.check_removals(["scores"])


def test_a_merge_key_inserts_maps_and_the_keys_of_the_map_itself_take_precedence() -> None:
    text = """\
x-a: &a {p: 1, q: 2}
x-b: &b {q: 3, r: {s: 4}}
one:
  <<: *a
  q: 5
both:
  t: 6
  <<: [*a, *b]
inline: {<<: {p: 7}, u: 8}
"""
    settings = parse(text)
    assert settings.values == {
        "one": {"p": 1, "q": 5},
        "both": {"p": 1, "q": 2, "r": {"s": 4}, "t": 6},
        "inline": {"p": 7, "u": 8},
    }
    assert settings.place(("one",)) == "a.yaml:3"
    assert settings.place(("one", "q")) == "a.yaml:5"
    assert settings.place(("one", "p")) == "a.yaml:1"


@pytest.mark.parametrize("value", ["1", "[1]", "null"])
def test_a_merge_key_that_inserts_no_map_is_refused(value: str) -> None:
    with pytest.raises(InputError, match=r"a\.yaml:1: '<<' needs a map or a list of maps"):
        parse(f"a: {{<<: {value}}}")


def test_only_a_file_has_keys_for_anchors() -> None:
    assert parse("x-a: 1\nb: {x-c: 2}").values == {"b": {"x-c": 2}}
    assert parse("{}").assigned("x-a=1").values == {"x-a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "a.yaml:1: not valid YAML|a.yaml:2: not valid YAML"),
        ("- 1\n- 2", "a.yaml: must contain a map `key: value`, not a value of type list"),
        ("a: 1\na: 2", "a.yaml:2: the key 'a' appears twice"),
        (
            "a: !!python/object/apply:os.system [true]",
            "a.yaml:1: tag .* is not allowed; use plain values",
        ),
        ("a: !mine 3", "a.yaml:1: tag .* is not allowed; use plain values"),
        ("? [1, 2]\n: 3", "a key must be a word"),
        ("a: !!bool yes", "a.yaml:1: 'yes': not a YAML value of type bool"),
        ("a: !!timestamp 2001-01-31", "a.yaml:1: tag .* is not allowed; use plain values"),
        ("a: " + "9" * 5000, "a.yaml:1: '9999"),
        ("x: &x [*x]", "alias contains itself"),
        ("a: " + "[" * 3000, "a.yaml"),
    ],
)
def test_malicious_or_invalid_yaml_causes_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text)


def test_nested_aliases_with_too_many_values_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match="more than 100000 values, perhaps due to nested aliases"):
        parse("\n".join(lines))
