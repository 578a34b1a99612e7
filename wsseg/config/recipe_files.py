"""Recipes as YAML: files are loaded with everything that they extend, and recipes are printed."""

from collections.abc import Iterator, Mapping, Sequence
from os.path import realpath
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from wsseg.components.registry import UnknownComponentError, registry
from wsseg.config.messages import explain
from wsseg.config.recipe import Recipe
from wsseg.config.settings import Key, Settings, parse_assignment, read_settings
from wsseg.errors import InputError, did_you_mean

ONE_LINE = 10**9  # letters: no list is broken into several lines


def load_recipe(source: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by its name or from a .yaml file, and apply changes "a.b.c=VALUE".

    Raises:
        InputError: The recipe is invalid; the message names the file, line and key, and the remedy.

    Example:
        >>> from wsseg import load_recipe
        >>> load_recipe("recipe.yaml", ["seed=1", "stages.tumour.epochs=20"]).seed
        1
    """
    return check_recipe(recipe_settings(source, changes))


def recipe_settings(
    source: str | Path, changes: Sequence[str] = (), beside: Path = Path()
) -> Settings:
    """Return a recipe's settings with all that it extends, and the changes, merged in.

    A file's path is relative to the folder `beside`.
    """
    settings = _extended(_find(str(source), beside), ())
    for change in changes:
        settings = settings.merged(parse_assignment(change))
    return settings


def check_recipe(settings: Settings) -> Recipe:
    """Build the recipe that `settings` describe.

    Raises:
        InputError: See `load_recipe`.
    """
    try:
        return Recipe.model_validate(settings.values, context=registry())
    except ValidationError as error:
        raise InputError(explain(error, settings)) from None


def recipe_text(recipe: Recipe) -> str:
    """Return a recipe as YAML, every default written out."""
    return yaml.safe_dump(
        registry().describe(recipe), sort_keys=False, allow_unicode=True, default_flow_style=None
    )


def annotated_text(recipe: Recipe, settings: Settings) -> str:
    """Return a recipe as YAML with the place each value came from as a comment."""
    return "".join(_annotated(registry().describe(recipe), settings, ()))


def _annotated(values: Mapping[str, Any], settings: Settings, key: Key) -> Iterator[str]:
    for word, value in values.items():
        here, indent = (*key, word), "  " * len(key)
        if isinstance(value, dict) and value:
            yield f"{indent}{word}:\n"
            yield from _annotated(value, settings, here)
        else:
            text = yaml.safe_dump(value, default_flow_style=True, width=ONE_LINE).partition("\n")[0]
            yield f"{indent}{word}: {text}  # {settings.places.get(here, 'default')}\n"


def _find(source: str, beside: Path) -> Path:
    """Resolve a recipe's name, or its path relative to `beside`."""
    if source.endswith((".yaml", ".yml")):
        return beside / source
    try:
        found: Path = registry().find(Path, source)
    except UnknownComponentError as error:
        raise InputError(f"{error}\n  (a file's name ends in .yaml)") from None
    return found


def _extended(path: Path, below: tuple[Path, ...]) -> Settings:
    """Read a recipe on top of all that it extends: one other, or several, the last on top."""
    here = Path(realpath(path))  # also where links go in circles
    if here in below:
        circle = " → ".join(each.name for each in (*below[below.index(here) :], here))
        raise InputError(f"{path}: extends itself: {circle}")
    return _on_parents(read_settings(path), path, (*below, here))


def inline_settings(own: Settings, path: Path) -> Settings:
    """Return settings that stand inside the file `path`, with all that they extend below them."""
    return _on_parents(own, path, ())


def _on_parents(own: Settings, path: Path, below: tuple[Path, ...]) -> Settings:
    settings = Settings()
    for parent in _parents(path, own):
        settings = settings.merged(_extended(parent, below))
    values = {key: value for key, value in own.values.items() if key != "extends"}
    return settings.merged(Settings(values, own.places))


def parents(path: Path) -> list[Path]:
    """List the files that a recipe's file extends, as it names them."""
    return _parents(path, read_settings(path))


def _parents(path: Path, own: Settings) -> list[Path]:
    extends, place = own.values.get("extends") or [], own.place(("extends",))
    names = [extends] if isinstance(extends, str) else extends
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise InputError(f"{place}: extends: {extends!r} is no recipe's name, file or list of them")
    try:
        found = [_find(name, path.parent) for name in names]
    except InputError as error:
        raise InputError(f"{place}: extends: {error}") from None
    for gone in (each for each in found if not each.exists()):
        files = [each.name for each in gone.parent.glob("*.yaml")]
        raise InputError(f"{place}: extends: there is no {gone}{did_you_mean(gone.name, files)}")
    return found
