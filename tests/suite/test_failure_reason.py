"""The reason for a failure shows a line that the user can change."""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn, zeros

from wsseg.errors import InputError, WorkError
from wsseg.suite.failure_reason import failure_reason

HERE = Path(__file__).name


def raised_by(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001 - any error is what is tested
        return error
    raise AssertionError("no error")


def line_of(function: Callable[[], object]) -> int:
    """The line of a lambda or of the last line of a function."""
    lines, start = inspect.getsourcelines(function)
    return start + len(lines) - 1


def in_torch() -> None:
    nn.Linear(3, 4)(zeros(2, 5))


def in_the_standard_library() -> None:
    json.loads("{")


@pytest.mark.parametrize("function", [in_torch, in_the_standard_library])
def test_an_error_inside_a_library_has_the_line_that_called_the_library(
    function: Callable[[], None],
) -> None:
    reason = failure_reason(raised_by(function))
    assert reason.endswith(f"({HERE}:{line_of(function)})")
    assert reason.partition(":")[0] in ("RuntimeError", "JSONDecodeError")


def test_code_that_no_plugin_installed_is_not_attributed_to_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "some_library.py").write_text("def fail() -> None:\n    raise KeyError('a')\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def calls() -> None:
        __import__("some_library").fail()

    assert failure_reason(raised_by(calls)) == f"KeyError: 'a' ({HERE}:{line_of(calls)})"


@pytest.mark.parametrize("kind", [InputError, WorkError, OSError])
def test_an_expected_error_shows_only_its_own_message(kind: type[Exception]) -> None:
    assert failure_reason(kind("the disk is full")) == "the disk is full"
