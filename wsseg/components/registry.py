"""The registry of all installed components and recipes, and of plugins that failed to load."""

from abc import ABCMeta
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import pluggy
from pydantic_core import PydanticSerializationError, to_jsonable_python

from wsseg.components import builtin, hookspecs
from wsseg.core.augment import Augment
from wsseg.core.component import Component
from wsseg.core.image_unit import ImageUnit
from wsseg.core.interfaces import (
    Backbone,
    Cohort,
    EncoderWeights,
    EStep,
    Method,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
)
from wsseg.core.optimizer import Optimizer
from wsseg.core.tracker import Tracker
from wsseg.errors import InputError, known_words, one_line

C = TypeVar("C", bound=Component)
Kind: TypeAlias = type[Component] | type[Path]

HOOKS: dict[str, tuple[Kind, ...]] = {
    "wsseg_priors": (Prior,),
    "wsseg_esteps": (EStep,),
    "wsseg_backbones": (Backbone,),
    "wsseg_encoder_weights": (EncoderWeights,),
    "wsseg_losses": (PixelLoss, TagLoss),
    "wsseg_methods": (Method,),
    "wsseg_optimizers": (Optimizer,),
    "wsseg_augments": (Augment,),
    "wsseg_regions": (Region,),
    "wsseg_cohorts": (Cohort,),
    "wsseg_metrics": (Metric, Score),
    "wsseg_units": (ImageUnit,),
    "wsseg_trackers": (Tracker,),
    "wsseg_recipes": (Path,),
}


class PluginError(Exception):
    """A plugin violates the contract of its hooks."""


class UnsavableError(InputError, ValueError):
    """A value of a component cannot be written to a file."""


class UnknownComponentError(InputError, ValueError):
    """No loaded plugin offers a component of that name."""


@dataclass(frozen=True)
class Offer:
    """A component or a recipe that a plugin offers."""

    name: str  # as used in recipes
    kind: Kind
    part: Any  # a class of that kind, or the path of a recipe
    plugin: str  # the entry point
    distribution: str  # name and version

    @property
    def summary(self) -> str:
        """The first line of the class's docstring, or of the comment at the top of the recipe."""
        if isinstance(self.part, Path):
            first = self.part.read_text("utf-8", errors="replace").partition("\n")[0]
            return first.lstrip("# ") if first.startswith("#") else ""
        return (self.part.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True)
class Failure:
    """A plugin that was found but could not be loaded."""

    plugin: str  # the entry point
    distribution: str  # name and version
    error: BaseException

    def __str__(self) -> str:
        return f"{self.plugin} ({one_line(self.error)})"


