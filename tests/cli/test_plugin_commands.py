"""Commands of installed packages are listed, run, and reported if they cannot be imported."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Wsseg

MODULE = '''
from typing import Annotated
import typer
from wsseg import InputError

def greet(name: str, times: Annotated[int, typer.Option()] = 1) -> None:
    """Greet somebody."""
    if times < 1:
        raise InputError("--times is 0; give 1 or more")
    typer.echo(f"Hello {name}! " * times)
'''


def install(site: Path, entry_points: str) -> None:
    """Write a package that adds commands to a folder of the import path."""
    (site / "greeting.py").write_text(MODULE)
    information = site / "greeting-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[wsseg.commands]\n{entry_points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_command_of_a_package_is_listed_and_runs_like_one_of_wsseg(
    wsseg: "Wsseg", site: Path
) -> None:
    install(site, "greet = greeting:greet")
    assert "  greet              Greet somebody." in wsseg("--help").out
    ended = wsseg("greet", "Ada", "--times", 2)
    assert (ended.code, ended.out) == (0, "Hello Ada! Hello Ada! \n")
    refused = wsseg("greet", "Ada", "--times", 0)
    assert (refused.code, refused.err) == (2, "error: --times is 0; give 1 or more\n")
    assert "Greet somebody." in wsseg("greet", "--help").out


def test_a_command_that_cannot_be_imported_is_reported_and_the_others_work(
    wsseg: "Wsseg", site: Path
) -> None:
    install(site, "broken = no_such_module:run")
    listing = wsseg("--help")
    assert listing.code == 0
    assert "  broken " in listing.out
    ended = wsseg("broken")
    assert ended.code == 1
    assert "no_such_module:run: ModuleNotFoundError: No module named 'no_such_module'" in ended.err


def test_a_command_of_wsseg_takes_precedence_over_one_of_the_same_name(
    wsseg: "Wsseg", site: Path
) -> None:
    install(site, "train = greeting:greet")
    assert "Example: wsseg train" in wsseg("train", "--help").out
    assert wsseg("--help").out.count("  train ") == 1


def test_doctor_lists_a_package_that_only_adds_a_command(wsseg: "Wsseg", site: Path) -> None:
    install(site, "greet = greeting:greet")
    assert "plugin            greeting 1.0\n" in wsseg("doctor").out
