"""Plugins are added completely or not at all, and one that fails does not affect the others."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import wsseg
from wsseg import Batch, Prior, Probability, hookimpl, make
from wsseg.components.esteps import HardEM
from wsseg.components.registry import PluginError, Registry, UnknownComponentError, registry
from wsseg.core.image_unit import AnyUnit
from wsseg.core.interfaces import EStep


class Half(Prior):
    """A prior of 1/2."""

    def __call__(self, batch: Batch) -> Probability:
        return torch.full(batch.support.shape, 0.5)


class Undecided(Prior):
    """A prior without its abstract method."""


def plugin(**hooks: Any) -> ModuleType:
    """Return a module with hooks that return the given values."""
    module = ModuleType("a_plugin")
    for name, offered in hooks.items():
        setattr(module, name, hookimpl(_returning(offered)))
    return module


def _returning(offered: Any) -> Any:
    def hook() -> Any:
        return offered

    return hook


def test_a_component_is_built_from_its_name_and_parameters() -> None:
    prior = make(Prior, "hu-sigmoid", midpoint_hu=-34, width_hu=220)
    assert registry().describe(prior) == {
        "use": "hu-sigmoid",
        "midpoint_hu": -34.0,
        "width_hu": 220.0,
        "bias": 0.5,
        "channel": None,
    }


def test_make_is_the_inverse_of_describe() -> None:
    parts = {"first": {"use": "hard"}, "then": {"use": "soft"}, "at": 0.25}
    estep = make(EStep, "scheduled", **parts)
    described = registry().describe(estep)
    assert described == {"use": "scheduled", **parts}
    assert make(EStep, **described) == estep


def test_an_unknown_name_is_refused_with_the_most_similar_name() -> None:
    with pytest.raises(UnknownComponentError, match=r"no EStep is called 'herd'.*mean 'hard'"):
        make(EStep, "herd")


def test_a_plugin_adds_its_components_to_the_registry() -> None:
    found = Registry()
    found.add("mine", "mine 1.0", plugin(wsseg_priors={"half": Half}))
    assert found.names(Prior) == ["half"]
    offer = found.offers[Prior, "half"]
    assert (offer.distribution, offer.summary) == ("mine 1.0", "A prior of 1/2.")


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        (
            {"wsseg_priors": {"good": Half, "bad": HardEM}},
            r"'bad' is .*HardEM.*, but must be a Prior",
        ),
        ({"wsseg_priors": {"good": Half, "bad": Half()}}, "'bad' is Half.*, but must be a Prior"),
        ({"wsseg_priors": {"good": Half}, "wsseg_esteps": {"hard": HardEM}}, "offered by first"),
        ({"wsseg_priors": {"good": Half}, "wsseg_recipes": {"r": "a.yaml"}}, "but must be a Path"),
        ({"wsseg_priors": {"good": Half}, "wsseg_proirs": {"x": Half}}, "unknown hook"),
        (
            {"wsseg_priors": {"good": Half, "bad": Undecided}},
            "'bad' is abstract.* not implement __call__",
        ),
        ({"wsseg_priors": {"good": Half, "bad": Prior}}, "'bad' is abstract"),
        ({"wsseg_priors": {"good": Half, 3: Half}}, "3 is not a valid name"),
        ({"wsseg_priors": {"good": Half, "a b": Half}}, "'a b' is not a valid name"),
        ({"wsseg_priors": {"good": Half, "": Half}}, "'' is not a valid name"),
        ({"wsseg_priors": {"good": Half}, "wsseg_esteps": None}, "wsseg_esteps returns None"),
        ({"wsseg_priors": {"good": Half}, "wsseg_esteps": [HardEM]}, r"returns \[<class .*HardEM"),
        (
            {"wsseg_priors": {"good": Half}, "wsseg_recipes": {"r": Path("gone")}},
            "file not found: gone",
        ),
        (
            {"wsseg_priors": {"good": Half}, "wsseg_units": {"mg": AnyUnit}},
            "attribute `name` to 'mg'",
        ),
        ({}, "implements no hook; mark each hook with @wsseg.hookimpl"),
    ],
)
def test_a_plugin_with_one_invalid_component_adds_nothing(
    hooks: dict[str, Any], message: str
) -> None:
    found = Registry()
    found.add("first", "first 1.0", plugin(wsseg_esteps={"hard": HardEM}))
    with pytest.raises(Exception, match=message):
        found.add("second", "second 1.0", plugin(**hooks))
    assert found.names(Prior) == []


def test_a_plugin_for_another_api_version_is_refused() -> None:
    module = plugin(wsseg_priors={"half": Half})
    module.WSSEG_API_VERSION = 1  # type: ignore[attr-defined]
    with pytest.raises(
        PluginError, match="written for version 1 of the plugin API, but this wsseg has version 3"
    ):
        Registry().add("new", "new 1.0", module)


def test_a_plugin_with_invalid_hooks_does_not_affect_the_next_plugin() -> None:
    found, wrong = Registry(), plugin(wsseg_esteps={"hard": HardEM})
    wrong.wsseg_priors = hookimpl(lambda extra: {"wrong": extra})  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="extra"):
        found.add("wrong", "wrong 1.0", wrong)
    found.add("next", "next 1.0", plugin(wsseg_priors={"half": Half}))
    assert set(found.offers) == {(Prior, "half")}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder of installed distributions that comes first on the import path."""
    monkeypatch.syspath_prepend(tmp_path)
    registry.cache_clear()
    yield tmp_path
    registry.cache_clear()


