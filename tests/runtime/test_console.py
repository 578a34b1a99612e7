"""Tests of what a run prints."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from wsseg.runtime import console
from wsseg.runtime.console import Display, SilentDisplay


def display_of(*, terminal: bool) -> tuple[Display, io.StringIO]:
    output = io.StringIO()
    return Display(Console(file=output, force_terminal=terminal, width=200)), output


def test_output_that_is_not_a_terminal_has_lines_but_no_bars() -> None:
    display, output = display_of(terminal=False)
    assert list(display.track("preparing", "abc", 3)) == ["a", "b", "c"]
    display.note("trained [3] stages")
    display.warn("the loss is [high]")
    assert output.getvalue() == "trained [3] stages\nwarning: the loss is [high]\n"


def test_output_that_is_not_a_terminal_has_a_line_of_progress_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = 0.0

    def cases() -> Iterator[str]:
        nonlocal seconds
        for name in "abcdef":
            seconds += 4
            yield name

    monkeypatch.setattr(console, "monotonic", lambda: seconds)
    display, output = display_of(terminal=False)
    for _ in display.track("scoring", cases(), 6):
        pass
    # b is done after 8 s, c after 12 s, e after 20 s; the command reports the last one itself
    assert output.getvalue() == "scoring: 3 of 6\n"
    assert list(display.track("scoring", cases(), 7)) == list("abcdef")
    assert output.getvalue().endswith("scoring: 3 of 7\nscoring: 6 of 7\n")


def test_a_terminal_shows_the_steps_and_the_text_of_a_bar() -> None:
    display, output = display_of(terminal=True)
    with display.bar("stage", total=8, completed=5) as advance:
        advance(2, "loss 0.25")
    assert "stage" in output.getvalue()
    assert "7/8" in output.getvalue()
    assert "loss 0.25" in output.getvalue()


def test_a_silent_display_collects_warnings() -> None:
    display = SilentDisplay()
    display.note("not printed")
    display.warn("kept")
    assert display.warnings == ["kept"]
