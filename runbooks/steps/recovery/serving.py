"""What serves users before a restore, and what it comes back on: as Cloudflare says, or without it the edge itself.

The edge goes on while Cloudflare's API is down: a version says its id in the health answer. What it does not say, the
ops home may remember.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from runbooks.model.errors import CheckError, Refused, Unreachable
from runbooks.steps.cloudflare.hyperdrive import find
from runbooks.steps.cloudflare.maintenance import Stopped, release_to_restart
from runbooks.steps.recovery.remembered import Live, remembered_at
from runbooks.steps.recovery.whole import Whole, recalled, whole_at
from runbooks.steps.releases import LEDGER, sent_to

if TYPE_CHECKING:
    from datetime import datetime

    from infra.stack import Api, Stack
    from runbooks.clients.cloudflare import Cloudflare, Origin
    from runbooks.clients.edge import Edge
    from runbooks.clients.postgres import Postgres
    from runbooks.clients.transport import Answer
    from runbooks.engine.record.home import Home

OK: Final = 200
FAULTS: Final = range(400, 600)
OWN_FAULTS: Final = range(500, 520)
"""What a Worker itself answers when something fails; from 520 on it is the edge that has no answer of it."""
MAINTENANCE: Final = "maintenance"
"""What the maintenance version calls its own status (infra/maintenance.js)."""


class Alone(msgspec.Struct, frozen=True):
    """What is known of the application where Cloudflare's API is not asked.

    `told_by` says who names the version that is live, `seen` whether the edge does. `answering` are the paths that
    answer as they must, `silent` is why nobody answers at the edge. `stopped`: an earlier run has stopped it there.
    """

    told_by: str
    seen: bool = False
    answering: tuple[str, ...] = ()
    silent: str = ""
    stopped: bool = False


@dataclass(frozen=True)
class Serving:
    """What is live, the version that answers in its place while it is stopped, and the whole product at the point."""

    live: str
    maintenance: str
    whole: Whole
    alone: Alone | None = None


class Former(Protocol):
    """What a run knew that has left the application stopped."""

    @property
    def live(self) -> str:
        """Return the version that it had found live, "" where it could not tell."""

    @property
    def alone(self) -> Alone | None:
        """Return what it knew without Cloudflare."""


@dataclass(frozen=True)
class Look:
    """One look before a restore: `present` is the database, None when it does not answer.

    `version` is what was asked for to restart on, `command` how the restore is typed.
    """

    home: Home
    stack: Stack
    former: Former | None
    present: Postgres | None
    point: datetime
    now: datetime
    version: str
    command: str

    def by_cloudflare(self, cloudflare: Cloudflare) -> Serving:
        """Return what Cloudflare says. Raises Refused, CheckError, Unreachable."""
        worker = self.stack.api.name
        live = release_to_restart(cloudflare, worker, (self.former.live or None) if self.former else None)
        whole = whole_at(
            self.home, cloudflare, self.stack, self.present, point=self.point, live=live, asked=self.version,
            command=self.command,
        )  # fmt: skip
        return Serving(live, cloudflare.maintenance(worker).id, whole)

    def by_edge(self, edge: Edge) -> Serving:
        """Return what the edge and the ops home say, without Cloudflare. Raises Refused where it would not fit."""
        said, stopped, silent = self._said(edge)
        live, told_by = (said, "its health answer says that it serves now") if said else self._remembered()
        whole = remembered_at(
            self.home, self.stack, self.present, point=self.point, live=Live(live, told_by), asked=self.version,
            command=self.command,
        )  # fmt: skip
        answers = {} if silent or stopped else asked(edge, self.stack.api)
        answering = tuple(path for path, status in answers.items() if status == expected(self.stack.api)[path])
        if not answering and self.former and self.former.alone:  # it is shut out since then
            answering = self.former.alone.answering
        return Serving(live, stopped, whole, Alone(told_by, bool(said), answering, silent, bool(stopped)))

    def _said(self, edge: Edge) -> tuple[str, str, str]:
        """Return the version that answers, or the maintenance version that does; or why nobody does."""
        answer, silent = health_answer(edge, self.stack.api)
        if answer is None:
            return "", "", silent
        try:
            told = msgspec.json.decode(answer.body, type=Stopped)
        except msgspec.MsgspecError:
            return "", "", ""
        return ("", told.version, "") if told.status == MAINTENANCE else (told.version, "", "")

    def _remembered(self) -> tuple[str, str]:
        """Return the version that was live when somebody last looked, and who did."""
        if self.former and self.former.live:
            return self.former.live, "an earlier restore had found it live"
        newest = recalled(lambda: sent_to(self.home, "api", self.now))
        return newest, f"{self.home.where(LEDGER)} knows it as the last one that was proven live"


def origin_of_api(cloudflare: Cloudflare | None, hyperdrive: str) -> Origin | None:
    """Return where the API's connections go, None where that is not known. Raises Unreachable where nobody answers."""
    if cloudflare is None:
        return None
    try:
        return find(cloudflare, hyperdrive).origin
    except Unreachable:
        raise
    except (Refused, CheckError):
        return None


def health_answer(edge: Edge, api: Api) -> tuple[Answer | None, str]:
    """Return what the health path answers, or why that is nothing of the Worker's."""
    try:
        answer = edge.get(api.host, api.health.path)
    except Unreachable as error:
        return None, str(error)
    if answer.status >= OWN_FAULTS.stop:
        return None, f"{answer.what}: {answer.status}, which is no answer of {api.name}"
    return answer, ""


def expected(api: Api) -> dict[str, int]:
    """Return what the paths answer that the stack file names, those that are no error."""
    checks = {one.path: one.status for one in api.smoke if one.status not in FAULTS}
    return {api.health.path: OK, **checks}


def asked(edge: Edge, api: Api) -> dict[str, int]:
    """Ask each of those paths once; return the status, 0 where nobody answered."""
    return {path: _status(edge, api.host, path) for path in expected(api)}


def _status(edge: Edge, host: str, path: str) -> int:
    try:
        return edge.get(host, path).status
    except Unreachable:
        return 0
