"""Tests of `wsseg plugins check` with parts that pass, fail or cannot be built."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import Field

from wsseg import Batch, Cohort, InputError, Prior, Probability, hookimpl
from wsseg.components.registry import HOOKS, Failure, Registry, registry
from wsseg.core.case import Case
from wsseg.testing.conformance import CHECKS, check_parts

if TYPE_CHECKING:
    from tests.conftest import Wsseg


class Half(Prior):
    """A constant of 1/2."""

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, 0.5)


class Level(Prior):
    """A constant, with an example of its value."""

    level: float = Field(examples=[0.25])

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, self.level)


class WithoutExample(Level):
    """A constant without an example of its value."""

    level: float


class TooMuch(Level):
    """A constant that is no probability."""

    level: float = 1.5


class Exits(Half):
    """A prior that ends the process."""

    def __call__(self, batch: Batch) -> Probability:
        raise SystemExit(len(batch.image))


class Refuses(Half):
    """A prior that raises a validation error."""

    def __call__(self, batch: Batch) -> Probability:
        return Level.model_validate({"level": "much"})(batch)


class MissingFiles(Cohort):
    """A cohort whose files do not exist."""

    def cases(self) -> list[Case]:
        raise InputError("away.csv: file not found.\nFetch it first")


def a_registry(**hooks: Any) -> Registry:
    """A registry with the parts of a single distribution."""
    module = ModuleType("a_plugin")
    for name, offered in hooks.items():
        setattr(module, name, hookimpl(_returning(offered)))
    found = Registry()
    found.add("mine", "wsseg-mine 1.0", module)
    return found


def _returning(offered: Any) -> Callable[[], Any]:
    return lambda: offered


PRIORS = {"half": Half, "level": Level, "without-example": WithoutExample, "too-much": TooMuch}


def verdicts(found: Registry, distribution: str | None = None) -> dict[str, str]:
    return {each.name: each.verdict for each in check_parts(found, distribution)}


def test_every_kind_that_a_plugin_can_offer_has_a_check() -> None:
    kinds = {kind for of in HOOKS.values() for kind in of}
    assert set(CHECKS) == kinds - {Path}


def test_parts_are_built_from_examples_and_defaults_and_checked() -> None:
    assert verdicts(a_registry(wsseg_priors=PRIORS)) == {
        "half": "ok",
        "level": "ok",
        "without-example": "not built: no default or example of level",
        "too-much": "FAILED",
    }


def test_a_part_with_missing_files_is_not_a_failure() -> None:
    found = a_registry(wsseg_cohorts={"away": MissingFiles})
    assert verdicts(found) == {"away": "not built: away.csv: file not found. Fetch it first"}


def test_a_part_that_raises_any_error_fails() -> None:
    found = a_registry(wsseg_priors={"exits": Exits, "refuses": Refuses})
    assert verdicts(found) == {"exits": "FAILED", "refuses": "FAILED"}


def test_only_a_recipe_that_others_extend_may_be_incomplete(tmp_path: Path) -> None:
    base, complete, invalid = (
        tmp_path / f"{name}.yaml" for name in ("base", "complete", "invalid")
    )
    base.write_text("stages: {lesion: {epochs: 1}}\n")
    prior = "{learn: nothing, classes: [lesion], prior: {use: mixture}}"
    only = f"cohort: {{use: table, path: a.csv}}\nstages: {{lesion: {prior}}}\n"
    complete.write_text("extends: base.yaml\n" + only.replace("lesion:", "other:"))
    invalid.write_text("seed: few\n")
    found = a_registry(wsseg_recipes={str(path): path for path in (base, complete, invalid)})
    assert verdicts(found)[str(base)] == "not built: incomplete, but used by recipes that extend it"
    assert verdicts(found)[str(invalid)] == "FAILED"


def test_a_single_distribution_is_checked_by_any_spelling_of_its_name() -> None:
    found = a_registry(wsseg_priors={"half": Half})
    found.failures.append(Failure("broken = broken", "wsseg-broken 2.0", ImportError("gone")))
    assert verdicts(found, "WSSEG.-Mine") == {"half": "ok"}
    assert verdicts(found, "wsseg-broken") == {"broken": "FAILED"}
    assert verdicts(found) == {"half": "ok", "broken": "FAILED"}


def test_an_unknown_distribution_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"'wsseg-mime'; possible: wsseg-mine. Did you mean"):
        list(check_parts(a_registry(wsseg_priors={"half": Half}), "wsseg-mime"))


# The command


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Replace the installed plugins by two distributions, one of which cannot be imported."""
    found = a_registry(wsseg_priors=PRIORS)
    try:
        raise ImportError("no module named 'gone'")
    except ImportError as error:
        found.failures.append(Failure("broken = broken", "wsseg-broken 2.0", error))
    monkeypatch.setattr("wsseg.components.registry.registry", lambda: found)
    return found


@pytest.mark.usefixtures("installed")
def test_plugins_list_succeeds_even_if_a_plugin_cannot_be_imported(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "list")
    assert ended.code == 0
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["half", "wsseg-mine", "A", "constant", "of", "1/2."] in rows
    assert "not loaded: wsseg-broken 2.0: broken = broken (ImportError: no module" in ended.err


@pytest.mark.usefixtures("installed")
def test_plugins_check_prints_tracebacks_and_exits_with_code_1(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "check")
    assert ended.code == 1
    assert ended.error == "2 of 5 parts failed"
    lines = {line.split()[1]: line for line in ended.out.splitlines() if not line.startswith(" ")}
    assert lines["half"].endswith("  ok")
    assert lines["too-much"].endswith("  FAILED")
    assert "    Traceback (most recent call last):\n" in ended.out
    assert "    AssertionError: phi has a maximum of 1.5, above 1\n" in ended.out
    assert "    ImportError: no module named 'gone'\n" in ended.out


def test_plugins_check_exits_with_code_1_if_no_part_can_be_built(
    wsseg: "Wsseg", monkeypatch: pytest.MonkeyPatch
) -> None:
    found = a_registry(wsseg_priors={"without": WithoutExample}, wsseg_cohorts={"m": MissingFiles})
    monkeypatch.setattr("wsseg.components.registry.registry", lambda: found)
    ended = wsseg("plugins", "check", "wsseg-mine")
    assert ended.code == 1
    assert ended.error.startswith("none of the 2 parts could be built")
    assert "Field(examples=[...])" in ended.error


@pytest.mark.usefixtures("installed")
def test_plugins_check_of_an_unknown_distribution_exits_with_code_2(wsseg: "Wsseg") -> None:
    wsseg("plugins", "check", "wsseg-mime").refused("Did you mean 'wsseg-mine'?")


@pytest.mark.parametrize("name", ["wsseg-compose", "wsseg-two-gaussian", "wsseg-spatial"])
def test_the_parts_of_our_plugins_pass(name: str) -> None:
    found = list(check_parts(registry(), name))
    assert found
    assert [each for each in found if each.error] == []
    assert "ok" in {each.verdict for each in found}


@pytest.mark.slow
def test_all_installed_parts_pass(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "check")
    assert ended.code == 0, ended.out
    assert "parts were built and passed" in ended.out
