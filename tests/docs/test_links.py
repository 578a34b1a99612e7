"""Links of the documents lead to files of the repository."""

from pathlib import Path

import pytest

from tests.markdown import DOCS, REPOSITORY, broken_links

PAGES = [*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md"), *REPOSITORY.glob("*/*/README.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    assert list(broken_links(page)) == []
