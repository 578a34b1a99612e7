"""The command `wsseg plugins list`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Wsseg


def test_plugins_list_has_the_kind_distribution_and_summary_of_every_part(wsseg: "Wsseg") -> None:
    ended = wsseg("plugins", "list")
    assert ended.code == 0
    parts = {line.split()[0]: line.split() for line in ended.out.splitlines()}
    assert parts["hard"][1:3] == ["EStep", "wsseg"]
    assert parts["hu-sigmoid"][1:3] == ["Prior", "wsseg-covid"]
    assert parts["covid/phi2"][1] == "recipe"
    assert all(len(words) > 3 for words in parts.values())
