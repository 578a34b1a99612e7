"""Descriptions of installed parts for the terminal."""

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from textwrap import indent as indented
from typing import Any

from pydantic import ValidationError
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wsseg.components.registry import HOOKS, Kind, Offer, Registry, kind_name
from wsseg.config.messages import explain
from wsseg.config.part_fields import part_fields
from wsseg.config.settings import Settings
from wsseg.core.interfaces import Prior
from wsseg.errors import InputError, known_words
from wsseg.report.phi_curve import drawn_phi
from wsseg.runtime import yaml12
from wsseg.testing.conformance import NotBuiltError, example

WIDTH = 80  # columns


def kind_words() -> dict[str, Kind]:
    """Return the kinds of parts by their names on the command line, such as pixel-loss."""
    kinds = [kind for of_hook in HOOKS.values() for kind in of_hook]
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind_name(kind)).lower(): kind for kind in kinds}


def kind_of(word: str) -> Kind:
    """Return a kind of parts by its name on the command line.

    Raises:
        InputError: There is no such kind.
    """
    if word not in kind_words():
        raise InputError(f"no kind of part is called {word!r}; {known_words(word, kind_words())}")
    return kind_words()[word]


def list_of_parts(offers: Sequence[Offer], indent: int) -> Padding:
    """Return a table of parts of one kind, with name, package and summary, after some spaces."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for offer in sorted(offers, key=lambda offer: offer.name):
        package = offer.distribution.partition(" ")[0]
        table.add_row(*map(Text, (offer.name, package, offer.summary)))
    return Padding(table, (0, 0, 0, indent), expand=False)


def offers_of(registry: Registry, name: str) -> list[Offer]:
    """Return the parts of all kinds with this name.

    Raises:
        InputError: There are none; the message lists similar names.
    """
    found = [offer for offer in registry.offers.values() if offer.name == name]
    if not found:
        names = {offer.name for offer in registry.offers.values()}
        raise InputError(f"no part is called {name!r}; {known_words(name, names)}")
    return found


def description(offer: Offer, registry: Registry, settings: Settings) -> str:
    """Return what a part is, how a recipe names it, and its keys; for a prior, a plot of phi."""
    heading = f"{offer.name}: {kind_name(offer.kind)} of {offer.distribution}"
    if isinstance(offer.part, Path):
        return f"{heading}\n\n{offer.summary}\n\n`wsseg recipe show {offer.name}` prints it.\n"
    sections = [heading, *_documentation(offer.part), f"Keys:\n{_keys(offer.part)}"]
    values = _example(offer.part) | settings.values
    sections.append(f"In a recipe:\n  {_in_recipe(offer.name, values)}")
    if offer.kind is Prior:
        sections.append(_plot(offer, registry, settings))
    return "\n\n".join(sections).rstrip() + "\n"


def _documentation(part: Any) -> list[str]:
    """Return the paragraphs of a docstring without its example; equations keep their lines."""
    text = inspect.cleandoc(part.__doc__ or "").partition("\nExample:")[0].strip()
    paragraphs = text.split("\n\n")
    return [each if each.startswith((" ", "- ")) else fill(each, WIDTH) for each in paragraphs]


def _keys(part: Any) -> str:
    fields = list(part_fields(part))
    width = max((len(field.key) for field in fields), default=0) + 4
    lines = []
    for field in fields:
        default = field.default if field.default == "required" else f"default {field.default}"
        head = fill(f"{field.type}, {default}".replace("`", ""), WIDTH - width)
        text = f"{head}\n{fill(field.meaning, WIDTH - width)}".rstrip()
        lines.append(f"  {field.key:{width - 2}}" + indented(text, " " * width).lstrip())
    return "\n".join(lines) or "  none"


def _in_recipe(name: str, values: Mapping[str, Any]) -> str:
    part = {"use": name, **values}
    return yaml12.dump(part, default_flow_style=True, sort_keys=False, width=10**9).strip()


def _example(part: Any) -> dict[str, Any]:
    """Return the examples of the keys that have one, where all required keys have one."""
    try:
        return example(part)
    except NotBuiltError:
        return {}


def _plot(offer: Offer, registry: Registry, settings: Settings) -> str:
    """Return a plot of phi, or why there is none."""
    values = _example(offer.part) | settings.values
    required = [field.key for field in part_fields(offer.part) if field.default == "required"]
    if missing := [key for key in required if key not in values]:
        return f"phi is drawn if {' and '.join(missing)} are given: --set KEY=VALUE"
    try:
        prior = registry.make(Prior, offer.name, **values)
    except ValidationError as error:
        raise InputError(f"{offer.name}: {explain(error, settings)}") from None
    learns = " before it learns from a cohort" if type(prior).fit is not Prior.fit else ""
    try:
        return f"phi of images of one value, by that value{learns}:\n{drawn_phi(prior)}"
    except InputError as error:
        return f"phi cannot be drawn: {error}"
