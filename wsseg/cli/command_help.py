"""Groups of commands whose help describes values in words instead of Python types."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import typer
from typer.core import TyperCommand
from typing_extensions import override

ClickContext: TypeAlias = Any  # typer has its own copy of click, whose types are private
ClickFormatter: TypeAlias = Any
F = TypeVar("F", bound=Callable[..., Any])
WORDS = {"int": "N", "float": "NUMBER", "str": "TEXT", "path": "PATH", "Path": "PATH"}
BRACES = re.compile("[{}]")  # around the name of a required argument
TYPE = re.compile(r" <(?:list\[)?([^<>\[\]]*?)(?: range)?\]?>$")  # at the end of an option's name


class Commands(typer.Typer):
    """A group of commands; without a command it prints its help."""

    def __init__(self, text: str, **settings: Any) -> None:
        super().__init__(help=text, no_args_is_help=True, rich_markup_mode=None, **settings)

    @override
    def command(self, name: str | None = None, **settings: Any) -> Callable[[F], F]:
        return super().command(name, cls=WithPlainHelp, **settings)


class WithPlainHelp(TyperCommand):
    """A command whose help shows `--jobs N`, not `--jobs <int range>`, and RUN, not {run}.

    Options with a `rich_help_panel` are listed under this heading.
    """

    @override
    def collect_usage_pieces(self, ctx: ClickContext) -> list[str]:
        options, *arguments = super().collect_usage_pieces(ctx)
        return [options, *(BRACES.sub("", each).upper() for each in arguments)]

    @override
    def format_options(self, ctx: ClickContext, formatter: ClickFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for kind, title in {"argument": "Arguments", "option": "Options"}.items():
            for param in self.get_params(ctx):
                if param.param_type_name == kind and (record := param.get_help_record(ctx)):
                    heading = getattr(param, "rich_help_panel", None) or title
                    name, text = record
                    sections.setdefault(heading, []).append((_plain(name, kind), text))
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _plain(name: str, kind: str) -> str:
    """Return the name of a parameter with a word for its value, or with its choices."""
    found = TYPE.search(name)
    start = name[: found.start()] if found else name
    word = WORDS.get(found[1], found[1]) if found else ""
    if kind == "argument":
        return f"{start.upper()} {word}" if "|" in word else start.upper()
    return f"{start} {word}".rstrip()
