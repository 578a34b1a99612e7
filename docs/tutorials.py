"""Run the notebooks in docs/tutorials, and show them as Markdown.

Run: .venv/bin/python -m docs.tutorials, which saves the notebooks with their new output
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter

TUTORIALS = Path(__file__).with_name("tutorials")
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # 0: without
QUIET = {
    "PYTHONWARNINGS": "ignore:IProgress",  # tqdm misses ipywidgets, which nothing here uses
    "TTY_COMPATIBLE": "0",  # to rich: no colours and bars, which ipykernel would ask for
}
SHOWN = ["image/png", "text/plain"]  # in order of preference


def run(path: Path, folder: Path) -> Any:
    """Run a notebook in `folder`, without a network, and return it with its output.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | OFFLINE | QUIET | {"PATH": scripts}
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=None, resources=resources, coalesce_streams=True)
    client.execute(env=environment)
    for cell in notebook.cells:
        cell.metadata.clear()  # times of the execution
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},  # of the code blocks on the site
    }
    return notebook


def markdown(path: Path) -> tuple[str, Mapping[str, bytes]]:
    """Return a notebook as Markdown, and the pictures that it shows, by their relative paths."""
    exporter = MarkdownExporter()  # type: ignore[no-untyped-call]
    for preprocessor in ("NbConvertBase", "ExtractOutputPreprocessor"):
        exporter.config[preprocessor].display_data_priority = SHOWN
    resources = {"unique_key": path.stem, "output_files_dir": path.stem}
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    text, found = exporter.from_notebook_node(notebook, resources)
    link = f"*This page is a notebook: [download it]({path.name}).*"
    title, _, rest = text.lstrip().partition("\n")
    return f"{title}\n\n{link}\n{rest}", found["outputs"]


def main() -> None:
    """Run all notebooks and save them."""
    for path in NOTEBOOKS:
        with TemporaryDirectory() as folder:
            nbformat.write(run(path, Path(folder)), path)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
