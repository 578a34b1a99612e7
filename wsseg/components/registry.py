"""Finds installed plugins, and says plainly which of them could not be used."""

from abc import ABCMeta
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, TypeVar, cast

import pluggy

from wsseg.components import builtin, hookspecs
from wsseg.core.component import Component
from wsseg.core.interfaces import (
    Backbone,
    Cohort,
    EStep,
    Metric,
    PixelLoss,
    Prior,
    Region,
    Score,
    TagLoss,
)
from wsseg.errors import InputError, known_words, one_line

C = TypeVar("C", bound=Component)
Kind: TypeAlias = type[Component] | type[Path]

HOOKS: dict[str, tuple[Kind, ...]] = {
    "wsseg_priors": (Prior,),
    "wsseg_esteps": (EStep,),
    "wsseg_backbones": (Backbone,),
    "wsseg_losses": (PixelLoss, TagLoss),
    "wsseg_regions": (Region,),
    "wsseg_cohorts": (Cohort,),
    "wsseg_metrics": (Metric, Score),
    "wsseg_recipes": (Path,),
}


class PluginError(Exception):
    """A plugin broke its side of the bargain."""


class UnknownComponentError(InputError, ValueError):
    """A recipe names a component that no loaded plugin offers."""


@dataclass(frozen=True)
class Offer:
    """One part of a plugin, and where it came from."""

    name: str
    kind: Kind
    part: Any  # a class of `kind`, or a recipe's path
    plugin: str
    distribution: str

    @property
    def summary(self) -> str:
        """The first line that its author wrote about it."""
        if isinstance(self.part, Path):
            first = self.part.read_text("utf-8", errors="replace").partition("\n")[0]
            return first.lstrip("# ") if first.startswith("#") else ""
        return (self.part.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True)
class Failure:
    """A plugin that was found but not used, and why."""

    plugin: str
    distribution: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.plugin} ({one_line(self.error)})"


