"""What `wsseg plugins check` does with parts that keep their contract, break it, or need more."""

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
from wsseg.testing.conformance import PartResult, checks, findings

if TYPE_CHECKING:
    from tests.conftest import Wsseg


class Half(Prior):
    """No opinion."""

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, 0.5)


class Level(Prior):
    """The same for all, by an example."""

    level: float = Field(examples=[0.25])

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, self.level)


class Needy(Level):
    """Of this one nobody has given an example."""

    level: float


class TooMuch(Level):
    """No probability."""

    level: float = 1.5


class Exits(Half):
    """Ends the process of whoever asks it."""

    def __call__(self, batch: Batch) -> Probability:
        raise SystemExit(len(batch.image))


class Refuses(Half):
    """Fits to something that it cannot be."""

    def __call__(self, batch: Batch) -> Probability:
        return Level.model_validate({"level": "much"})(batch)


class Away(Cohort):
    """Files that are elsewhere."""

    def cases(self) -> list[Case]:
        raise InputError("away.csv: there is no such file.\nFetch it first")


def a_registry(**hooks: Any) -> Registry:
    """What is installed, if it were one distribution's parts alone."""
    module = ModuleType("a_plugin")
    for name, offered in hooks.items():
        setattr(module, name, hookimpl(_returning(offered)))
    found = Registry()
    found.add("mine", "wsseg-mine 1.0", module)
    return found


def _returning(offered: Any) -> Callable[[], Any]:
    return lambda: offered


PRIORS = {"half": Half, "level": Level, "needy": Needy, "too-much": TooMuch}


def verdicts(found: Registry, distribution: str | None = None) -> dict[str, str]:
    return {each.name: each.verdict for each in findings(found, distribution)}


def test_every_kind_that_a_plugin_can_offer_has_a_check() -> None:
    kinds = {kind for of in HOOKS.values() for kind in of}
    assert set(checks()) == kinds - {Path}


def test_each_part_is_built_from_examples_and_defaults_and_gets_its_verdict() -> None:
    assert verdicts(a_registry(wsseg_priors=PRIORS)) == {
        "half": "ok",
        "level": "ok",
        "needy": "not built: no default or example of level",
        "too-much": "FAILED",
    }


def test_a_part_whose_files_are_not_here_is_not_a_failure() -> None:
    found = a_registry(wsseg_cohorts={"away": Away})
    assert verdicts(found) == {"away": "not built: away.csv: there is no such file. Fetch it first"}


def test_a_part_fails_whatever_it_raises_when_it_is_asked() -> None:
    found = a_registry(wsseg_priors={"exits": Exits, "refuses": Refuses})
    assert verdicts(found) == {"exits": "FAILED", "refuses": "FAILED"}


def test_a_recipe_that_others_extend_may_be_incomplete_and_another_may_not(tmp_path: Path) -> None:
    base, whole, wrong = (tmp_path / f"{name}.yaml" for name in ("base", "whole", "wrong"))
    base.write_text("stages: {lesion: {epochs: 1}}\n")
    prior = "{learn: nothing, classes: [lesion], prior: {use: mixture}}"
    only = f"cohort: {{use: table, path: a.csv}}\nstages: {{lesion: {prior}}}\n"
    whole.write_text("extends: base.yaml\n" + only.replace("lesion:", "other:"))
    wrong.write_text("seed: few\n")
    found = a_registry(wsseg_recipes={str(path): path for path in (base, whole, wrong)})
    assert verdicts(found)[str(base)] == "not built: is a part of recipes that extend it"
    assert verdicts(found)[str(wrong)] == "FAILED"


def test_one_distribution_is_checked_alone_however_its_name_is_spelt() -> None:
    found = a_registry(wsseg_priors={"half": Half})
    found.failures.append(Failure("broken = broken", "wsseg-broken 2.0", ImportError("gone")))
    assert verdicts(found, "WSSEG.-Mine") == {"half": "ok"}
    assert verdicts(found, "wsseg-broken") == {"broken": "FAILED"}
    assert verdicts(found) == {"half": "ok", "broken": "FAILED"}


def test_an_unknown_distribution_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'wsseg-mime'; possible: wsseg-mine. Did you mean"):
        list(findings(a_registry(wsseg_priors={"half": Half}), "wsseg-mime"))


# The command.


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Let the commands see two made-up distributions, one of which did not load."""
    found = a_registry(wsseg_priors=PRIORS)
    try:
        raise ImportError("no module named 'gone'")
    except ImportError as error:
        found.failures.append(Failure("broken = broken", "wsseg-broken 2.0", error))
    monkeypatch.setattr("wsseg.components.registry.registry", lambda: found)
    return found


@pytest.mark.usefixtures("installed")
def test_list_ends_well_beside_a_plugin_that_did_not_load(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "list")
    assert ended.code == 0
    assert "half      Prior  wsseg-mine 1.0  No opinion." in ended.out
    assert "not loaded: wsseg-broken 2.0: broken = broken (ImportError: no module" in ended.err


@pytest.mark.usefixtures("installed")
def test_check_shows_each_failure_with_its_traceback_and_ends_with_1(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "check")
    assert ended.code == 1
    assert ended.error == "2 of 5 parts failed"
    lines = {line.split()[1]: line for line in ended.out.splitlines() if not line.startswith(" ")}
    assert lines["half"].endswith("  ok")
    assert lines["too-much"].endswith("  FAILED")
    assert "    Traceback (most recent call last):\n" in ended.out
    assert "    AssertionError: phi has a maximum of 1.5, above 1\n" in ended.out
    assert "    ImportError: no module named 'gone'\n" in ended.out


@pytest.mark.usefixtures("installed")
def test_check_of_an_unknown_distribution_ends_with_2(wsseg: "Wsseg") -> None:
    wsseg("plugins", "check", "wsseg-mime").refused("Did you mean 'wsseg-mine'?")


@pytest.mark.parametrize("name", ["wsseg-compose", "wsseg-two-gaussian", "wsseg-spatial"])
def test_what_ships_passes(name: str) -> None:
    found = list(findings(registry(), name))
    assert found
    assert [each for each in found if each.error] == []
    assert "ok" in {each.verdict for each in found}


@pytest.mark.slow
def test_all_that_is_installed_passes(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "check")
    assert ended.code == 0, ended.out
    assert "parts were built and passed" in ended.out


def test_a_finding_says_one_thing() -> None:
    assert PartResult("a", "Prior").verdict == "ok"
    assert PartResult("a", "Prior", lacks="b").verdict == "not built: b"
    assert PartResult("a", "Prior", error=ValueError("c")).verdict == "FAILED"
