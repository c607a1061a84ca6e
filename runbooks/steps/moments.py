"""The moment before something happened: a run of ours changed something, or a deployment began to serve users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from runbooks.clients.pages import Pages
from runbooks.engine.record.home import RUNS
from runbooks.model.errors import Refused
from runbooks.steps.journals import first_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from infra.stack import Stack
    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.engine.record.home import Home

CLOUDFLARE_ID: Final = re.compile(r"[0-9a-f-]{4,36}")
"""An id of Cloudflare's (a UUID), or its beginning: fewer than four characters say too little."""
LISTED: Final = 5  # of what there is, that a refusal names


@dataclass(frozen=True)
class Happening:
    """Something that happened, by its id. `when` returns the moment it began (UTC), or raises Refused."""

    id: str
    what: str
    when: Callable[[], datetime]


@dataclass(frozen=True)
class Moments:
    """Where happenings are looked up: the runs of the ops home, the deployments of one Worker and of its sites.

    Cloudflare is asked only for what looks like an id of its own: a run is found also while it is down.
    """

    home: Home
    cloudflare: Cloudflare
    worker: str
    pages: Pages
    sites: tuple[str, ...]

    def before(self, name: str) -> datetime:
        """Return when the happening of that id, or of the only id that begins so, began.

        Raises Refused naming what there is when there is none or several, Unreachable, CheckError.
        """
        runs = self.home.names(RUNS)
        if name in runs:
            return first_change(self.home, name)
        found = [self._run(run) for run in runs if run.startswith(name) or run.endswith(f"-{name}")]
        known: list[Happening] = []
        if CLOUDFLARE_ID.fullmatch(name):
            known = [*self._of_worker(), *self._of_sites()]
            found += [one for one in known if one.id.startswith(name)]
        if exact := [one for one in found if one.id == name]:
            return exact[0].when()
        if len(found) == 1:
            return found[0].when()
        raise _unclear(name, found, known, self)

    def _run(self, run: str) -> Happening:
        return Happening(run, "run", lambda: first_change(self.home, run))

    def _of_worker(self) -> Iterator[Happening]:
        """Yield the deployments of the Worker, newest first, then its versions by the first that gave them traffic."""
        deployments = tuple(self.cloudflare.history(self.worker))
        first: dict[str, str] = {}
        for deployment in deployments:
            at = deployment.created_on
            yield Happening(deployment.id, f"deployment of {self.worker} at {at}", _at(at))
            first.update({share.version_id: at for share in deployment.versions if share.percentage})
        if not deployments:
            return
        oldest = deployments[-1].created_on
        uploaded = {version.id: version.metadata.created_on for version in self.cloudflare.versions(self.worker)}
        for version in dict.fromkeys((*first, *uploaded)):
            what = f"version of {self.worker}"
            if version not in first:
                yield Happening(version, what, self._never(version, uploaded[version]))
                continue
            at = first[version]
            if at == oldest:  # it may have served before what the provider remembers, never before its upload
                at = min(at, uploaded.get(version, at))
            yield Happening(version, f"{what}, live since {at}", _at(at))

    def _never(self, version: str, uploaded: str) -> Callable[[], datetime]:
        def refuse() -> datetime:
            message = (
                f"before:{version}: that version of {self.worker} never had traffic, so there is no moment before it. "
                f"It was uploaded at {uploaded}."
            )
            raise Refused(message)

        return refuse

    def _of_sites(self) -> Iterator[Happening]:
        for site in self.sites:
            for deployment in self.pages.deployments(site):
                at = deployment.created_on
                yield Happening(deployment.id, f"{deployment.environment} deployment of site {site} at {at}", _at(at))


def moments_of(home: Home, cloudflare: Cloudflare, stack: Stack) -> Moments:
    """Return where the happenings of a stack are looked up."""
    pages = Pages(cloudflare.transport, cloudflare.account)
    return Moments(home, cloudflare, stack.api.name, pages, tuple(site.name for site in stack.sites))


def _at(text: str) -> Callable[[], datetime]:
    return lambda: datetime.fromisoformat(text)


def _unclear(name: str, found: list[Happening], known: Iterable[Happening], places: Moments) -> Refused:
    sites = "".join(f", or a deployment of site {site}" for site in places.sites)
    expected = f"a run, a deployment or a version of Worker {places.worker}{sites}"
    if found:
        listed = "; ".join(f"{one.id} ({one.what})" for one in found[: 2 * LISTED])
        more = f"; and {len(found) - 2 * LISTED} more" if found[2 * LISTED :] else ""
        message = f"before:{name}: expected one id that begins so, of {expected}, got {len(found)}: {listed}{more}."
        return Refused(message)
    newest = "; ".join(f"{one.id} ({one.what})" for one in list(known)[:LISTED])
    there = f" Newest: {newest}." if newest else ""
    return Refused(
        f"before:{name}: there is no such id, nor one that begins so, of {expected}.{there}", next_command="invoke runs"
    )
