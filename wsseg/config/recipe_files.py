"""Recipes as YAML: files are loaded with everything that they extend, and recipes are printed."""

from collections.abc import Iterator, Mapping, Sequence
from os.path import realpath
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wsseg.components.registry import UnknownComponentError, registry
from wsseg.components.saving import check_offered, check_restored
from wsseg.config.messages import explain
from wsseg.config.paths import with_absolute_paths
from wsseg.config.recipe import DEFAULT_METRICS, Recipe
from wsseg.config.settings import RECIPE_MAPS, Key, Place, Settings, read_settings
from wsseg.errors import InputError, did_you_mean
from wsseg.runtime import yaml12

UNLIMITED_WIDTH = 10**9  # characters, so that YAML does not break lists into several lines


def load_recipe(source: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Load a recipe and validate it.

    Args:
        source: The name of an installed recipe, or the path of a file that ends in .yaml.
        changes: Changes of single keys, `a.b.c=VALUE` with VALUE in YAML, applied in order.

    Raises:
        InputError: The recipe does not exist or is invalid; the message states the file, the line
            and the key of each problem, and the possible values.

    Example:
        >>> from wsseg import load_recipe
        >>> load_recipe("recipe.yaml", ["stages.tumour.epochs=20", "seed=1"]).seed
        1
    """
    return check_recipe(recipe_settings(source, changes))


def recipe_settings(
    source: str | Path, changes: Sequence[str] = (), folder: Path = Path()
) -> Settings:
    """Return the settings of a recipe, merged with those that it extends and with the changes.

    The path of a file is relative to `folder`.
    """
    settings = _read(_find(str(source), folder), ())
    for change in changes:
        settings = settings.assigned(change)
    return settings


def check_recipe(settings: Settings) -> Recipe:
    """Return the recipe with these settings, with absolute paths.

    Raises:
        InputError: The settings are invalid; see `load_recipe`.
    """
    settings = _with_default_metrics(settings)
    settings.check_removals(RECIPE_MAPS)
    try:
        recipe = Recipe.model_validate(settings.values, context=registry())
    except ValidationError as error:
        raise InputError(explain(error, settings)) from None
    return with_absolute_paths(recipe, settings.folder)


def _with_default_metrics(settings: Settings) -> Settings:
    """Return the settings without the default metrics that nulls remove.

    Without own metrics, which replace the default ones, these count as inherited.
    """
    metrics = settings.values.get("metrics")
    if not isinstance(metrics, dict) or set(map(type, metrics.values())) != {type(None)}:
        return settings
    defaults = {name: registry().describe(each) for name, each in DEFAULT_METRICS.items()}
    return Settings({"metrics": defaults}).merged(settings)


def recipe_of_run(path: Path) -> Recipe:
    """Load the recipe in the folder of a run.

    Its paths are absolute. Older versions wrote some relative to the current folder.

    Raises:
        InputError: The recipe is invalid; see `load_recipe`.
    """
    return check_recipe(read_settings(path, folder=Path()))


def recipe_text(recipe: Recipe) -> str:
    """Return a recipe as YAML, including all defaults, with absolute paths."""
    described = registry().describe(with_absolute_paths(recipe))
    return yaml12.dump(described, sort_keys=False, allow_unicode=True, default_flow_style=None)


def check_can_be_saved(recipe: Recipe) -> None:
    """Write a recipe as YAML, read it again, and compare both.

    Raises:
        InputError: A part is offered by no plugin, or a value cannot be saved.
    """
    check_offered(recipe)
    try:
        restored = check_recipe(Settings(yaml12.load(recipe_text(recipe))))
    except InputError as error:
        raise InputError(
            f"the recipe cannot be loaded after it is saved: {error}.\n"
            "Check the plugin: wsseg plugins check"
        ) from None
    check_restored(with_absolute_paths(recipe), restored)


def holds_recipe(path: Path, recipe: Recipe) -> bool:
    """Return whether the recipe in the folder of a run is equal to `recipe`.

    Raises:
        InputError: The recipe of the run is invalid.
    """
    return recipe_of_run(path) == with_absolute_paths(recipe)


def annotated_text(recipe: Recipe, settings: Settings) -> str:
    """Return a recipe as YAML with the file and line of each value as a comment."""
    return "".join(_annotated(registry().describe(recipe), settings, ()))


def differences(first: Settings, second: Settings) -> Iterator[str]:
    """Yield each key in which two recipes differ, with both values and their places."""
    sides = [_values_by_key(check_recipe(settings), settings) for settings in (first, second)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(key) for side in sides)
        if before is None or after is None or before[0] != after[0]:
            yield ".".join(map(str, key))
            yield from (
                f"  {sign} {value[0]}  # {value[1]}"
                for sign, value in (("-", before), ("+", after))
                if value is not None
            )


def _values_by_key(recipe: Recipe, settings: Settings) -> dict[Key, tuple[str, str]]:
    """Return the value of each key of a recipe as YAML, and its place."""
    found = dict[Key, tuple[str, str]]()

    def visit(values: Mapping[str, Any], above: Key) -> None:
        for word, value in values.items():
            key = (*above, word)
            if isinstance(value, dict) and value:
                visit(value, key)
            else:
                found[key] = (_flow(value), settings.places.get(key, Place("default")).text)

    visit(registry().describe(recipe), ())
    return found


def _annotated(values: Mapping[str, Any], settings: Settings, above: Key) -> Iterator[str]:
    for word, value in values.items():
        key, indent = (*above, word), "  " * len(above)
        if isinstance(value, dict) and value:
            yield f"{indent}{word}:\n"
            yield from _annotated(value, settings, key)
        else:
            place = settings.places.get(key, Place("default"))
            yield f"{indent}{word}: {_flow(value)}  # {place.text}\n"


def _flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    text: str = yaml12.dump(value, default_flow_style=True, width=UNLIMITED_WIDTH)
    return text.partition("\n")[0]


def _find(source: str, folder: Path) -> Path:
    """Return the file of a recipe, given its name or its path relative to `folder`."""
    if source.endswith((".yaml", ".yml")):
        return folder / source
    try:
        path: Path = registry().find(Path, source)
    except UnknownComponentError as error:
        raise InputError(f"{error}\n  (the path of a file must end in .yaml)") from None
    return path


def _read(path: Path, descendants: tuple[Path, ...]) -> Settings:
    """Read a file and merge it with the files that it extends; later ones take precedence.

    `descendants` are the files that led to this one: none of them may be extended again.
    """
    real = Path(realpath(path))  # also resolves links that form a cycle
    if real in descendants:
        cycle = " → ".join(each.name for each in (*descendants[descendants.index(real) :], real))
        raise InputError(f"{path}: the recipe extends itself: {cycle}")
    return _with_parents(read_settings(path), path, (*descendants, real))


def inline_settings(own: Settings, path: Path) -> Settings:
    """Return settings that are part of the file `path`, merged with those that they extend."""
    return _with_parents(own, path, ())


def _with_parents(own: Settings, path: Path, descendants: tuple[Path, ...]) -> Settings:
    settings = Settings()
    for parent in _parents(path, own):
        settings = settings.merged(_read(parent, descendants))
    values = {key: value for key, value in own.values.items() if key != "extends"}
    return settings.merged(Settings(values, own.places))


def parents(path: Path) -> list[Path]:
    """Return the files that the recipe in a file extends."""
    return _parents(path, read_settings(path))


def _parents(path: Path, own: Settings) -> list[Path]:
    extends, place = own.values.get("extends") or [], own.place(("extends",))
    names = [extends] if isinstance(extends, str) else extends
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise InputError(
            f"{place}: extends: {extends!r} must be the name or file of a recipe, or a list of "
            "these"
        )
    try:
        files = [_find(name, path.parent) for name in names]
    except InputError as error:
        raise InputError(f"{place}: extends: {error}") from None
    for missing in (each for each in files if not each.exists()):
        known = [each.name for each in missing.parent.glob("*.yaml")]
        suggestion = did_you_mean(missing.name, known)
        raise InputError(f"{place}: extends: file not found: {missing}{suggestion}")
    return files
