"""What a page needs to be shown, read from its text: scripts, styles, images, fonts; and which pages it leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import urldefrag, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


class Role(StrEnum):
    """What something is needed for, in the word that the operator reads."""

    PAGE = "page"
    SCRIPT = "script"
    STYLE = "style"
    IMAGE = "image"
    OTHER = "file"


@dataclass(frozen=True)
class Reference:
    """A path of the same host, with its query, and what it is for."""

    path: str
    role: Role


URL_IN_STYLE: Final = re.compile(r"""url\(\s*(?:"([^"]+)"|'([^']+)'|([^"')\s]+))\s*\)""")
IMPORT_IN_STYLE: Final = re.compile(r"""@import\s+(?:"([^"]+)"|'([^']+)')""")
COMMENT_IN_STYLE: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
IMPORT_IN_SCRIPT: Final = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'](\.{0,2}/[^"'\s]+\.(?:m?js|css|json))["']""")
"""Imports by a literal path; what a program puts together while it runs cannot be read from its text."""
IMAGES: Final = {("img", "src"), ("input", "src"), ("video", "poster"), ("image", "href"), ("use", "href")}
OTHERS: Final = {("video", "src"), ("audio", "src"), ("source", "src"), ("track", "src"), ("embed", "src")}
OF_LINKS: Final = {"stylesheet": Role.STYLE, "modulepreload": Role.SCRIPT}
"""Links without which a page is not itself; an icon that is missing is not such a one."""


@dataclass
class _Page(HTMLParser):
    """Collects (text, role) as they stand."""

    found: list[tuple[str, Role]] = field(default_factory=list)
    base: str = ""
    within: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what an element refers to."""
        said = {name: value for name, value in attrs if value}
        self.within = tag if tag == "style" or (tag == "script" and said.get("type") == "module") else ""
        if tag == "base":
            self.base = self.base or said.get("href", "")
        elif tag == "a" and "download" not in dict(attrs):
            self.found += [(said["href"], Role.PAGE)] if "href" in said else []
        elif tag == "script":
            self.found += [(said["src"], Role.SCRIPT)] if "src" in said else []
        elif tag == "link":
            roles = [OF_LINKS[rel] for rel in said.get("rel", "").casefold().split() if rel in OF_LINKS]
            self.found += [(said["href"], role) for role in roles[:1] if "href" in said]
        self.found += [(text, Role.IMAGE) for name, text in said.items() if (tag, name) in IMAGES]
        self.found += [(text, Role.OTHER) for name, text in said.items() if (tag, name) in OTHERS]
        self.found += [(one.split()[0], Role.IMAGE) for one in said.get("srcset", "").split(", ") if one.split()]
        self.found += _of_style(said.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Take what styles and scripts that stand in the page refer to."""
        if self.within == "style":
            self.found += _of_style(data)
        elif self.within == "script":
            self.found += _of_script(data)

    def handle_endtag(self, _tag: str) -> None:
        """Leave an element."""
        self.within = ""


def references(host: str, path: str, role: Role, text: str) -> tuple[Reference, ...]:
    """Return what the text at this path refers to on its own host, each once, in their order."""
    found: list[tuple[str, Role]]
    base = ""
    if role is Role.PAGE:
        page = _Page()
        page.feed(text)
        page.close()
        found, base = page.found, page.base
    else:
        found = _of_style(text) if role is Role.STYLE else _of_script(text) if role is Role.SCRIPT else []
    here = urljoin(f"https://{host}{path}", base)
    return tuple(dict.fromkeys(_on_host(host, here, found)))


def _on_host(host: str, here: str, found: list[tuple[str, Role]]) -> Iterator[Reference]:
    for text, role in found:
        plain = urldefrag(text.strip()).url
        if not plain:
            continue  # a place in the page itself
        try:
            parts = urlsplit(urljoin(here, plain))
        except ValueError:
            continue  # no address: a browser makes nothing of it either
        if parts.scheme in ("http", "https") and parts.netloc.casefold() == host:
            yield Reference((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), role)


def _of_style(text: str) -> list[tuple[str, Role]]:
    plain = COMMENT_IN_STYLE.sub("", text)
    imported = [(next(filter(None, match)), Role.STYLE) for match in IMPORT_IN_STYLE.findall(plain)]
    return imported + [(next(filter(None, match)), Role.OTHER) for match in URL_IN_STYLE.findall(plain)]


def _of_script(text: str) -> list[tuple[str, Role]]:
    kinds = {"css": Role.STYLE, "json": Role.OTHER}
    return [(path, kinds.get(path.rpartition(".")[2], Role.SCRIPT)) for path in IMPORT_IN_SCRIPT.findall(text)]
