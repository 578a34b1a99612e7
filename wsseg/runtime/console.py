"""What a person sees while a run works: a bar that moves, and a line that stays an epoch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from wsseg.errors import escape_unprintable

T = TypeVar("T")


WIDE = 10_000  # columns, where no terminal says how many there are: nothing is wrapped or cut


def open_console(*, stderr: bool = False) -> Console:
    """Return a console that fits the terminal; output to elsewhere is not wrapped."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDE, soft_wrap=True)


class Display:
    """Shows progress on a terminal; elsewhere, such as in a log file, only the lasting lines."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or open_console(stderr=True)

    def note(self, text: str) -> None:
        """Print a line."""
        self.console.print(escape(escape_unprintable(text)), highlight=False)

    def warn(self, text: str) -> None:
        """Print a line that should not be missed."""
        self.console.print(
            f"[yellow]warning:[/yellow] {escape(escape_unprintable(text))}", highlight=False
        )

    def each(self, text: str, things: Iterable[T], number: int) -> Iterator[T]:
        """Go through things with a bar."""
        with self.bar(text, number) as advance:
            for thing in things:
                yield thing
                advance(1, "")

    @contextmanager
    def bar(self, text: str, number: int, done: int = 0) -> Iterator["Advance"]:
        """Show a bar of `number` steps while the block runs; it goes when the block ends."""
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[about]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        with progress:
            task = progress.add_task(
                escape(escape_unprintable(text)), total=number, completed=done, about=""
            )
            yield Advance(progress, task)


class SilentDisplay(Display):
    """Shows nothing, and keeps what should not be missed for somebody who does."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Keep a line."""
        self.warnings.append(text)


class Advance:
    """Moves a bar."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def __call__(self, steps: int, about: str) -> None:
        """Move by `steps` and say something `about` the last one."""
        self._progress.update(self._task, advance=steps, about=escape(escape_unprintable(about)))
