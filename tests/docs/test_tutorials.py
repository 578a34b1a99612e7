"""docs/tutorials: the notebooks run, and the site shows them with their output."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.markdown import DOCS

nbformat = pytest.importorskip("nbformat", reason="needs the extra docs")
pytest.importorskip("nbconvert", reason="needs the extra docs")

NOTEBOOKS = sorted((DOCS / "tutorials").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.mark.slow
@each_notebook
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    from docs.tutorials import run

    stored = nbformat.read(path, as_version=4)
    assert kinds_of_output(run(path, tmp_path)) == kinds_of_output(stored)


def kinds_of_output(notebook: Any) -> list[set[str]]:
    """Return the kinds of the output of each cell; the output itself differs between machines."""
    return [{each.output_type for each in cell.get("outputs", ())} for cell in notebook.cells]


@each_notebook
def test_a_notebook_is_stored_with_its_output_but_without_errors_and_paths(path: Path) -> None:
    text = path.read_text("utf-8")
    cells = json.loads(text)["cells"]
    assert any(output["output_type"] != "stream" for c in cells for output in c.get("outputs", ()))
    assert '"output_type": "error"' not in text
    assert not re.search(r"/(home|tmp|root|Users|work)/", text)


@each_notebook
def test_a_notebook_becomes_markdown_with_pictures_that_exist(path: Path) -> None:
    from docs.tutorials import markdown

    text, pictures = markdown(path)
    assert text.startswith("# ")
    assert f"[download it]({path.name})" in text
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert shown
    assert set(shown) == set(pictures)
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    for link in re.findall(r"(?<!!)\[[^\]]+\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link
