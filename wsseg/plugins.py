"""Finds installed plugins, and says plainly which of them could not be used."""

import difflib
from dataclasses import dataclass, field
from importlib import metadata
from types import ModuleType
from typing import TypeVar, cast

import pluggy

from wsseg import builtin, hookspecs
from wsseg.component import Component
from wsseg.interfaces import Backbone, EStep, Prior

C = TypeVar("C", bound=Component)

HOOKS: dict[str, type[Component]] = {
    "wsseg_priors": Prior,
    "wsseg_esteps": EStep,
    "wsseg_backbones": Backbone,
}


class PluginError(Exception):
    """A plugin broke its side of the bargain."""


class UnknownComponentError(LookupError):
    """A recipe names a component that no loaded plugin offers."""


@dataclass(frozen=True)
class Failure:
    """A plugin that was found but not used, and why."""

    plugin: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.plugin} ({type(self.error).__name__}: {self.error})"


@dataclass
class Registry:
    """Every component that is installed, by interface and name."""

    offers: dict[type[Component], dict[str, type[Component]]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add(self, plugin: str, module: ModuleType) -> None:
        """Take all that `module` offers, or nothing of it if any part is wrong."""
        manager = pluggy.PluginManager("wsseg")
        manager.add_hookspecs(hookspecs)
        manager.register(module, name=plugin)
        manager.check_pending()
        offered = {
            kind: _merge(kind, self.offers.get(kind, {}), getattr(manager.hook, hook)())
            for hook, kind in HOOKS.items()
        }
        self.offers |= offered

    def make(self, kind: type[C], use: str, **parameters: object) -> C:
        """Build what a recipe writes as { use = "hard", threshold = 1.0 }."""
        if use not in self.offers[kind]:
            raise UnknownComponentError(self._unknown(kind, use))
        return cast(type[C], self.offers[kind][use]).model_validate(parameters)

    def _unknown(self, kind: type[Component], name: str) -> str:
        known = sorted(self.offers[kind])
        close = difflib.get_close_matches(name, known, n=1)
        lines = [f"no {kind.__name__} is called {name!r}; installed: {', '.join(known) or 'none'}"]
        lines += [f"did you mean {close[0]!r}?"] if close else []
        lines += [f"plugin not loaded: {failure}" for failure in self.failures]
        return "\n  ".join(lines)


def discover() -> Registry:
    """Load every installed plugin; one that fails does not take the others down."""
    registry = Registry()
    registry.add("wsseg", builtin)
    for entry_point in metadata.entry_points(group="wsseg"):
        plugin = f"{entry_point.name} = {entry_point.value}"
        try:
            registry.add(plugin, entry_point.load())
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            registry.failures.append(Failure(plugin, error))
    return registry


def _merge(
    kind: type[Component],
    taken: dict[str, type[Component]],
    results: list[dict[str, type[Component]]],
) -> dict[str, type[Component]]:
    merged = dict(taken)
    for name, offer in (item for result in results for item in result.items()):
        if name in merged:
            raise PluginError(f"{name!r} is already offered by {merged[name].__module__}")
        if not (isinstance(offer, type) and issubclass(offer, kind)):
            raise PluginError(f"{name!r} is {offer!r}, not a subclass of {kind.__name__}")
        merged[name] = offer
    return merged
