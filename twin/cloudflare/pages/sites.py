"""Answer for a deployed site as Pages does: clean URLs, `_redirects`, `_headers`, 404 pages, ETags.

Source: documentation of Pages serving, headers and redirects, read for the facts of 2026-11-23; the redirect status
of clean URLs is Pages' 308.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from twin.world import Asset

if TYPE_CHECKING:
    from twin.cloudflare.errors import Json
    from twin.cloudflare.store import Store

Headers = list[tuple[str, str]]
ALWAYS: Headers = [
    ("Access-Control-Allow-Origin", "*"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
]
FRESH = ("Cache-Control", "public, max-age=0, must-revalidate")
REDIRECTS = frozenset({200, 301, 302, 303, 307, 308})
PERMANENT, FOUND, OK, NOT_FOUND = 308, 302, 200, 404
MOST_REDIRECTS, MOST_HEADERS = 2100, 100  # rules of each file that Pages reads


def read_rules(headers: str, redirects: str) -> Json:
    """Return the rules of `_headers` and `_redirects` as plain JSON: `headers` and `redirects`."""
    return {"headers": read_headers(headers)[:MOST_HEADERS], "redirects": read_redirects(redirects)[:MOST_REDIRECTS]}


def read_headers(text: str) -> list[Json]:
    """Return `{pattern, set: [[name, value]], unset: [name]}` of each block of `_headers`."""
    rules: list[Json] = []
    for line in text.splitlines():
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if line[0] not in " \t":
            rules.append({"pattern": bare, "set": [], "unset": []})
        elif rules and bare.startswith("!"):
            rules[-1]["unset"].append(bare[1:].strip().lower())
        elif rules and ":" in bare:
            name, _, value = bare.partition(":")
            rules[-1]["set"].append([name.strip(), value.strip()])
    return rules


def read_redirects(text: str) -> list[Json]:
    """Return `{from, to, status}` of each line of `_redirects`; a line with another status is left out, as in Pages."""
    rules = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):  # noqa: PLR2004 - from and to
            continue
        status = int(words[2]) if len(words) > 2 and words[2].isdigit() else FOUND  # noqa: PLR2004
        if status in REDIRECTS:
            rules.append({"from": words[0], "to": words[1], "status": status})
    return rules


def match(pattern: str, path: str) -> dict[str, str] | None:
    """Return the placeholders of a pattern that fits a path (`*` is `splat`, `:name` one segment), else None."""
    bare = re.sub(r"^https?://[^/]+", "", pattern)
    parts = re.split(r"(\*|:[A-Za-z]\w*)", bare)
    names = {"*": "(?P<splat>.*)"}
    text = "".join(names.get(p) or (f"(?P<{p[1:]}>[^/]+)" if p.startswith(":") else re.escape(p)) for p in parts)
    fits = re.fullmatch(text, path)
    return None if fits is None else fits.groupdict()


def fill(target: str, values: dict[str, str]) -> str:
    """Return a target with its placeholders filled in."""
    return re.sub(r":([A-Za-z]\w*)", lambda m: values.get(m[1], m[0]), target)


def serve(store: Store, deployment: Json, whole: str) -> Asset:
    """Return what a deployment answers to a path with its query."""
    path, _, query = whole.partition("?")
    path = unquote(path) or "/"
    for rule in deployment["rules"]["redirects"]:
        values = match(rule["from"], path)
        if values is None:
            continue
        target = fill(rule["to"], values)
        if rule["status"] == OK:
            path = target
            break
        return moved(rule["status"], target, query)
    answer = find(deployment["manifest"], path)
    if isinstance(answer, str):
        return moved(PERMANENT, quote(answer), query)
    status, file = answer
    return respond(store, deployment, path, status, file)


def moved(status: int, target: str, query: str) -> Asset:
    """Return a redirect that keeps the query."""
    where = f"{target}?{query}" if query and "?" not in target else target
    return Asset(status, (*ALWAYS, ("Location", where)), b"")


def find(manifest: dict[str, str], path: str) -> str | tuple[int, str | None]:
    """Return the clean path to redirect to, or a status and the file that answers (None: an empty 404)."""
    clean = tidy(manifest, path)
    if clean is not None:
        return clean
    for file in (path, path + "index.html" if path.endswith("/") else path + ".html"):
        if file in manifest and not (file == path and path.endswith("/")):
            return OK, file
    if not path.endswith("/") and path + "/index.html" in manifest:
        return path + "/"
    if path.endswith("/") and path != "/" and path[:-1] + ".html" in manifest:
        return path[:-1]
    return missing(manifest, path)


def tidy(manifest: dict[str, str], path: str) -> str | None:
    """Return the address without `.html` or `index` that a path should have, or None when it is tidy."""
    if path.endswith("/index.html") and path in manifest:
        return path[: -len("index.html")]
    if path.endswith("/index") and path + ".html" in manifest:
        return path[: -len("index")]
    if path.endswith(".html") and path in manifest:
        return path[: -len(".html")]
    return None


def missing(manifest: dict[str, str], path: str) -> tuple[int, str | None]:
    """Return the nearest 404 page; a site without any is a single-page app, its start page answers."""
    folder = path.rpartition("/")[0]
    while True:
        if folder + "/404.html" in manifest:
            return NOT_FOUND, folder + "/404.html"
        if not folder:
            break
        folder = folder.rpartition("/")[0]
    return (OK, "/index.html") if "/index.html" in manifest else (NOT_FOUND, None)


def respond(store: Store, deployment: Json, path: str, status: int, file: str | None) -> Asset:
    """Return a file with the headers of Pages and those of `_headers` that fit the path."""
    headers: Headers = list(ALWAYS)
    if deployment["environment"] == "preview":
        headers.append(("X-Robots-Tag", "noindex"))
    if file is None:
        return Asset(status, tuple(headers), b"")
    key = deployment["manifest"][file]
    headers.append(("Content-Type", typed(store.data["assets"][key])))
    if status == OK:
        headers += [FRESH, ("ETag", f'"{key}"')]
    return Asset(status, tuple(with_rules(deployment, path, headers)), store.blob(f"asset-{key}"))


def typed(kind: str) -> str:
    """Return a content type with the charset that Pages adds to text."""
    return f"{kind}; charset=utf-8" if kind.startswith("text/") and "charset" not in kind else kind


def with_rules(deployment: Json, path: str, headers: Headers) -> Headers:
    """Return the headers with those of `_headers`: a rule replaces Pages' own, further rules join with a comma."""
    own = {name.lower() for name, _ in headers}
    whole = dict(headers)
    for rule in deployment["rules"]["headers"]:
        values = match(rule["pattern"], path)
        if values is None:
            continue
        for name in [name for name in whole if name.lower() in rule["unset"]]:
            del whole[name]
        for name, value in rule["set"]:
            old = next((have for have in whole if have.lower() == name.lower()), None)
            text = fill(value, values)
            if old is None:
                whole[name] = text
            else:
                whole[old] = text if old.lower() in own else f"{whole[old]}, {text}"
                own.discard(old.lower())
    return list(whole.items())