@dataclass
class Registry:
    """Everything that is installed, by kind and name."""

    offers: dict[tuple[Kind, str], Offer] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, plugin: str, distribution: str, module: ModuleType) -> None:
        """Take all that `module` offers, or nothing of it if any part is wrong."""
        version = getattr(module, "WSSEG_API_VERSION", hookspecs.API_VERSION)
        if version != hookspecs.API_VERSION:
            raise PluginError(
                f"made for plugin API {version}; this wsseg has {hookspecs.API_VERSION}"
            )
        taken = dict(self.offers)
        with _registered(module, plugin) as hooks:
            for hook, kinds in HOOKS.items():
                for name, part in _offered(getattr(hooks, hook)):
                    kind = _kind(name, part, kinds)
                    _add(taken, Offer(name, kind, part, plugin, distribution))
        self.offers = taken

    def names(self, kind: Kind) -> list[str]:
        """List the names that a recipe can use for a kind of part."""
        return sorted(name for offered, name in self.offers if offered is kind)

    def find(self, kind: Kind, name: str) -> Any:
        """Return the class (for recipes: the path) that goes by `name`."""
        if offer := self.offers.get((kind, name)):
            return offer.part
        lines = [f"no {kind_name(kind)} is called {name!r}; {known_words(name, self.names(kind))}"]
        lines += [f"plugin not loaded: {failure}" for failure in self.failures]
        raise UnknownComponentError("\n  ".join(lines))

    def make(self, kind: type[C], /, use: str, **parameters: object) -> C:
        """Build what a recipe writes as {use: hard, ...}."""
        part = cast("type[C]", self.find(kind, str(use)))
        return part.model_validate(parameters, context=self)

    def describe(self, component: Component) -> dict[str, Any]:
        """Return what a recipe would write for `component`: the inverse of `make`."""
        names = {id(offer.part): name for (_, name), offer in self.offers.items()}
        keys = type(component).recipe_keys()
        fields = {key: self._plain(getattr(component, name)) for key, name in keys.items()}
        use = names.get(id(type(component)))
        return fields if use is None else {"use": use, **fields}

    def distributions(self, described: Any) -> set[str]:
        """Return who offers the parts that `describe` named, with their versions."""
        if isinstance(described, list):
            return {name for each in described for name in self.distributions(each)}
        if not isinstance(described, Mapping):
            return set()
        used = described.get("use")
        own = {o.distribution for (_, name), o in self.offers.items() if name == used}
        return own.union(*(self.distributions(each) for each in described.values()))

    def _plain(self, value: object) -> Any:
        if isinstance(value, Component):
            return self.describe(value)
        if isinstance(value, Mapping):
            return {str(key): self._plain(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(each) for each in value]
        return str(value) if isinstance(value, Path) else value


@cache
def registry() -> Registry:
    """Load every installed plugin once; one that fails does not take the others down.

    In the order of their installation, so that a new one cannot take a name away from others.
    """
    found = Registry()
    found.add("wsseg", f"wsseg {metadata.version('wsseg')}", builtin)
    for entry_point in sorted(metadata.entry_points(group="wsseg"), key=_installed):
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
    """Return what a person calls a kind of part."""
    return "recipe" if kind is Path else kind.__name__


def make(kind: type[C], /, use: str, **parameters: object) -> C:
    """Build a component by the name that recipes use, from all that is installed."""
    return registry().make(kind, use, **parameters)


@cache
def _manager() -> pluggy.PluginManager:
    """Return what knows the hooks; made once, since that takes longer than to ask a plugin."""
    manager = pluggy.PluginManager("wsseg")
    manager.add_hookspecs(hookspecs)
    return manager


@contextmanager
def _registered(module: ModuleType, plugin: str) -> Iterator[pluggy.HookRelay]:
    """Yield the hooks with one plugin behind them; raise if it has a hook that there is not."""
    manager = _manager()
    try:
        manager.register(module, name=plugin)
        manager.check_pending()
        if not manager.get_hookcallers(module):
            raise PluginError("offers nothing; is each hook marked with @wsseg.hookimpl?")
        yield manager.hook
    finally:
        if manager.is_registered(module):
            manager.unregister(module)


def _installed(entry_point: metadata.EntryPoint) -> tuple[float, str]:
    """Return when, and as what: of two plugins with one name, the one that came later loses."""
    match entry_point.dist:
        case metadata.PathDistribution(_path=Path() as folder):  # there is no public way to it
            return folder.stat().st_mtime, folder.name
        case _:  # in an archive, or made up
            return 0, ""


def _offered(hook: pluggy.HookCaller) -> Iterator[tuple[str, Any]]:
    """Ask a hook what it offers, and by which names."""
    returned = hook()
    if len(returned) < len(hook.get_hookimpls()):  # pluggy leaves out what is None
        raise PluginError(f"{hook.name} returns None, not a dict of names")
    for names in returned:
        if not isinstance(names, Mapping):
            raise PluginError(f"{hook.name} returns {names!r}, not a dict of names")
        yield from names.items()


def _kind(name: object, part: object, kinds: tuple[Kind, ...]) -> Kind:
    """Return which of the hook's kinds a part is of, if a recipe can name it and use it."""
    if not (isinstance(name, str) and name.isprintable() and name.split() == [name]):
        raise PluginError(f"{name!r} cannot be a name: a recipe writes one word")
    kind = next((kind for kind in kinds if _is_a(part, kind)), None)
    if kind is None:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise PluginError(f"{name!r} is {part!r}, not a {wanted}")
    if isinstance(part, ABCMeta) and part.__abstractmethods__:
        lacking = ", ".join(sorted(part.__abstractmethods__))
        raise PluginError(f"{name!r} is abstract: {part.__name__} has no {lacking}")
    if isinstance(part, Path) and not part.is_file():
        raise PluginError(f"{name!r}: there is no file {part}")
    return kind


def _is_a(part: object, kind: Kind) -> bool:
    if kind is Path:
        return isinstance(part, Path)
    return isinstance(part, type) and issubclass(part, kind)


def _add(taken: dict[tuple[Kind, str], Offer], offer: Offer) -> None:
    if other := taken.get((offer.kind, offer.name)):
        raise PluginError(
            f"{offer.name!r} is offered by {other.plugin} ({other.distribution}) already"
        )
    taken[offer.kind, offer.name] = offer
