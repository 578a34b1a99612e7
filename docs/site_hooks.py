"""MkDocs hooks: pages that are not Markdown files in docs/, and links between them.

The site shows the repository's Markdown files (README.md, benchmarks/*/README.md, ...), the
generated recipe reference, and the notebooks of docs/tutorials with the output stored in them.
Links work both here and in the repository, where a page may lie elsewhere than in the site.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs import recipe_reference, tutorials

REPOSITORY = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
FOLDERS = ("benchmarks", "plugins", "recipes")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")
NAMED_FENCE = re.compile(r"^```(\w+) ([^\n`{=]+)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's pages, their figures, the recipe reference, and the notebooks."""
    for source, place in _repository_files():
        files.append(File.generated(config, place, abs_src_path=str(REPOSITORY / source)))
    for place, text in recipe_reference.pages().items():
        files.append(File.generated(config, place, content=text))
    for notebook in tutorials.NOTEBOOKS:
        text, pictures = tutorials.markdown(notebook)
        place = f"tutorials/{notebook.stem}.md"
        files.append(File.generated(config, place, content=text))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"tutorials/{name}", content=picture))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Point links at pages of the site, and show the name of a code block that is a file.

    A link to a file of the repository that is not in the site becomes its text.
    """
    if page.file.src_uri == TOP_LEVEL["README.md"]:
        page.meta["hide"] = ["navigation"]  # the start page has wide tables
    if page.file.src_uri.startswith("reference/"):
        return markdown
    sources = {place: source for source, place in _repository_files()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    here = posixpath.dirname(page.file.src_uri)

    def in_site(link: re.Match[str]) -> str:
        image, text, target, anchor = link.groups()
        place = _place(posixpath.normpath(posixpath.join(posixpath.dirname(source), target)))
        if not here.startswith("tutorials"):  # whose pages offer the notebook itself
            place = re.sub(r"\.ipynb$", ".md", place)
        if files.get_file_from_path(place) is None:
            return text
        return f"{image}[{text}]({posixpath.relpath(place, here or '.')}{anchor or ''})"

    return NAMED_FENCE.sub(r'```\1 title="\2"', LINK.sub(in_site, markdown))


def _repository_files() -> Iterator[tuple[str, str]]:
    """Yield the path of each file to show, in the repository and in the site."""
    yield from TOP_LEVEL.items()
    for folder in FOLDERS:
        for pattern in ("README.md", "*/README.md", "*/figures/*.svg"):
            for path in sorted((REPOSITORY / folder).glob(pattern)):
                source = path.relative_to(REPOSITORY).as_posix()
                yield source, source


def _place(source: str) -> str:
    """Return where the site has a file of the repository."""
    return TOP_LEVEL.get(source, source.removeprefix("docs/"))
