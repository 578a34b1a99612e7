"""docs/gallery.md: every recipe is named, and its pictures can be drawn."""

import re

import pytest

from tests.conftest import Wsseg
from tests.markdown import DOCS

PAGE = (DOCS / "gallery.md").read_text("utf-8")


def test_the_gallery_names_every_recipe_once(wsseg: Wsseg) -> None:
    installed = [line.split()[0] for line in wsseg("recipe", "list").out.splitlines() if line]
    expected = {name for name in installed if not re.fullmatch(r".*/(demo.*|base)", name)}
    named = [
        name
        for line in PAGE.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([\w-]+/[\w-]+)`", line.split("|")[1])
    ]
    assert sorted(named) == sorted(expected)


@pytest.mark.slow
def test_the_pictures_of_the_gallery_are_drawn_from_recipes() -> None:
    from docs.gallery import EXAMPLES, draw

    for name, example in EXAMPLES.items():
        assert f"gallery-{name}.png" in PAGE
        assert (DOCS / f"gallery-{name}.png").is_file()
        titles = {axis.get_title() for axis in draw(example()).axes}
        assert titles >= set(example().recipes)
