"""Cloudflare Pages, as typed calls: which deployment of a site is live, which were, and the way back to one.

Shapes and rules: official SDK 5.9 and Pages' documentation of rollbacks, read 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.cloudflare import paged, result_of
from runbooks.model.errors import AnswerLost, CheckError
from runbooks.model.reconciliation import MOVE_SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.clients.transport import Transport

PAGE: Final = 25
"""Entries of one page: for more the API answers 400 with 8000024, which its documentation does not say."""
LOOK_BACK: Final = 200
"""Deployments that are looked through for the beginning of an id; a whole id is found however old it is."""
UNKNOWN: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)


class Stage(msgspec.Struct, frozen=True):
    """How far a deployment came."""

    name: str
    status: str


class Trigger(msgspec.Struct, frozen=True):
    """What a deployment was made from: for a direct upload by the program, the digest of its files."""

    branch: str = ""
    commit_hash: str = ""
    commit_message: str = ""


class _Trigger(msgspec.Struct, frozen=True):
    metadata: Trigger = Trigger()


class Deployment(msgspec.Struct, frozen=True):
    """One deployment of a site. `url` leads to it for ever, whatever is live."""

    id: str
    url: str
    environment: str
    created_on: str
    latest_stage: Stage
    deployment_trigger: _Trigger = _Trigger()

    @property
    def succeeded(self) -> bool:
        """Tell whether it came to its end."""
        return (self.latest_stage.name, self.latest_stage.status) == ("deploy", "success")

    @property
    def can_be_live(self) -> bool:
        """Tell whether Pages would make it live: only what was built for production, and succeeded."""
        return self.environment == "production" and self.succeeded


class Project(msgspec.Struct, frozen=True):
    """A site. What is live is `canonical_deployment`; `latest_deployment` is only the newest of any kind."""

    name: str
    subdomain: str
    production_branch: str
    domains: tuple[str, ...] = ()
    canonical_deployment: Deployment | None = None
    latest_deployment: Deployment | None = None


@dataclass(frozen=True)
class Pages:
    """The sites of one account. Reads are retried; `make_live` is sent once."""

    transport: Transport
    account: str

    def project(self, name: str) -> Project:
        """Return a site. Raises CheckError when there is none of that name."""
        return result_of(self.transport.get(self._project(name)), Project)

    def projects(self) -> tuple[Project, ...]:
        """Return every site of the account."""
        return tuple(paged(self.transport, f"/accounts/{self.account}/pages/projects", Project, per_page=PAGE))

    def deployment(self, project: str, deployment: str) -> Deployment | None:
        """Return one deployment by its whole id, or None when the site has none of that id."""
        answer = self.transport.get(f"{self._project(project)}/deployments/{deployment}", accept=UNKNOWN)
        return None if answer.status in UNKNOWN else result_of(answer, Deployment)

    def deployments(self, project: str) -> Iterator[Deployment]:
        """Yield the newest deployments of any kind, newest first, up to `LOOK_BACK` of them."""
        every = paged(self.transport, f"{self._project(project)}/deployments", Deployment, per_page=PAGE)
        return islice(every, LOOK_BACK)

    def make_live(self, project: str, deployment: str) -> Deployment:
        """Make an earlier production deployment the live one; no new deployment appears.

        Raises ActRefused with the provider's code, AnswerLost.
        """
        answer = self.transport.send(MOVE_SITE, f"{self._project(project)}/deployments/{deployment}/rollback")
        try:
            return result_of(answer, Deployment)
        except CheckError as error:
            raise AnswerLost(str(error)) from None  # said yes, but not what it did

    def _project(self, name: str) -> str:
        return f"/accounts/{self.account}/pages/projects/{name}"
