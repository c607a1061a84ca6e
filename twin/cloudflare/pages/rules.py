"""Read `_headers` and `_redirects` and apply them: one way for sites of Pages and for the assets of Workers.

Source: pages-shared and workers-shared of cloudflare/workers-sdk, read 2026-11-28. A line that is no rule is passed
over, as there. Patterns are compared with the path as it was sent, percent signs and all.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from twin.world import Asset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.cloudflare.errors import Json

Headers = list[tuple[str, str]]
REDIRECTS: Final = frozenset({200, 301, 302, 303, 307, 308})
OK: Final = 200
MOST_HEADERS, MOST_FIXED, MOST_PATTERNS = 100, 2000, 100  # rules; those of `_redirects` with and without placeholders
LONGEST: Final = 2000  # characters of a line
PLACE: Final = re.compile(r"^(\S+://|/)")
"""How a line of `_headers` begins that says where its headers belong, however far it is indented."""
HTTPS: Final = re.compile(r"^https://+([^/]+)/?(.*)")
LOOP: Final = re.compile(r"/index(\.html)?$")
KEPT: Final = "!$%&'()*+,-./:;=@[\\]^_|~?#"
"""What a URL's path keeps as it is beside letters and digits, and the signs that begin its query and fragment."""


def read_rules(headers: str, redirects: str) -> Json:
    """Return the rules of both files as plain JSON: `headers` and `redirects`."""
    return {"headers": read_headers(headers), "redirects": list(read_redirects(redirects))}


def lines_of(text: str) -> Iterator[str]:
    """Yield what may be a rule: no comment, not too long."""
    for line in text.splitlines():
        bare = line.strip()
        if bare and not bare.startswith("#") and len(bare) <= LONGEST:
            yield bare


def read_headers(text: str) -> list[Json]:
    """Return `{pattern, set: [[name, value]], unset: [name]}` of each block of `_headers`."""
    rules: list[Json] = []
    rule: Json = {"set": [], "unset": []}
    for line in lines_of(text):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if PLACE.match(line):
            rule = {"pattern": pattern_of(line), "set": [], "unset": []}
            rules.append(rule)
        elif line.startswith("! ") and not colon:
            rule["unset"].append(line[2:].strip().lower())
        elif name and value and " " not in name:
            rule["set"].append([name, value])
    return [rule for rule in rules if rule["pattern"] and (rule["set"] or rule["unset"])][:MOST_HEADERS]


def pattern_of(place: str) -> str:
    """Return where a block of `_headers` applies; "" for what is neither a path nor an `https://` address."""
    absolute = HTTPS.match(place)
    whole = f"https://{absolute[1]}/{absolute[2]}" if absolute else place
    good = place.startswith("/") or (absolute is not None and not re.search(r":\d+$", absolute[1]))
    return quote(whole, safe=KEPT) if good and compiled(whole) else ""


def read_redirects(text: str) -> Iterator[Json]:
    """Yield `{from, to, status}` of each line of `_redirects` that is a rule."""
    seen: set[str] = set()
    fixed = patterns = 0
    for line in lines_of(text):
        words = re.sub(r"\s+#.*$", "", line).split()
        rule = read_redirect(words)
        if rule is None or rule["from"] in seen:
            continue
        seen.add(rule["from"])
        if patterns or re.search(r"\*|:[A-Za-z]", rule["from"]):
            patterns += 1
        else:
            fixed += 1
        if patterns > MOST_PATTERNS:
            return
        if fixed <= MOST_FIXED or patterns:
            yield rule


def read_redirect(words: list[str]) -> Json | None:
    """Return the rule that a line's words are; None for what Pages passes over, a loop to the start page too."""
    if len(words) not in {2, 3} or HTTPS.match(words[0]):
        return None
    source = re.sub(r"[?#].*$", "", words[0] if words[0].startswith("/") else f"/{words[0]}")
    target, status = words[1], words[2] if len(words) > 2 else "302"  # noqa: PLR2004 - the status is the third
    absolute = HTTPS.match(target)
    if not (absolute or target.startswith("/")) or not status.isdigit() or int(status) not in REDIRECTS:
        return None
    if absolute is None and source.endswith(("/*", "/")) and LOOP.search(target):
        return None
    if (absolute and int(status) == OK) or compiled(source) is None:
        return None
    return {"from": quote(source, safe=KEPT), "to": quote(target, safe=KEPT), "status": int(status)}


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """Return what a pattern fits: `*` is `splat`, `:name` one segment; None where a name stands twice in it."""
    host = re.match(r"https://[^/]*", pattern)
    texts = []
    for at, part in enumerate((pattern[: host.end()], pattern[host.end() :]) if host else ("", pattern)):
        words = re.split(r"(\*|:[A-Za-z]\w*)", part)
        segment = "[^/]+" if at else r"[^/.]+"
        texts += [
            "(?P<splat>.*)" if word == "*" else f"(?P<{word[1:]}>{segment})" if word[:1] == ":" and word[1:2].isalpha()
            else re.escape(word)
            for word in words
        ]  # fmt: skip
    try:
        return re.compile("".join(texts))
    except re.error:
        return None


def match(pattern: str, path: str, host: str = "") -> dict[str, str] | None:
    """Return the placeholders of a pattern that fits a path, or host and path where it names a host; else None."""
    fits = compiled(pattern)
    found = fits.fullmatch(f"https://{host}{path}" if pattern.startswith("https://") else path) if fits else None
    return None if found is None else found.groupdict()


def fill(target: str, values: dict[str, str]) -> str:
    """Return a target with its placeholders filled in."""
    return re.sub(r":([A-Za-z]\w*)", lambda m: values.get(m[1], m[0]), target)


def redirect(rules: list[Json], path: str, query: str) -> Asset | str:
    """Return the redirect of the first rule that fits, or the path to serve (another one for a rule with 200)."""
    for rule in rules:
        values = match(rule["from"], path)
        if values is not None:
            target = fill(rule["to"], values)
            return re.sub(r"[?#].*$", "", target) if rule["status"] == OK else moved(rule["status"], target, query)
    return path


def moved(status: int, target: str, query: str) -> Asset:
    """Return a redirect, which keeps the query unless its target has one."""
    bare, mark, fragment = target.partition("#")
    whole = f"{bare}?{query}" if query and "?" not in bare else bare
    return Asset(status, (("Location", whole + mark + fragment),), b"")


def dressed(rules: list[Json], path: str, host: str, headers: Headers) -> Headers:
    """Return the headers with those of `_headers`: a rule replaces our own, further rules join with a comma."""
    own = {name.lower() for name, _ in headers}
    whole = dict(headers)
    for rule in rules:
        values = match(rule["pattern"], path, host)
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
