"""Settings as a person writes them: nested maps from YAML, merged, each value with its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from wsseg.errors import InputError

Key: TypeAlias = tuple[str | int, ...]  # the way from the top to a value

LONGEST_FILE = 1_000_000  # bytes; a recipe is a page or two
MOST_VALUES = 100_000  # what aliases may blow a file up to
PLAIN_TAG = "tag:yaml.org,2002:"  # followed by map, seq, str, int, ...; not python/...
CHOOSERS = ("use", "learn")  # where these differ, the rest of the parent's map means something else


@dataclass(frozen=True)
class Settings:
    """Nested values, and for each key the place ("phi2.yaml:12") where it was written."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict, compare=False)

    def place(self, key: Key) -> str:
        """Return where `key` was written, or something in it, or the nearest thing above it."""
        for length in range(len(key), -1, -1):
            above = key[:length]
            if found := self.places.get(above) or self._place_in(above):
                return found
        return ""

    def _place_in(self, key: Key) -> str:
        return next((self.places[each] for each in self.places if each[: len(key)] == key), "")

    def subtree(self, key: Key) -> "Settings":
        """Return the map that stands at `key`, as settings of its own."""
        values: Any = self.values
        for word in key:
            values = values[word]
        size = len(key)
        places = {k[size:]: place for k, place in self.places.items() if k[:size] == key}
        return Settings(values, places)

    def merged(self, child: "Settings") -> "Settings":
        """Return these settings overlaid by `child`.

        Maps merge, lists and scalars replace; where the child's `use` or `learn` differs, its map
        replaces the parent's.
        """
        places = dict(self.places)
        values = _merge(self.values, child.values, (), places)
        return Settings(values, places | child.places)


def read_settings(path: Path) -> Settings:
    """Read a YAML file that holds a map.

    Raises:
        InputError: The file is missing, too long, not YAML or not a map.
    """
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise InputError(f"{path}: over {LONGEST_FILE} bytes; settings are a page or two")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: cannot be read ({reason})") from None
    return parse_settings(text, path.name)


def parse_settings(text: str, name: str) -> Settings:
    """Parse YAML; `name` stands for it in messages."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return Settings()
        places: dict[Key, str] = {}
        values = _Reader(name, places).read(node, ())
    except yaml.YAMLError as error:
        raise InputError(f"{name}{_line(error)}: not valid YAML: {_problem(error)}") from None
    except RecursionError:
        raise InputError(f"{name}: nested too deeply, or an alias that holds itself") from None
    if not isinstance(values, dict):
        raise InputError(f"{name}: holds {type(values).__name__}; a map `key: value` is wanted")
    return Settings(values, places)


def parse_assignment(text: str) -> Settings:
    """Parse `a.b.c=VALUE`, VALUE in YAML.

    Raises:
        InputError: There is no `=`, no key, or VALUE is no YAML.
    """
    name, equals, value = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"--set {text}: write it as a.b.c=VALUE, for example seed=1")
    parsed = parse_settings(f"value: {value}", f"--set {text}").values.get("value")
    return assignment(keys, parsed, f"--set {text}")


def assignment(keys: list[str], value: Any, place: str) -> Settings:
    """Return settings of one value, `keys` deep."""
    values: Any = value
    for key in reversed(keys):
        values = {key: values}
    return Settings(values, {tuple(keys): place})


class _Reader:
    """Turns YAML nodes into values and notes the line of each key."""

    def __init__(self, name: str, places: dict[Key, str]) -> None:
        self._name = name
        self._places = places
        self._loader = yaml.SafeLoader("")
        self._count = 0

    def read(self, node: yaml.Node, key: Key) -> Any:
        self._count += 1
        if self._count > MOST_VALUES:
            raise InputError(f"{self._name}: over {MOST_VALUES} values (aliases of aliases?)")
        self._places[key] = place = f"{self._name}:{node.start_mark.line + 1}"
        if not node.tag.startswith(PLAIN_TAG) or "/" in node.tag:
            raise InputError(f"{place}: {node.tag!r}: settings are plain values, without tags")
        if isinstance(node, yaml.MappingNode):
            return self._read_map(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(each, (*key, i)) for i, each in enumerate(node.value)]
        try:
            return self._loader.construct_object(node, deep=True)
        except ValueError as error:  # a date without such a day, a number too long
            raise InputError(f"{place}: {node.value[:40]!r}: {error}") from None

    def _read_map(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = f"{self._name}:{key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(f"{line}: a key is a word, not a list or a map")
            word = str(key_node.value)
            if word in values:
                raise InputError(f"{line}: {word!r} stands there twice")
            values[word] = self.read(value_node, (*key, word))
            self._places[(*key, word)] = line
        return values


def _merge(
    parent: dict[str, Any], child: dict[str, Any], key: Key, places: dict[Key, str]
) -> dict[str, Any]:
    merged = dict(parent)
    for word, value in child.items():
        old, here = parent.get(word), (*key, word)
        if isinstance(old, dict) and isinstance(value, dict) and not _chooses_anew(old, value):
            merged[word] = _merge(old, value, here, places)
        else:
            for gone in [each for each in places if each[: len(here)] == here]:
                del places[gone]
            merged[word] = value
    return merged


def _chooses_anew(parent: Mapping[str, Any], child: Mapping[str, Any]) -> bool:
    return any(word in child and child[word] != parent.get(word) for word in CHOOSERS)


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark else ""


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or "unreadable characters")