def install(site: Path, name: str, module: str, at_s: int = 2_000_000_000) -> None:
    """Write a distribution with one module, with the given time of installation."""
    (site / f"{name}_plugin.py").write_text(module)
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[wsseg]\n{name} = {name}_plugin\n")
    os.utime(about, (at_s, at_s))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import gone", r"\(ModuleNotFoundError: No module named 'gone'\)"),
        ("import sys; sys.exit(3)", r"\(SystemExit: 3\)"),
        ("def f(:", r"\(SyntaxError: "),
        ("import pytest; pytest.skip('no GPU', allow_module_level=True)", r"\(Skipped: no GPU\)"),
        ("raise ValueError('one\\n  two')", r"\(ValueError: one two\)"),
        ("class E(Exception):\n def __str__(self): 1 / 0\nraise E", r"\(E\)"),
    ],
)
def test_any_exception_of_an_import_becomes_a_failure_in_one_line(
    site: Path, module: str, reason: str
) -> None:
    install(site, "broken", module)
    (failure,) = registry().failures
    assert re.fullmatch(f"broken = broken_plugin {reason}.*", str(failure))
    assert make(EStep, "hard") == HardEM()


def test_a_name_belongs_to_the_plugin_that_was_installed_first(site: Path) -> None:
    offer = (
        "from tests.components.test_registry import *\n"
        "@hookimpl\ndef wsseg_priors(): return {'mine': Half}"
    )
    install(site, "a_late_one", offer)
    install(site, "z_early_one", offer, at_s=1_900_000_000)
    found = registry()
    assert found.offers[Prior, "mine"].distribution == "z_early_one 1.0"
    assert [failure.distribution for failure in found.failures] == ["a_late_one 1.0"]


def test_all_components_of_this_repository_are_found_with_a_summary() -> None:
    found = registry()
    assert found.failures == []
    for kind, name in [(Prior, "constant"), (EStep, "hard"), (Path, "covid/phi2")]:
        assert (kind, name) in found.offers
    assert all(offer.summary for offer in found.offers.values())


def test_all_public_names_can_be_imported() -> None:
    for name in wsseg.__all__:
        assert getattr(wsseg, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        wsseg.nonsense  # noqa: B018


def test_the_distributions_of_a_recipe_are_those_of_its_components() -> None:
    found = Registry()
    found.add("a", "dist-a 1.0", plugin(wsseg_esteps={"hard": HardEM}))
    found.add("b", "dist-b 2.0", plugin(wsseg_priors={"half": Half}))
    described = {"estep": {"use": "hard"}, "parts": [{"use": "half"}], "lr": 1}
    assert found.distributions(described) == {"dist-a 1.0", "dist-b 2.0"}
    assert found.distributions({"estep": {"use": "hard"}}) == {"dist-a 1.0"}