@dataclass
class Registry:
    """All installed components and recipes, by kind and name."""

    offers: dict[tuple[Kind, str], Offer] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, plugin: str, distribution: str, module: ModuleType) -> None:
        """Add everything that `module` offers, or nothing if any part of it is invalid.

        Raises:
            PluginError: The plugin is for another API version, or a hook returns something invalid.
        """
        version = getattr(module, "WSSEG_API_VERSION", hookspecs.API_VERSION)
        if version != hookspecs.API_VERSION:
            raise PluginError(
                f"it was written for version {version} of the plugin API, but this wsseg has "
                f"version {hookspecs.API_VERSION}; update the plugin or wsseg"
            )
        taken = dict(self.offers)
        with _hooks_of(module, plugin) as hooks:
            for hook, kinds in HOOKS.items():
                for name, part in _items_of(getattr(hooks, hook)):
                    kind = _kind_of(name, part, kinds)
                    _add(taken, Offer(name, kind, part, plugin, distribution))
        self.offers = taken

    def names(self, kind: Kind) -> list[str]:
        """Return the sorted names that recipes can use for a kind of component."""
        return sorted(name for offered, name in self.offers if offered is kind)

    def find(self, kind: Kind, name: str) -> Any:
        """Return the class, or the path of the recipe, with this name.

        Raises:
            UnknownComponentError: There is none; the message lists the known names.
        """
        if offer := self.offers.get((kind, name)):
            return offer.part
        lines = [f"no {kind_name(kind)} is called {name!r}; {known_words(name, self.names(kind))}"]
        lines += [f"plugin that failed to load: {failure}" for failure in self.failures]
        raise UnknownComponentError("\n  ".join(lines))

    def make(self, kind: type[C], /, use: str, **parameters: object) -> C:
        """Build a component from its name and parameters, in a recipe {use: NAME, ...}."""
        part = cast("type[C]", self.find(kind, "null" if use is None else str(use)))
        return part.model_validate(parameters, context=self)

    def describe(self, component: Component) -> dict[str, Any]:
        """Return the plain values of a component, as in a recipe: the inverse of `make`.

        Raises:
            UnsavableError: A value is neither plain nor of a type that pydantic can write.
        """
        keys, fields = type(component).recipe_keys(), dict[str, Any]()
        for key, name in keys.items():
            try:
                fields[key] = self._plain(getattr(component, name))
            except PydanticSerializationError as error:
                raise UnsavableError(
                    f"{type(component).__name__}: the value of {key!r} cannot be saved ({error}); "
                    "use numbers, text, lists and maps"
                ) from None
        use = self.name_of(component)
        return fields if use is None else {"use": use, **fields}

    def name_of(self, component: Component) -> str | None:
        """Return the name that recipes use for the class of a component; None if it has none."""
        names = {id(offer.part): name for (_, name), offer in self.offers.items()}
        return names.get(id(type(component)))

    def kind_of(self, component: Component) -> type[Component] | None:
        """Return the kind of a component, or None if plugins cannot offer it."""
        kinds = (kind for kinds in HOOKS.values() for kind in kinds if issubclass(kind, Component))
        return next((kind for kind in kinds if isinstance(component, kind)), None)

    def distributions(self, described: Any) -> set[str]:
        """Return the distributions and versions of the components in a result of `describe`."""
        if isinstance(described, list):
            return {name for each in described for name in self.distributions(each)}
        if not isinstance(described, Mapping):
            return set()
        used = described.get("use")
        own = {o.distribution for (_, name), o in self.offers.items() if name == used}
        return own.union(*(self.distributions(each) for each in described.values()))

    def _plain(self, value: object) -> Any:
        if isinstance(value, ImageUnit):
            return value.name
        if isinstance(value, Component):
            return self.describe(value)
        if isinstance(value, Mapping):
            return {str(key): self._plain(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(each) for each in value]
        if isinstance(value, AbstractSet):
            return sorted(map(self._plain, value), key=repr)  # a set has no order
        return _plain_scalar(value)


@cache
def registry() -> Registry:
    """Return the registry of all installed plugins, which are loaded on the first call.

    A plugin that fails to load is recorded as a failure; the others remain usable. Plugins are
    loaded in the order of their installation, so that a new plugin cannot replace an existing name.
    """
    found = Registry()
    found.add("wsseg", f"wsseg {metadata.version('wsseg')}", builtin)
    for entry_point in sorted(metadata.entry_points(group="wsseg"), key=_installation_order):
        plugin = f"{entry_point.name} = {entry_point.value}"
        about = entry_point.dist.metadata if entry_point.dist else {"Name": "?", "Version": ""}
        distribution = f"{about['Name']} {about['Version']}".strip()
        try:
            found.add(plugin, distribution, entry_point.load())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, or exit
            found.failures.append(Failure(plugin, distribution, error))
    return found


def kind_name(kind: Kind) -> str:
    """Return the name of a kind of component in messages."""
    return "recipe" if kind is Path else kind.__name__


def make(kind: type[C], /, use: str, **parameters: object) -> C:
    """Build an installed component from the name and the parameters that a recipe would use.

    Args:
        kind: The interface, such as `Prior` or `EStep`.
        use: The name of the component.
        parameters: Its fields; a nested component is a dict with the key `use`.

    Raises:
        UnknownComponentError: No installed component of this kind has the name.
        pydantic.ValidationError: A parameter is missing, unknown or invalid.

    Example:
        >>> from wsseg import EStep, make
        >>> make(EStep, "adapt", share=0.2)
        AdaptEM(share=0.2, most=1.0)
    """
    return registry().make(kind, use, **parameters)


@cache
def _plugin_manager() -> pluggy.PluginManager:
    """Return the manager of the hooks, which is created once because that is slow."""
    manager = pluggy.PluginManager("wsseg")
    manager.add_hookspecs(hookspecs)
    return manager


@contextmanager
def _hooks_of(module: ModuleType, plugin: str) -> Iterator[pluggy.HookRelay]:
    """Yield the hooks with a single plugin registered; raise for hooks that do not exist."""
    manager = _plugin_manager()
    try:
        manager.register(module, name=plugin)
        manager.check_pending()
        if not manager.get_hookcallers(module):
            raise PluginError("it implements no hook; mark each hook with @wsseg.hookimpl")
        yield manager.hook
    finally:
        if manager.is_registered(module):
            manager.unregister(module)


def _plain_scalar(value: object) -> Any:
    """Return a value that is not a container as None, a bool, a number or a string."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    return str(value) if isinstance(value, Path) else to_jsonable_python(value)


def _installation_order(entry_point: metadata.EntryPoint) -> tuple[float, str]:
    """Return the time of installation and the folder of the distribution, as a sort key."""
    match entry_point.dist:
        case metadata.PathDistribution(_path=Path() as folder):  # there is no public attribute
            return folder.stat().st_mtime, folder.name
        case _:  # in an archive, or without files
            return 0, ""


def _items_of(hook: pluggy.HookCaller) -> Iterator[tuple[str, Any]]:
    """Call a hook and yield the names and the values of the dicts that it returns."""
    returned = hook()
    if len(returned) < len(hook.get_hookimpls()):  # pluggy omits results that are None
        raise PluginError(f"{hook.name} returns None; it must return a dict of names to classes")
    for names in returned:
        if not isinstance(names, Mapping):
            raise PluginError(
                f"{hook.name} returns {names!r}; it must return a dict of names to classes"
            )
        yield from names.items()


def _kind_of(name: object, part: object, kinds: tuple[Kind, ...]) -> Kind:
    """Return the kind of a part; raise `PluginError` if the part or its name is invalid."""
    if not (isinstance(name, str) and name.isprintable() and name.split() == [name]):
        raise PluginError(f"{name!r} is not a valid name; use a single word")
    kind = next((kind for kind in kinds if _is_a(part, kind)), None)
    if kind is None:
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise PluginError(f"{name!r} is {part!r}, but must be a {expected}")
    if isinstance(part, ABCMeta) and part.__abstractmethods__:
        missing = ", ".join(sorted(part.__abstractmethods__))
        raise PluginError(f"{name!r} is abstract: {part.__name__} does not implement {missing}")
    if kind is ImageUnit and getattr(part, "name", None) != name:
        raise PluginError(f"{name!r} is {part!r}; set its attribute `name` to {name!r}")
    if isinstance(part, Path) and not part.is_file():
        raise PluginError(f"{name!r}: file not found: {part}")
    return kind


def _is_a(part: object, kind: Kind) -> bool:
    if kind is Path:
        return isinstance(part, Path)
    return isinstance(part, type) and issubclass(part, kind)


def _add(taken: dict[tuple[Kind, str], Offer], offer: Offer) -> None:
    if other := taken.get((offer.kind, offer.name)):
        raise PluginError(
            f"{offer.name!r} is already offered by {other.plugin} ({other.distribution}); choose "
            "another name"
        )
    taken[offer.kind, offer.name] = offer
