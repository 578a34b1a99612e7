"""The documentation builds as a site that needs no network and documents the public API."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import wsseg
import wsseg.testing
import wsseg.tools
from tests.markdown import REPOSITORY

pytestmark = pytest.mark.slow

LOADING = {"script", "link", "img", "source", "iframe", "object", "video", "use", "image"}


class ExternalResources(HTMLParser):
    """Collects the addresses on other hosts from which a page loads something."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = [value or "" for name, value in attrs if name in {"src", "href", "data", "srcset"}]
        if tag in LOADING:
            self.addresses += [each for each in values if re.match(r"(https?:)?//", each)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        parser = ExternalResources()
        parser.feed(page.read_text(encoding="utf-8"))
        assert parser.addresses == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text("utf-8")), style


@pytest.mark.parametrize("module", [wsseg, wsseg.testing, wsseg.tools], ids=lambda m: m.__name__)
def test_the_api_reference_documents_every_public_name(site: Path, module: ModuleType) -> None:
    name = module.__name__
    page = (site / "api" / f"{name.rpartition('.')[2]}.html").read_text(encoding="utf-8")
    assert [each for each in module.__all__ if f'id="{name}.{each}"' not in page] == []


def test_the_site_has_no_link_to_a_page_that_does_not_exist(site: Path) -> None:
    for page in site.rglob("*.html"):
        for link in re.findall(r'<a [^>]*href="([^"#:?]+)[#"]', page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists() or page.name == "404.html", f"{page}: {link}"
