"""Links of the documents lead to files of the repository, or are well-formed addresses."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.markdown import DOCS, REPOSITORY, broken_links

PAGES = [*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *REPOSITORY.glob("*/*/README.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_address_on_another_host_is_well_formed(page: Path) -> None:
    """No page is fetched; addresses in code blocks and in angle brackets count as well."""
    for address in re.findall(r"\bhttps?:[^\s)>\]\"'`|]*", page.read_text("utf-8")):
        parts = urlsplit(address)
        assert parts.scheme == "https", address
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), address
        assert "//" not in parts.path, address
