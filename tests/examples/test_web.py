"""The site: hashed names that tell the truth, nothing from elsewhere, every reference answered."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.examples.conftest import EXAMPLE

if TYPE_CHECKING:
    from pathlib import Path

SITE = EXAMPLE / "web"
PAGES = sorted(SITE.rglob("*.html"))
ASSETS = sorted((SITE / "assets").iterdir())


class Seen(HTMLParser):
    """What a page refers to, and what a reader who cannot see it is told."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.tags.append((tag, dict(attrs)))

    def references(self) -> set[str]:
        """Return every address that the page names."""
        return {value for _, given in self.tags for key in ("href", "src") if (value := given.get(key))}


def test_hashed_names_are_honest() -> None:
    """An asset's name holds the first eight digits of its content's SHA-256: it may be kept for a year."""
    for asset in ASSETS:
        assert asset.name.split(".")[1] == hashlib.sha256(asset.read_bytes()).hexdigest()[:8], asset.name


def test_every_asset_is_used() -> None:
    """No page misses an asset, and no asset is left behind."""
    named = set().union(*(Seen(page).references() for page in PAGES))
    assert {name for name in named if name.startswith("/assets/")} == {f"/assets/{asset.name}" for asset in ASSETS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))
def test_pages_stand_alone_and_speak_to_everyone(page: Path) -> None:
    """A page refers to nothing elsewhere, its own links lead somewhere, and it says language, title and images."""
    seen = Seen(page)
    for reference in seen.references():
        if reference.startswith(("#", "mailto:")):
            continue
        target = SITE / reference.lstrip("/")
        assert (target / "index.html" if reference.endswith("/") else target).is_file(), reference
    tags = [tag for tag, _ in seen.tags]
    assert ("html", {"lang": "fr"}) in seen.tags
    assert tags.count("h1") == tags.count("title") == tags.count("main") == 1
    assert all("alt" in given and "width" in given for tag, given in seen.tags if tag == "img")
    assert "style" not in tags
    assert all(given.get("src") for tag, given in seen.tags if tag == "script")


def test_headers_keep_assets_long_and_pages_short() -> None:
    """The header file caches what is hashed for a year and pages for a minute, and locks the pages down."""
    text = (SITE / "_headers").read_text(encoding="utf-8")
    rules = {block.splitlines()[0]: block for block in text.strip().split("\n\n")}
    assert "max-age=31536000, immutable" in rules["/assets/*"]
    for page in PAGES:
        folder = page.parent.relative_to(SITE).as_posix()
        if page.name == "index.html":
            assert "max-age=60" in rules["/" if folder == "." else f"/{folder}/*"]
    assert re.search(r"Content-Security-Policy: default-src 'none'", rules["/*"])
    assert "Cache-Control" not in rules["/*"]
