"""The command line: help, exit codes, messages, and output that is not a terminal."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsseg.components.registry import Registry
from wsseg.errors import InputError

if TYPE_CHECKING:
    from tests.conftest import Wsseg

GROUPS = {
    "": [
        "train",
        "predict",
        "score",
        "report",
        "calibrate",
        "view",
        "pack",
        "export",
        "init",
        "new",
        "doctor",
        "bench",
        "recipe",
        "plugins",
        "data",
        "manifest",
        "tags-from-reports",
    ],
    "bench": ["run", "tune", "report"],
    "recipe": ["list", "show", "diff", "check", "schema"],
    "plugins": ["list", "show", "check"],
    "data": [
        *("template", "check", "fetch", "join", "cache", "prepare"),
        "phantom",
    ],
    "manifest": ["verify"],
}
COMMANDS = [
    f"{group} {name}".strip()
    for group, names in GROUPS.items()
    for name in names
    if name not in GROUPS
]


@pytest.mark.parametrize("group", GROUPS)
def test_help_lists_every_command_of_a_group_with_a_complete_summary(
    wsseg: "Wsseg", group: str
) -> None:
    ended = wsseg(*group.split(), "--help")
    assert ended.code == 0
    listing = ended.out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listing.splitlines()] == GROUPS[group]
    assert "..." not in listing  # typer shortens summaries that do not fit


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(wsseg: "Wsseg", command: str) -> None:
    ended = wsseg(*command.split(), "--help")
    assert ended.code == 0
    assert f"Example: wsseg {command}" in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_describes_values_in_words_instead_of_python_types(
    wsseg: "Wsseg", command: str
) -> None:
    listing = wsseg(*command.split(), "--help").out.partition("\nOptions:\n")
    for name in ("<", "list[", " int", " float", " str ", " path "):
        heads = [line.partition("  ")[0] for line in listing[2].replace("  --", "--").splitlines()]
        assert not [head for head in heads if head.startswith("--") and name in head]
    assert "<" not in listing[0].partition("\nArguments:\n")[2]


def test_help_of_predict_lists_optional_outputs_under_their_own_heading(wsseg: "Wsseg") -> None:
    shown = wsseg("predict", "--help").out
    options, _, rest = shown.partition("\nOptions:\n")[2].partition("\nAdditional output:\n")
    outputs, _, parallel = rest.partition("\nParallel processing:\n")
    assert "  --out PATH" in options
    assert "  --pictures" in outputs
    assert "  --jobs N" in parallel


def test_help_names_the_form_of_settings_and_numbers(wsseg: "Wsseg") -> None:
    shown = wsseg("train", "--help").out
    assert "  --set KEY=VALUE " in shown
    assert "  --devices N " in shown
    assert "  RECIPE  A recipe file" in shown


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["train", "--help"], ["data", "phantom", "--help"]]
)
def test_help_imports_neither_torch_nor_pandas(words: list[str]) -> None:
    check = (
        f"import sys; sys.argv = ['wsseg', *{words!r}]\n"
        "from wsseg.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "slow = {'torch', 'numpy', 'pandas', 'nibabel'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


def warnings_of_huggingface_hub(environment: dict[str, str]) -> str:
    """Return what a command prints when huggingface_hub logs that a download is repeated."""
    code = (
        "import sys; from wsseg.cli import main; sys.argv = ['wsseg', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "from huggingface_hub.utils import logging\n"
        "logging.get_logger('huggingface_hub.utils._http').warning('Retrying in 1s')\n"
    )
    inherited = {k: v for k, v in os.environ.items() if k != "HF_HUB_VERBOSITY"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=inherited | environment
    )
    return done.stderr


def test_repeated_downloads_of_weights_are_not_printed_unless_the_user_wants_them() -> None:
    assert warnings_of_huggingface_hub({}) == ""
    assert "Retrying in 1s" in warnings_of_huggingface_hub({"HF_HUB_VERBOSITY": "warning"})


@pytest.mark.parametrize(
    "words", [["fly"], ["train"], ["train", "a.yaml"], ["recipe", "show"], ["report", "--fast"]]
)
def test_wrong_usage_has_exit_code_2(wsseg: "Wsseg", words: list[str]) -> None:
    ended = wsseg(*words)
    assert ended.code == 2
    assert "Error: " in ended.err
    assert "Traceback" not in ended.err


def test_a_bug_has_exit_code_1_and_no_traceback(
    wsseg: "Wsseg", monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        raise ZeroDivisionError("one over nothing")

    monkeypatch.setattr(Registry, "names", broken)
    ended = wsseg("data", "phantom", "--out", "nowhere")
    assert ended.code == 1
    assert ended.error.startswith("ZeroDivisionError: one over nothing\nThis is a bug")


def test_debug_shows_the_traceback(wsseg: "Wsseg") -> None:
    plain = wsseg("recipe", "check", "none.yaml")
    assert plain.code == 2
    assert plain.err == "error: none.yaml: cannot be read (No such file or directory)\n"
    with pytest.raises(InputError, match="none"):
        wsseg("recipe", "check", "none.yaml", "--debug")


def test_an_interrupted_command_has_exit_code_130(
    wsseg: "Wsseg", toy_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "wsseg.training.run.prepare_all", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    ended = wsseg("data", "prepare", toy_recipe)
    assert ended.code == 130
    assert ended.error.startswith("interrupted; all files written so far are complete")


@pytest.mark.usefixtures("undrawn_figures")
def test_output_is_not_wrapped_if_it_is_not_a_terminal(
    wsseg: "Wsseg", trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    copy = shutil.copytree(trained, tmp_path / ("a-long-name-" * 8))
    scored = wsseg("score", copy)
    assert scored.code == 0
    (line,) = [line for line in scored.out.splitlines() if line.lstrip().startswith("a-long-name-")]
    assert len(line) > 120
    reported = wsseg("report", copy)
    assert reported.err == f"report: {copy / 'report.html'}\n"


def test_a_closed_output_pipe_is_not_an_error() -> None:
    command = f"{sys.executable} -m wsseg --help | true"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_a_folder_that_matplotlib_cannot_write_to_causes_no_warning(wsseg: "Wsseg") -> None:
    wsseg("--version")
    assert not logging.getLogger("matplotlib").isEnabledFor(logging.WARNING)
