"""The kit of `wsseg.testing`, run on whatever plugins offer: what `wsseg plugins check` does."""

import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from wsseg.components.registry import Failure, Kind, Offer, Registry, kind_name
from wsseg.config.recipe_files import load_recipe, parents
from wsseg.core.component import Component
from wsseg.errors import InputError, known_words
from wsseg.testing import checks as contracts


@dataclass(frozen=True)
class PartResult:
    """What became of a part: it keeps its contract, it was not built, or it failed."""

    name: str
    kind: str
    lacks: str = ""  # why it was not built
    error: BaseException | None = None

    @property
    def verdict(self) -> str:
        """What a line says of it."""
        if self.error is not None:
            return "FAILED"
        return f"not built: {self.lacks}" if self.lacks else "ok"


class NotBuiltError(Exception):
    """Nobody said what to build a part with."""


def findings(found: Registry, distribution: str | None = None) -> Iterator[PartResult]:
    """Check each part of a distribution, or of all, and tell which of its plugins did not load.

    Raises:
        InputError: No plugin is from `distribution`.
    """
    offered = {_project(offer.distribution) for offer in found.offers.values()}
    known = offered | {_project(failure.distribution) for failure in found.failures}
    wanted = known if distribution is None else {_project(distribution)}
    if not wanted <= known:
        raise InputError(
            f"no plugin is from a distribution called {distribution!r}; "
            + known_words(str(distribution), known)
        )
    for failure in found.failures:
        if _project(failure.distribution) in wanted:
            yield _not_loaded(failure)
    for offer in sorted(found.offers.values(), key=lambda each: (kind_name(each.kind), each.name)):
        if _project(offer.distribution) in wanted:
            yield examine(offer, found)


def examine(offer: Offer, found: Registry) -> PartResult:
    """Check one part, built from its fields' examples and defaults."""
    check = _check_recipe if offer.kind is Path else _check_component
    name, kind = offer.name, kind_name(offer.kind)
    try:
        check(offer, found)
    except NotBuiltError as reason:
        return PartResult(name, kind, lacks=str(reason))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a part may raise anything, or exit
        return PartResult(name, kind, error=error)
    return PartResult(name, kind)


def example(part: type[Component]) -> dict[str, Any]:
    """Return what a recipe would write for `part`: the first example of each field that has any.

    Raises:
        NotBuiltError: A field has neither an example nor a default.
    """
    fields = {key: part.model_fields[name] for key, name in part.recipe_keys().items()}
    lacking = [key for key, field in fields.items() if field.is_required() and not field.examples]
    if lacking:
        raise NotBuiltError(f"no default or example of {', '.join(lacking)}")
    return {key: field.examples[0] for key, field in fields.items() if field.examples}


def _check_component(offer: Offer, found: Registry) -> None:
    try:
        checks()[offer.kind](_built(offer, found))
    except InputError as error:  # such as files that are not here
        raise NotBuiltError(" ".join(str(error).split())) from None


def _built(offer: Offer, found: Registry) -> Component:
    kind = cast("type[Component]", offer.kind)
    try:
        return found.make(kind, offer.name, **example(offer.part))
    except ValidationError as error:
        raise NotBuiltError(" ".join(str(error).split())) from None


def _check_recipe(offer: Offer, found: Registry) -> None:
    """Load a recipe; one that others extend may be a part of a recipe, checked as part of them."""
    try:
        load_recipe(offer.name)
    except InputError:
        others = [each.part for each in found.offers.values() if each.kind is Path]
        if any(_extends(path, offer.part) for path in others):
            raise NotBuiltError("is a part of recipes that extend it") from None
        raise


@cache
def checks() -> dict[Kind, Callable[[Any], None]]:
    """Return the check of each kind: that of `wsseg.testing` whose first argument is one."""
    functions = [each for name, each in vars(contracts).items() if name.startswith("check_")]
    return {next(iter(typing.get_type_hints(each).values())): each for each in functions}


def _not_loaded(failure: Failure) -> PartResult:
    return PartResult(failure.plugin.partition(" ")[0], "plugin", error=failure.error)


def _project(distribution: str) -> str:
    """Return a distribution's name without its version, as package indexes compare names."""
    return re.sub(r"[-_.]+", "-", distribution.partition(" ")[0]).lower()


def _extends(path: Path, parent: Path) -> bool:
    try:
        return parent.resolve() in [each.resolve() for each in parents(path)]
    except InputError:  # told where that recipe itself is checked
        return False
