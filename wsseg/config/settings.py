"""Settings from YAML files: nested maps that can be merged, with the place of each value."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from wsseg.errors import InputError, did_you_mean
from wsseg.runtime import yaml12

Key: TypeAlias = tuple[str | int, ...]  # the path of keys and indices from the top to a value

MAX_BYTES = 1_000_000  # of a file
MAX_VALUES = 100_000  # of a file, with all aliases expanded
PLAIN_TAGS = {
    yaml12.PREFIX + name for name in ("map", "seq", "str", "null", "bool", "int", "float")
}
SELECTORS = ("use", "learn")  # if these differ, the other keys of two maps have different meanings
# the maps, in which users choose the keys, where null removes what is inherited
RECIPE_MAPS = ("stages", "regions", "metrics", "scores")
SUITE_MAPS = ("recipes", "metrics", "matrix", "settings_from", "tune")
MERGE_KEY = "<<"  # inserts the values of other maps, as in YAML 1.1
ANCHORS = "x-"  # at the start of the top keys that only hold values for aliases
QUOTED = r"(?:\"[^\"]+\"|'[^']+')"  # a word of a key "a.b.c" that may contain dots
WORDS = re.compile(rf"(?:^|\.)({QUOTED}(?=\.|$)|[^.]*)")
WORD = rf"(?:{QUOTED}(?=\s*[.=])|[^.=\s][^.=]*)"
ASSIGNMENT = re.compile(rf"\s*({WORD}(?:\.{WORD})*)\s*=(.*)")


@dataclass(frozen=True)
class Place:
    """Where a value is written."""

    text: str = ""  # such as "recipe.yaml:12"
    folder: Path = Path()  # the folder of the file; relative paths are relative to it


@dataclass(frozen=True)
class Settings:
    """Nested values, with the place of each key."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, Place] = field(default_factory=dict, compare=False)

    def place(self, key: Key) -> str:
        """Return the place of `key`; if it has none, of a key inside it or of the nearest above."""
        for length in range(len(key), -1, -1):
            above = key[:length]
            if place := self.places.get(above) or self._place_inside(above):
                return place.text
        return ""

    def _place_inside(self, key: Key) -> Place | None:
        return next((self.places[each] for each in self.places if each[: len(key)] == key), None)

    def folder(self, key: Key) -> Path:
        """Return the folder that a path at `key` is relative to; for a default, the current one."""
        if not self._has(key):
            return Path()
        above = (self.places.get(key[:length]) for length in range(len(key), -1, -1))
        return next((place.folder for place in above if place), Path())

    def _has(self, key: Key) -> bool:
        values: Any = self.values
        for word in key:
            inside = dict(enumerate(values)) if isinstance(values, list) else values
            if not (isinstance(inside, Mapping) and word in inside):
                return False
            values = inside[word]
        return True

    def subtree(self, key: Key) -> "Settings":
        """Return the map at `key` as separate settings."""
        values: Any = self.values
        for word in key:
            values = values[word]
        size = len(key)
        places = {k[size:]: place for k, place in self.places.items() if k[:size] == key}
        return Settings(values, places)

    def check_removals(self, maps: Iterable[str]) -> None:
        """Check that no null is left in `maps`: it would remove a key that is not inherited.

        Raises:
            InputError: A null is left.
        """
        for name in maps:
            values = self.values.get(name)
            if not isinstance(values, dict):
                continue
            for key in (each for each, value in values.items() if value is None):
                others = [each for each, value in values.items() if value is not None]
                raise InputError(
                    f"{self.place((name, key))}: {name}.{key}: null removes an inherited key, but "
                    f"{key!r} is not inherited; give it a value, or remove "
                    f"it{did_you_mean(key, others)}"
                )

    def removed(self, name: str) -> dict[str, str]:
        """Return the keys that null removed from the map `name`, with the places of the nulls."""
        values = self.values.get(name)
        if not isinstance(values, dict):
            return {}
        inside = {key[1]: place for key, place in self.places.items() if key[:-1] == (name,)}
        return {str(key): place.text for key, place in inside.items() if key not in values}

    def assigned(self, text: str) -> "Settings":
        """Return these settings with the change `a.b.c=VALUE`, where VALUE is YAML.

        Raises:
            InputError: The `=` or a key is missing, or VALUE is not valid YAML in a single line.
        """
        if len(text.splitlines()) > 1:
            raise InputError(f"--set {text!r}: contains a line break; write it on one line")
        found = ASSIGNMENT.fullmatch(text)
        if found is None:
            raise InputError(f"--set {text}: write it as a.b.c=VALUE, for example seed=1")
        place = Place(f"--set {text}")
        parsed = parse_settings(f"value: {found[2]}", place.text).values.get("value")
        keys = self.split(found[1].rstrip())
        return self.merged(Settings(nested(keys, parsed), {tuple(keys): place}))

    def split(self, key: str) -> list[str]:
        """Return the words of a key "a.b.c".

        A word with dots is in quotation marks, or known: of several known words, the longest one is
        taken.
        """
        words, split = WORDS.findall(key), list[str]()
        values: Any = self.values
        while words:
            plain = list(takewhile(lambda word: not re.fullmatch(QUOTED, word), words))
            prefixes = [".".join(plain[:n]) for n in range(len(plain), 0, -1)] or [words[0][1:-1]]
            known = [each for each in prefixes if isinstance(values, dict) and each in values]
            word = known[0] if known else prefixes[-1]
            values = values[word] if known else None
            words = words[word.count(".") + 1 if plain else 1 :]
            split.append(word)
        return split

    def merged(self, child: "Settings") -> "Settings":
        """Return these settings merged with those of `child`, which take precedence.

        Maps are merged; lists and scalars are replaced. A map of `child` with another `use` or
        `learn` replaces the existing map. A null removes its key from the maps in
        `RECIPE_MAPS` and `SUITE_MAPS`.
        """
        places = dict(self.places)
        values = _merge(self.values, child.values, (), places)
        return Settings(values, places | child.places)


