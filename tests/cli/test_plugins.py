"""The commands `wsseg plugins list` and `wsseg plugins show`."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Wsseg


def test_plugins_list_has_the_package_and_the_summary_of_every_part_by_kind(
    wsseg: "Wsseg",
) -> None:
    ended = wsseg("plugins", "list")
    assert ended.code == 0
    groups, parts = dict[str, dict[str, list[str]]](), dict[str, list[str]]()
    for line in ended.out.splitlines():
        if not line.startswith(" "):
            parts = groups.setdefault(line.strip(), {})
            continue
        name, *words = line.split()
        parts[name] = words
    assert groups["estep:"]["hard"][0] == "wsseg"
    assert groups["prior:"]["hu-sigmoid"][0] == "wsseg-covid"
    assert groups["recipe:"]["covid/phi2"][0] == "wsseg-covid"
    assert all(len(words) > 1 for group in groups.values() for words in group.values())


@pytest.mark.parametrize("kind", ["prior", "recipe", "encoder-weights"])
def test_plugins_list_of_a_kind_fits_a_terminal_of_80_columns(
    wsseg: "Wsseg", monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    ended = wsseg("plugins", "list", "--kind", kind)
    assert ended.code == 0
    assert "wsseg" in ended.out
    assert max(len(line) for line in ended.out.splitlines()) <= 80


def test_an_unknown_kind_is_refused_and_the_known_ones_are_listed(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "list", "--kind", "prio")
    ended.refused("no kind of part is called 'prio'", "pixel-loss", "Did you mean 'prior'?")


def test_plugins_show_has_keys_with_defaults_the_equation_and_a_plot_of_phi(
    wsseg: "Wsseg",
) -> None:
    ended = wsseg("plugins", "show", "hu-sigmoid")
    assert ended.code == 0
    assert ended.out.startswith("hu-sigmoid: Prior of wsseg-covid ")
    assert "phi = min(1, sigmoid((x - midpoint_hu) / width_hu) + bias)" in ended.out
    assert "midpoint_hu  number, default -34.0\n" in ended.out
    assert "Centre of the sigmoid, in HU." in ended.out
    assert "In a recipe:\n  {use: hu-sigmoid}\n" in ended.out
    assert "phi 1 │" in ended.out
    assert max(len(line) for line in ended.out.splitlines()) <= 80


def test_plugins_show_draws_phi_with_the_given_keys(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "show", "constant", "--set", "probability=0.25")
    assert "phi = 0.25 for every value" in ended.out
    wsseg("plugins", "show", "constant", "--set", "probability=7").refused("probability")


def test_plugins_show_names_the_keys_that_a_plot_needs(wsseg: "Wsseg") -> None:
    assert "phi is drawn if priors are given" in wsseg("plugins", "show", "per-class").out


def test_plugins_show_describes_parts_of_all_kinds_with_a_name(wsseg: "Wsseg") -> None:
    assert "file: Region of " in wsseg("plugins", "show", "file").out
    assert "file: EncoderWeights of " in wsseg("plugins", "show", "file").out
    assert "`wsseg recipe show covid/phi2`" in wsseg("plugins", "show", "covid/phi2").out


def test_a_misspelt_part_is_refused_with_a_suggestion(wsseg: "Wsseg") -> None:
    wsseg("plugins", "show", "hu-sigmod").refused("Did you mean 'hu-sigmoid'?")
