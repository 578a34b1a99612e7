"""Code blocks, commands and links of Markdown pages, for tests that check the pages."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
OWN_PARTS = sorted((DOCS / "own-parts").glob("*.md"))  # their blocks are one package


class Block(NamedTuple):
    """A fenced code block: ```LANGUAGE NAME, where NAME is the file that it shows, or ""."""

    language: str
    name: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page in their order."""
    fences = re.findall(
        r"^```(\w*) ?([^\n`]*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return [Block(*fence) for fence in fences]


def write_named_blocks(page: Path, folder: Path) -> None:
    """Write every block that shows a file as that file."""
    for block in blocks(page):
        if block.name:
            write_block(block, folder)


def write_block(block: Block, folder: Path) -> None:
    """Write a block that shows a file as that file."""
    path = folder / block.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def console_commands(page: Path) -> list[str]:
    """Return the lines after "$ " in the console blocks of a page."""
    lines = (block.text.splitlines() for block in blocks(page) if block.language == "console")
    return [line.removeprefix("$ ") for each in lines for line in each if line.startswith("$ ")]


def broken_links(page: Path) -> Iterator[str]:
    """Yield the links of a page to files that do not exist."""
    for link in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text("utf-8")):
        if not (page.parent / link).exists():
            yield link