def read_settings(path: Path, folder: Path | None = None) -> Settings:
    """Read a YAML file that contains a map.

    Paths in it are relative to `folder`; None: the folder of the file.

    Raises:
        InputError: The file is missing, too large, not valid YAML or not a map.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path}: the file has more than {MAX_BYTES} bytes, which is too large for settings"
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: cannot be read ({reason})") from None
    return parse_settings(text, path.name, path.parent if folder is None else folder)


def parse_settings(text: str, name: str, folder: Path = Path()) -> Settings:
    """Parse YAML text, without top keys that start with "x-".

    Messages refer to the text by `name`, and paths in it are relative to `folder`.
    """
    try:
        node = yaml.compose(text, Loader=yaml12.Loader)
        if node is None:
            return Settings()
        reader = _Reader(name)
        values = reader.read(node, ())
    except yaml.YAMLError as error:
        raise InputError(f"{name}{_line(error)}: not valid YAML: {_problem(error)}") from None
    except RecursionError:
        raise InputError(f"{name}: nested too deeply, or an alias contains itself") from None
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise InputError(f"{name}: must contain a map `key: value`, not a value of type {kind}")
    values = {key: value for key, value in values.items() if not key.startswith(ANCHORS)}
    return Settings(values, {key: Place(line, folder) for key, line in reader.lines.items()})


def nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return nested maps with a single value, at `keys`."""
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def without_quotes(key: str) -> str:
    """Return a key "a.b.c" without the quotation marks of its words."""
    return ".".join(w[1:-1] if re.fullmatch(QUOTED, w) else w for w in WORDS.findall(key))


class _Reader:
    """Constructs values from YAML nodes, and records the line of each key."""

    def __init__(self, name: str) -> None:
        self.lines: dict[Key, str] = {}  # such as "recipe.yaml:12"
        self._name = name
        self._loader = yaml12.Loader("")
        self._count = 0

    def read(self, node: yaml.Node, key: Key) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise InputError(
                f"{self._name}: more than {MAX_VALUES} values, perhaps due to nested aliases"
            )
        self.lines[key] = place = f"{self._name}:{node.start_mark.line + 1}"
        if node.tag not in PLAIN_TAGS:
            raise InputError(f"{place}: tag {node.tag!r} is not allowed; use plain values")
        if isinstance(node, yaml.MappingNode):
            return self._read_map(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(each, (*key, i)) for i, each in enumerate(node.value)]
        try:
            return self._loader.construct_object(node, deep=True)
        except ValueError as error:  # such as !!int yes, or a number with too many digits
            raise InputError(f"{place}: {node.value[:40]!r}: {error}") from None

    def _read_map(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        place = self.lines[key]
        inserted: dict[str, Any] = {}
        own: dict[str, yaml.Node] = {}
        lines: dict[str, str] = {}
        for key_node, value_node in node.value:
            line = f"{self._name}:{key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(f"{line}: a key must be a word, not a list or a map")
            word = str(key_node.value)
            if word in lines:
                raise InputError(f"{line}: the key {word!r} appears twice; remove one")
            lines[word] = line
            if word == MERGE_KEY and key_node.style is None:
                inserted = self._read_inserted(value_node, key, line)
            else:
                own[word] = value_node
        values = inserted | {word: self.read(each, (*key, word)) for word, each in own.items()}
        self.lines |= {(*key, word): lines[word] for word in own} | {key: place}
        return values

    def _read_inserted(self, node: yaml.Node, key: Key, line: str) -> dict[str, Any]:
        """Return the values that a merge key inserts; earlier maps of a list have precedence."""
        maps = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values: dict[str, Any] = {}
        for each in reversed(maps):
            if not isinstance(each, yaml.MappingNode):
                raise InputError(f"{line}: '<<' needs a map or a list of maps, such as *anchor")
            values |= self.read(each, key)
        return values


def _merge(
    parent: dict[str, Any], child: dict[str, Any], key: Key, places: dict[Key, Place]
) -> dict[str, Any]:
    """Merge two maps at `key`, and remove the places of replaced values from `places`."""
    merged = dict(parent)
    for word, value in child.items():
        old, here = parent.get(word), (*key, word)
        if isinstance(old, dict) and isinstance(value, dict) and not _selects_other(old, value):
            merged[word] = _merge(old, value, here, places)
            continue
        for replaced in [each for each in places if each[: len(here)] == here]:
            del places[replaced]
        if value is None and old is not None and _null_removes(key):
            del merged[word]
        else:
            merged[word] = value
    return merged


def _null_removes(key: Key) -> bool:
    """Return whether a null in the map at `key` removes what is inherited."""
    return len(key) == 1 and key[0] in (*RECIPE_MAPS, *SUITE_MAPS)


def _selects_other(parent: Mapping[str, Any], child: Mapping[str, Any]) -> bool:
    """Return whether the child's `use` or `learn` differs from the parent's."""
    return any(word in child and child[word] != parent.get(word) for word in SELECTORS)


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark else ""


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or "unreadable characters")
