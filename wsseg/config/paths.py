"""Paths in recipes: relative to the file that names them, and absolute once it is read."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from wsseg.config.settings import Key
from wsseg.core.component import Component

C = TypeVar("C", bound=Component)


def with_absolute_paths(part: C, folder_of: Callable[[Key], Path] = lambda _: Path()) -> C:
    """Return a component with absolute paths.

    `folder_of` returns the folder that the path at a key is relative to, by default the current
    folder.
    """
    made: C = _absolute(part, (), folder_of)
    return made


def paths_in(value: object, key: Key = ()) -> Iterator[tuple[Key, Path]]:
    """Yield each path in a component with its key."""
    if isinstance(value, Path):
        yield key, value
    for word, each in _items(value):
        yield from paths_in(each, (*key, word))


def _absolute(value: Any, key: Key, folder_of: Callable[[Key], Path]) -> Any:
    if isinstance(value, Path):
        return value if value.is_absolute() else _direct(Path.cwd() / folder_of(key) / value)
    made = {word: _absolute(each, (*key, word), folder_of) for word, each in _items(value)}
    if all(made[word] is each for word, each in _items(value)):
        return value
    if isinstance(value, Component):
        names = type(value).recipe_keys()
        return value.model_copy(update={names[str(word)]: each for word, each in made.items()})
    return made if isinstance(value, Mapping) else type(value)(made.values())


def _direct(path: Path) -> Path:
    """Return an absolute path without "..", for which the folder before it would have to exist.

    Links up to the last ".." are replaced by their targets, as the parent of a linked folder is
    that of its target.
    """
    parts = path.parts
    end = max((place + 1 for place, part in enumerate(parts) if part == ".."), default=0)
    return Path(*parts[:end]).resolve().joinpath(*parts[end:]) if end else path


def _items(value: object) -> Iterator[tuple[str | int, Any]]:
    """Yield the values that a component, map or list contains, with their keys in a recipe."""
    if isinstance(value, Component):
        yield from ((k, getattr(value, name)) for k, name in type(value).recipe_keys().items())
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
