"""Progress bars, notes and warnings on the terminal."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Protocol, TypeVar

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

UNLIMITED_WIDTH = 10_000  # columns of output that is not a terminal: no line is wrapped or cut
SECONDS_BETWEEN_LINES = 10  # of progress, in output that is not a terminal


def open_console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal; other output is not wrapped."""
    console = Console(stderr=stderr)
    if console.is_terminal:
        return console
    return Console(stderr=stderr, width=UNLIMITED_WIDTH, soft_wrap=True)


class Display:
    """Progress bars and lines on a terminal; lines only in other output, such as a log file."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or open_console(stderr=True)

    def note(self, text: str) -> None:
        """Print a line."""
        self.console.print(escape(escape_unprintable(text)), highlight=False)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(
            f"[yellow]warning:[/yellow] {escape(escape_unprintable(text))}", highlight=False
        )

    def track(self, text: str, items: Iterable[T], total: int) -> Iterator[T]:
        """Yield `items`, and show how many of `total` are done as `steps` does."""
        with self.steps(text, total) as advance:
            for item in items:
                yield item
                advance(1, "")

    @contextmanager
    def steps(self, text: str, total: int) -> Iterator["Advance"]:
        """Show a bar of `total` steps in the block; yield a function that moves it.

        If the output is not a terminal, a line at most every 10 s replaces the bar.
        """
        if self.console.is_terminal:
            with self.bar(text, total) as advance:
                yield advance
        else:
            yield _Lines(self.note, text, total)

    @contextmanager
    def bar(self, text: str, total: int, completed: int = 0) -> Iterator["Advance"]:
        """Show a bar of `total` steps in the block; yield a function that moves it.

        If the output is not a terminal, nothing is shown.
        """
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
                escape(escape_unprintable(text)), total=total, completed=completed, about=""
            )
            yield _Bar(progress, task)


class SilentDisplay(Display):
    """A display that prints nothing and collects warnings for another process to print."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Collect a warning."""
        self.warnings.append(text)


class Advance(Protocol):
    """A function that shows the progress of some steps."""

    def __call__(self, steps: int, about: str) -> None:
        """Count `steps` more steps as done; show the text `about` if there is room for it."""


class _Bar:
    """Moves a progress bar."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def __call__(self, steps: int, about: str) -> None:
        self._progress.update(self._task, advance=steps, about=escape(escape_unprintable(about)))


class _Lines:
    """Prints how many steps are done, at most every 10 s and not after the last step."""

    def __init__(self, note: Callable[[str], None], text: str, total: int) -> None:
        self._note, self._text, self._total = note, text, total
        self._done, self._printed = 0, monotonic()

    def __call__(self, steps: int, about: str) -> None:  # noqa: ARG002
        self._done += steps
        if self._done < self._total and monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self._note(f"{self._text}: {self._done} of {self._total}")
            self._printed = monotonic()
