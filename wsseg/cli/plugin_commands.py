"""Commands of other packages: entry points of the group `wsseg.commands`."""

from collections.abc import Callable
from importlib import metadata
from typing import Any, NoReturn, TypeAlias

import typer
from typer.core import TyperGroup
from typing_extensions import override

from wsseg.cli.command_help import ClickContext, Commands
from wsseg.errors import WorkError, one_line

GROUP = "wsseg.commands"
ClickCommand: TypeAlias = Any


class WithPluginCommands(TyperGroup):
    """A group that includes the commands of installed packages, which are imported on first use.

    The name of an entry point is that of the command, and its value a function as typer expects it.
    A command of wsseg with the same name takes precedence.
    """

    @override
    def list_commands(self, ctx: ClickContext) -> list[str]:
        own = super().list_commands(ctx)
        return [*own, *sorted(metadata.entry_points(group=GROUP).names - set(own))]

    @override
    def get_command(self, ctx: ClickContext, cmd_name: str) -> ClickCommand:
        if own := super().get_command(ctx, cmd_name):
            return own
        found = metadata.entry_points(group=GROUP, name=cmd_name)
        return next(map(_load, found), None)


def _load(entry_point: metadata.EntryPoint) -> ClickCommand:
    """Return a command; if its import fails, one that reports the error."""
    app = Commands("", add_completion=False)
    try:
        app.command(entry_point.name)(entry_point.load())
    except Exception as error:  # noqa: BLE001 - a broken package must not disable other commands
        app.command(entry_point.name)(_failing(f"{entry_point.value}: {one_line(error)}"))
    return typer.main.get_command(app)


def _failing(message: str) -> Callable[[], NoReturn]:
    def command() -> NoReturn:
        """Not available, because its package cannot be imported."""
        raise WorkError(message)

    return command
