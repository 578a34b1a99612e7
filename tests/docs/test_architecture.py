"""ARCHITECTURE.md names the packages in their order, and modules that exist."""

import re
import tomllib

from tests.markdown import REPOSITORY

PAGE = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_table_of_packages_has_the_order_that_lint_enforces() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [
        each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers"
    ]
    table = PAGE.partition("| package | content |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()]
    assert rows == [layer.split(" | ") for layer in contract["layers"]]


def test_every_module_on_the_page_exists() -> None:
    table = PAGE.partition("| step | value | module |")[2]
    modules = re.findall(r"`([a-z]+\.[a-z_]+)`", table.partition("## Decisions")[0])
    assert len(modules) > 10
    for module in modules:
        assert (REPOSITORY / "wsseg" / f"{module.replace('.', '/')}.py").is_file(), module


def test_the_page_is_short() -> None:
    assert len(PAGE.splitlines()) <= 100
