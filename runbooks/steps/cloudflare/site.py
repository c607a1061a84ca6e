"""A site as its users see it: its pages, and everything that they need, fetched through the edge."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from runbooks.model.errors import Unreachable
from runbooks.steps.cloudflare.edge import OK, Proof
from runbooks.steps.cloudflare.references import Reference, Role, references

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.stack import Web
    from runbooks.clients.edge import Edge
    from runbooks.clients.transport import Answer
    from runbooks.engine.step import Evidence, Sight, Step

MOST_PAGES: Final = 40
"""Pages that are looked at: the ones the stack file names, then what they lead to."""
MOST_FILES: Final = 400
WIDTH: Final = 6  # requests at the same time, as a browser has
HOPS: Final = 5
WITHIN: Final = 10.0
"""Seconds within which a deployment must be served whole: Pages says at once; a file may lag behind its page."""
HTML: Final = "text/html"
KINDS: Final = {Role.SCRIPT: ("javascript", "ecmascript"), Role.STYLE: ("text/css",), Role.IMAGE: ("image/",)}
"""What the content type of each must hold; a browser runs no script and applies no style of another type."""
TOLD: Final = 5  # faults that one message holds


@dataclass
class Visit:
    """One walk through a site, from `starts`. `known` are digests by path that must be met, as an earlier visit saw."""

    edge: Edge
    host: str
    starts: tuple[str, ...]
    known: Mapping[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    pages: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)

    def walk(self) -> None:
        """Fetch every page and every file that is needed, and note what is wrong."""
        wave = [Reference(path, Role.PAGE) for path in self.starts]
        with ThreadPoolExecutor(WIDTH) as pool:
            while wave := self._new(wave):
                answers = pool.map(lambda one: self._fetch(one.path), wave)
                found = [self._look(one, *answer) for one, answer in zip(wave, answers, strict=True)]
                wave = [reference for references_ in found for reference in references_]
            unseen = [path for path in self.known if path not in self.digests]
            for path, (answer, fault) in zip(unseen, pool.map(self._fetch, unseen), strict=True):
                self._compare(path, answer, fault)

    def steady(self) -> None:
        """Fetch every page again, and forget the digests of those that differ from answer to answer."""
        pages = sorted(self.pages & self.digests.keys())
        with ThreadPoolExecutor(WIDTH) as pool:
            for path, (answer, _) in zip(pages, pool.map(self._fetch, pages), strict=True):
                if answer is None or digest_of(answer) != self.digests[path]:
                    del self.digests[path]

    def evidence(self) -> Evidence:
        """Return what was seen."""
        compared = sum(path in self.known for path in self.digests)
        return {"pages": len(self.pages), "files": len(self.files), "compared": compared, "digests": {**self.digests}}

    def _new(self, wave: Iterable[Reference]) -> list[Reference]:
        """Return what was not fetched yet, as much as a visit takes, and note that it is."""
        fresh: list[Reference] = []
        for one in wave:
            seen, most = (self.pages, MOST_PAGES) if one.role is Role.PAGE else (self.files, MOST_FILES)
            if one.path not in self.pages | self.files and len(seen) < most:
                seen.add(one.path)
                fresh.append(one)
        return fresh

    def _fetch(self, path: str) -> tuple[Answer | None, str]:
        """Return the answer at the end of the redirects on this host with its path, or none and why there is none."""
        for _ in range(HOPS):
            try:
                answer = self.edge.get(self.host, path)
            except Unreachable as error:
                return None, str(error)
            where = urlsplit(urljoin(f"https://{self.host}{path}", answer.headers.get("location", "")))
            if not 300 <= answer.status < 400 or where.netloc != self.host:  # noqa: PLR2004 - HTTP's redirects
                return answer, path
            path = where.path + (f"?{where.query}" if where.query else "")
        return None, f"https://{self.host}{path}: more than {HOPS} redirects"

    def _look(self, one: Reference, answer: Answer | None, where: str) -> tuple[Reference, ...]:
        """Judge one answer from `where`; return what it refers to."""
        if answer is None:
            self.faults.append(where)
            return ()
        kind = answer.headers.get("content-type", "").casefold()
        if one.role is Role.PAGE and one.path not in self.starts and (answer.status != OK or HTML not in kind):
            if answer.status >= 500:  # noqa: PLR2004 - HTTP's server errors
                self.faults.append(f"{answer.what}: expected a page, got {answer.status}")
            return ()  # a link that leads nowhere, or to something else, is no fault of a deployment
        if fault := unfit(one, answer, kind):
            self.faults.append(fault)
            return ()
        self._compare(one.path, answer, "")
        if one.role is Role.PAGE and HTML not in kind:
            return ()
        return references(self.host, where, one.role, answer.body.decode("utf-8", "replace"))

    def _compare(self, path: str, answer: Answer | None, fault: str) -> None:
        """Note an answer's digest, and that it is not the known one."""
        if answer is None:
            self.faults.append(fault)
            return
        self.digests[path] = digest_of(answer)
        if self.known.get(path, self.digests[path]) != self.digests[path]:
            told = f"{self.known[path]} as when it was verified, got {self.digests[path]} ({answer.status})"
            self.faults.append(f"{answer.what}: expected content {told}")


def unfit(one: Reference, answer: Answer, kind: str) -> str:
    """Return why an answer does not do for what it is needed for; nothing when it does."""
    if answer.status != OK:
        return f"{answer.what}: expected the {one.role} with {OK}, got {answer.status}"
    if one.role is Role.PAGE:
        return ""
    wanted = KINDS.get(one.role)
    if (wanted and not any(part in kind for part in wanted)) or (not wanted and HTML in kind):
        return f"{answer.what}: expected the {one.role}, got {kind or 'no content type'}"
    return ""


def digest_of(answer: Answer) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a body."""
    return hashlib.sha256(answer.body).hexdigest()[:16]


def starts_of(web: Web) -> tuple[str, ...]:
    """Return where users come in, as the smoke checks name it; the start page where they name nothing."""
    return tuple(dict.fromkeys(smoke.path for smoke in web.smoke if smoke.status == OK)) or ("/",)


def site_faults(edge: Edge, web: Web, known: Mapping[str, str] | None = None) -> tuple[list[str], Evidence]:
    """Walk through the site once; return what is wrong, a line each, and what was seen."""
    visit = Visit(edge, web.host, starts_of(web), known or {})
    visit.walk()
    if not visit.faults:
        visit.steady()
    return visit.faults, visit.evidence()


def site_serves(
    edge: Edge,
    web: Web,
    *,
    known: Mapping[str, str],
    next_command: str | None,
    within: float = WITHIN,
    name: str = "content",
) -> Step:
    """Return the step that proves that the site's pages and all that they need are served, `within` seconds.

    `known` are the digests of an earlier proof of the same deployment (none: what is served is what is noted).
    """

    def look(_sight: Sight) -> tuple[list[str], Evidence]:
        faults, seen = site_faults(edge, web, known)
        more = [f"and {len(faults) - TOLD} more"] if len(faults) > TOLD else []
        return faults[:TOLD] + more, seen

    compared = f", {len(known)} of them as when they were verified" if known else ""
    title = f"fetch the pages of {web.host} and all that they need{compared}"
    return Proof(look, within, next_command).step(name, title)


def digests_in(proof: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests that a recorded proof holds; none where it holds none."""
    content = proof.get("content")
    found = content.get("digests") if isinstance(content, dict) else None
    return {str(path): str(digest) for path, digest in found.items()} if isinstance(found, dict) else {}
