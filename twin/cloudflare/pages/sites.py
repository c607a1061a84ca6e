"""Answer for a deployed site as Pages does: clean URLs, redirects, headers, 404 pages, ETags.

Source: the asset server of Pages (pages-shared of cloudflare/workers-sdk), read 2026-11-28.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from twin.cloudflare.pages import rules
from twin.world import Asset

if TYPE_CHECKING:
    from twin.cloudflare.errors import Json
    from twin.cloudflare.pages.rules import Headers
    from twin.cloudflare.store import Store

ALWAYS: Headers = [("Access-Control-Allow-Origin", "*"), ("Referrer-Policy", "strict-origin-when-cross-origin")]
TYPED = ("X-Content-Type-Options", "nosniff")
FRESH = ("Cache-Control", "public, max-age=0, must-revalidate")
NEVER = ("Cache-Control", "no-store")
PERMANENT, OK, NOT_FOUND = 308, 200, 404


def serve(store: Store, deployment: Json, whole: str, host: str = "") -> Asset:
    """Return what a deployment answers to a path with its query, under this host name."""
    path, _, query = whole.partition("?")
    path = path or "/"
    found = rules.redirect(deployment["rules"]["redirects"], path, query)
    plain = file_at(store, deployment, unquote(found), query) if isinstance(found, str) else found
    headers = rules.dressed(deployment["rules"]["headers"], path, host, [*plain.headers, *always(plain)])
    if plain.status == NOT_FOUND:  # whatever a rule says: nobody is to keep that there is nothing
        headers = [*((name, value) for name, value in headers if name.lower() != "cache-control"), NEVER]
    return Asset(plain.status, tuple(headers), plain.body)


def always(plain: Asset) -> Headers:
    """Return the headers that Pages gives to every answer."""
    return [*ALWAYS, TYPED] if any(name == "Content-Type" for name, _ in plain.headers) else ALWAYS


def file_at(store: Store, deployment: Json, path: str, query: str) -> Asset:
    """Return the file that answers a path, or the redirect to the address that it should be asked by."""
    answer = find(deployment["manifest"], path)
    if isinstance(answer, str):
        return rules.moved(PERMANENT, quote(answer), query)
    status, file = answer
    if file is None:
        return Asset(status, (), b"")
    key = deployment["manifest"][file]
    headers = [("Content-Type", typed(store.data["assets"][key]))]
    if status == OK:
        headers += [FRESH, ("ETag", f'"{key}"')]
        if deployment["environment"] == "preview":
            headers.append(("X-Robots-Tag", "noindex"))
    return Asset(status, tuple(headers), store.blob(f"asset-{key}"))


def find(manifest: dict[str, str], path: str) -> str | tuple[int, str | None]:
    """Return the clean path to redirect to, or a status and the file that answers (None: an empty 404)."""
    if path.endswith("/"):
        return folder(manifest, path)
    bare = path.removesuffix(".html")
    if path in manifest:
        if path.endswith("/index.html"):
            return path.removesuffix("index.html")
        return bare if bare not in {path, "/"} and bare not in manifest else (OK, path)
    if path.endswith("/index"):
        return path.removesuffix("index")
    if path + ".html" in manifest:
        return OK, path + ".html"
    return path + "/" if path + "/index.html" in manifest else missing(manifest, path)


def folder(manifest: dict[str, str], path: str) -> str | tuple[int, str | None]:
    """Return the same for a path that ends with a slash."""
    if path + "index.html" in manifest:
        return OK, path + "index.html"
    if path.endswith("/index/"):
        return path.removesuffix("index/")
    return path[:-1] if path[:-1] + ".html" in manifest else missing(manifest, path)


def missing(manifest: dict[str, str], path: str) -> tuple[int, str | None]:
    """Return the nearest 404 page; a site without any is a single-page app, its start page answers."""
    above = path.rpartition("/")[0]
    while True:
        if above + "/404.html" in manifest:
            return NOT_FOUND, above + "/404.html"
        if not above:
            break
        above = above.rpartition("/")[0]
    return (OK, "/index.html") if "/index.html" in manifest else (NOT_FOUND, None)


def typed(kind: str) -> str:
    """Return a content type with the charset that Pages adds to text."""
    return f"{kind}; charset=utf-8" if kind.startswith("text/") and "charset" not in kind else kind
