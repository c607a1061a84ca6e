"""What a site needs is read from its text, and fetched as a browser fetches it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from runbooks.steps.cloudflare.references import Role, references
from runbooks.steps.cloudflare.site import site_faults

if TYPE_CHECKING:
    from tests.runbooks.plane import Plane

HOST = "www.example.com"
PAGE = """
<!doctype html><base href="/docs/">
<link rel="preload stylesheet" href="a.css?v=1"><link rel=icon href="/missing.ico"><link rel=modulepreload href="/m.js">
<script src="https://www.example.com/b.js"></script><script src="https://cdn.test/c.js"></script>
<script type="module">import { x } from "./d.js"; const later = import('../e.mjs'); import "react";</script>
<style>@import "f.css"; body { background: url( 'g.png' ) } /* url(old.png) */ i { background: url(data:x) }</style>
<img src="h.png#top" srcset="i.png 1x, /j.png 2x"><p style="background: url(k.png)"><svg><use href="#own"/></svg>
<a href="page#part">x</a><a href="mailto:x@example.com">x</a><a download href="big.zip">x</a><a href="http://[bad">x</a>
"""


def test_everything_that_a_page_needs_is_found() -> None:
    """Scripts, styles, images and imports of its own host, under the page's base; nothing of others, no icons."""
    found = references(HOST, "/start", Role.PAGE, PAGE)
    assert [(one.path, one.role.value) for one in found] == [
        ("/docs/a.css?v=1", "style"),
        ("/m.js", "script"),
        ("/b.js", "script"),
        ("/docs/d.js", "script"),
        ("/e.mjs", "script"),
        ("/docs/f.css", "style"),
        ("/docs/g.png", "file"),
        ("/docs/h.png", "image"),
        ("/docs/i.png", "image"),
        ("/j.png", "image"),
        ("/docs/k.png", "file"),
        ("/docs/page", "page"),
    ]


def test_styles_and_scripts_need_further_files() -> None:
    """Paths in them start where they lie."""
    style = references(HOST, "/x/a.css", Role.STYLE, "@import 'b.css'; i { src: url(../f.woff2) }")
    assert [(one.path, one.role) for one in style] == [("/x/b.css", Role.STYLE), ("/f.woff2", Role.OTHER)]
    script = references(HOST, "/x/a.js", Role.SCRIPT, 'export*from"./b.js";import("/c.js");import("//cdn.test/d.js")')
    assert [(one.path, one.role) for one in script] == [("/x/b.js", Role.SCRIPT), ("/c.js", Role.SCRIPT)]
    assert references(HOST, "/a.png", Role.IMAGE, "url(x)") == ()


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"a.js": ""}, "/a.js at .* expected the script with 200, got 404"),
        ({"a.js": "", "404.html": ""}, "/a.js at .* expected the script, got text/html"),
        ({"a.css": "@import 'b.css'"}, "/b.css at .* expected the style with 200, got 404"),
        ({"index.html": ""}, "/ at .* expected the page with 200, got 404"),
        ({"_redirects": "/a.js /loop 302\n/loop /a.js 302\n"}, "/loop: more than 5 redirects"),
    ],
    ids=["gone", "a page in its place", "of a style", "no start page", "round and round"],
)
def test_a_broken_site_is_seen(plane: Plane, files: dict[str, str], fault: str) -> None:
    """What a browser could not show is a fault, also where the answer is 200."""
    plane.upload(files, good=False)
    faults, _ = site_faults(plane.edge, plane.web)
    assert len(faults) == 1
    assert re.search(fault, faults[0])


def test_a_whole_site_is_seen_whole(plane: Plane) -> None:
    """A link that leads nowhere, a redirect and a file that is no page are no faults of a deployment."""
    page = '<a href="/nowhere">x</a><a href="/old">x</a><a href="/robots.txt">x</a><script src="a.js"></script>'
    plane.upload({"index.html": page, "_redirects": "/old /more/ 301\n", "robots.txt": "x"}, good=False)
    faults, seen = site_faults(plane.edge, plane.web)
    assert faults == []
    assert set(seen["digests"]) == {"/", "/old", "/more/", "/a.js", "/a.css"}  # type: ignore[arg-type] # evidence
