"""The whole product at the point: what was live then, and which version of the API fits the database of then.

A version says by its tag (`schema=<id>`) which migration its code needs; the table of migrations in the database says
which there were. A version that says nothing is taken to fit: whoever does not declare it is no worse off than before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from infra.stack import NEEDS
from runbooks.clients.cloudflare_secrets import CODE_OF, root_of
from runbooks.clients.pages import Pages
from runbooks.clients.postgres import identifier, sql
from runbooks.engine.step import ONLY_READS, Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import CheckError, Refused
from runbooks.steps.cloudflare.workers import SHORT
from runbooks.steps.recovery.strategy import ByDump
from runbooks.steps.releases import read_releases
from runbooks.steps.snapshots import read_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infra.stack import Migrations, Stack
    from runbooks.clients.cloudflare import Cloudflare, Version
    from runbooks.clients.postgres import Postgres, Session
    from runbooks.engine.record.home import Home
    from runbooks.steps.recovery.strategy import Reached

LISTED: Final = 5  # versions that a refusal names


class Whole(msgspec.Struct, frozen=True):
    """What was live at the point, as far as it is remembered, and what the API comes back on.

    `restart` is a version's id, `why` the reason; `needs` is the migration it must find in the recovered database, ""
    where nothing is to be found. `version` and `site` (None: there is none) are ids of then, `records` the state then,
    `secrets` when they had last changed (RFC 3339), `secrets_since` when they first changed after the point.
    `remembered` says who told, where it was not Cloudflare: then what is live stays.
    """

    restart: str = ""
    why: str = ""
    needs: str = ""
    version: str = ""
    site: str | None = ""
    records: str = ""
    secrets: str = ""
    secrets_since: str = ""
    remembered: str = ""

    def lines(self, live: str) -> tuple[str, ...]:
        """Return what a plan shows of it."""
        then = [
            f"api {self.version[:SHORT] or 'not known'}{' (as now)' if self.version and self.version == live else ''}",
            *([] if self.site is None else [f"site {self.site[:SHORT] or 'not known'}"]),
            f"records {self.records or 'not known'}",
            f"secrets {'not known' if self.remembered else self._secrets()}",
        ]
        if self.remembered:
            serves = f"Serves   api {self.restart[:SHORT] or 'as it is'}: {self.why}"
            return (f"Then     {', '.join(then)} (by {self.remembered})", serves)
        lines = [f"Then     {', '.join(then)}", f"Restart  api on {self.restart[:SHORT]}: {self.why}"]
        if self.secrets_since:
            lines.append(
                f"         secrets were changed at {self.secrets_since}: a version from before has those of then"
            )
        return tuple(lines)

    def _secrets(self) -> str:
        return f"last changed {self.secrets}" if self.secrets else "of the program"


def whole_at(
    home: Home,
    cloudflare: Cloudflare,
    stack: Stack,
    present: Postgres | None,
    *,
    point: datetime,
    live: str,
    asked: str,
    command: str,
) -> Whole:
    """Return what was live at a point and what to come back on; `live` serves now, `asked` is by `--version`.

    `present` is the database as it is, None when it does not answer; `command` is how the restore is typed. Raises
    Refused where no version fits, or none is the one that was asked for.
    """
    return _Look(home, cloudflare, stack, present, command).at(point, live, asked)


@dataclass(frozen=True)
class _Look:
    """One look at the whole."""

    home: Home
    cloudflare: Cloudflare
    stack: Stack
    present: Postgres | None
    command: str

    def at(self, point: datetime, live: str, asked: str) -> Whole:
        """Return the whole. Raises Refused."""
        versions = self.cloudflare.versions(self.stack.api.name)
        applied = applied_at(self.stack, self.present, point)
        restart, why = self._chosen(versions, applied, live, asked)
        needs = "" if asked else needs_of(restart, versions)
        changes = sorted(_moment(one) for one in versions if _of_secrets(one))
        return Whole(
            restart=restart,
            why=why,
            needs=needs,
            version=self._version(point),
            site=recalled(lambda: self._site(point)) if self.stack.sites else None,
            records=records_at(self.home, point),
            secrets=next((_utc(at) for at in reversed(changes) if at <= point), ""),
            secrets_since=next((_utc(at) for at in changes if at > point), ""),
        )

    def _chosen(
        self, versions: Sequence[Version], applied: frozenset[str] | None, live: str, asked: str
    ) -> tuple[str, str]:
        if asked:
            return self._asked(versions, asked)
        needs = needs_of(live, versions)
        if not needs:
            return live, "it serves now, and says of no migration that it needs it"
        if applied is None:
            return live, f"it serves now; whether migration {needs} was there at the point is only seen afterwards"
        if needs in applied:
            return live, f"it serves now, and fits: migration {needs} was there at the point"
        known = {one.id for one in versions}
        good = [one for one in reversed(read_releases(self.home, "api").good) if one in known]
        said = f"{live[:SHORT]}, which serves now, needs migration {needs}, which was not there at the point"
        for version in good:
            if (other := needs_of(version, versions)) == "" or other in applied:
                return version, f"the newest verified that fits; {said}. The next deploy brings the program's own again"
        listed = "; ".join(f"{one[:SHORT]} needs {needs_of(one, versions)}" for one in good[:LISTED]) or "none"
        message = f"{said}. Verified versions: {listed}. --version={live[:SHORT]} comes back on it nevertheless."
        raise Refused(message, next_command=f"{self.command} --version={live[:SHORT]} --dry-run")

    def _asked(self, versions: Sequence[Version], asked: str) -> tuple[str, str]:
        found = [one for one in versions if one.id.startswith(asked) and not one.is_maintenance]
        if len(found) == 1:
            return found[0].id, "as asked"
        listed = ", ".join(one.id for one in found or versions if not one.is_maintenance)
        message = f"--version={asked}: expected one version of {self.stack.api.name}, got {len(found)} of: {listed}."
        raise Refused(message, next_command=f"{self.command} --dry-run")

    def _version(self, point: datetime) -> str:
        for deployment in self.cloudflare.history(self.stack.api.name):
            if datetime.fromisoformat(deployment.created_on) <= point:
                largest = max(deployment.versions, key=lambda share: share.percentage, default=None)
                return largest.version_id if largest else ""
        return ""

    def _site(self, point: datetime) -> str:
        """Return the newest deployment of then: Pages does not say when an older one was made live again."""
        pages = Pages(self.cloudflare.transport, self.cloudflare.account)
        then = (
            one.id
            for site in self.stack.sites
            for one in pages.deployments(site.name)
            if one.can_be_live and datetime.fromisoformat(one.created_on) <= point
        )
        return next(then, "")


def applied_at(stack: Stack, present: Postgres | None, point: datetime) -> frozenset[str] | None:
    """Return the migrations that were there at the point, None where that cannot be told."""
    migrations = stack.database.migrations
    if migrations is None or present is None:
        return None
    try:
        with present.reading() as session:
            return applied_by(session, migrations, point)
    except CheckError:
        return None


def records_at(home: Home, point: datetime) -> str:
    """Return the state of the zone's records at the point, "" where nobody has kept it."""

    def read() -> str:
        then = [one for one in read_snapshots(home) if datetime.fromisoformat(one.at) <= point]
        return f"{then[-1].state} of {then[-1].at[:19]}Z" if then else ""

    return recalled(read)


def applied_by(session: Session, migrations: Migrations, point: datetime | None) -> frozenset[str] | None:
    """Return the migrations that were applied by a moment, or all; None where the rows do not tell when.

    Without a column for it, the commit time of the row tells; after a load from a dump that is the load's.
    """
    table, column = identifier(migrations.table), sql.Identifier(migrations.column)
    if point is None:
        return frozenset(name for (name,) in session.rows(sql.SQL("select {}::text from {}").format(column, table)))
    when = sql.Identifier(migrations.at) if migrations.at else sql.SQL("pg_xact_commit_timestamp(xmin)")
    rows = session.rows(sql.SQL("select {}::text, {} <= %s from {}").format(column, when, table), (point,))
    found = frozenset(name for name, there in rows if there)
    loaded = migrations.at is None and rows and not found
    return None if loaded or any(there is None for _, there in rows) else found


def fits_whole(database: Postgres, stack: Stack, whole: Whole, reached: Reached, command: str) -> tuple[Step, ...]:
    """Return the step that finds in the recovered database the migration that the version needs, if it names one."""
    migrations = stack.database.migrations
    if migrations is None or not whole.needs:
        return ()
    if isinstance(reached, ByDump) and reached.former is None:
        database = database.named(reached.fresh)

    def holds(_sight: Sight) -> Held:
        with database.reading() as session:
            applied = applied_by(session, migrations, None) or frozenset()
        seen: dict[str, Json] = {"needs": whole.needs, "newest": max(applied, default="")}
        if whole.needs in applied:
            return Yes(seen)
        wrong = f"{migrations.table}: expected migration {whole.needs}, which {whole.restart[:SHORT]} needs, got none"
        other = f'{command}"{_utc(reached.at)}" --version=ID'
        return No(seen, f"{wrong}. The application stays stopped; to restart on another version: {other}")

    return (
        Step(
            name="fit",
            title=f"find migration {whole.needs} in the database, which {whole.restart[:SHORT]} needs",
            effect=Effect.READ,
            holds=holds,
            act=lambda _sight: None,
            undo=ONLY_READS,
            expect=0.1,
            deadline=30.0,
        ),
    )


def needs_of(version: str, versions: Sequence[Version]) -> str:
    """Return the migration that a version's code needs, "" where it says nothing or is not listed any more."""
    known = {one.id: one for one in versions}
    root = known.get(root_of(known[version])) if version in known else None
    tag = root.annotations.tag if root else ""
    return tag.removeprefix(NEEDS) if tag.startswith(NEEDS) else ""


def _of_secrets(version: Version) -> bool:
    """Tell whether a version was made to change secrets: by the provider's own call, or by `deploy.secrets`."""
    return version.annotations.triggered_by == "secret" or version.annotations.tag.startswith(CODE_OF)


def _moment(version: Version) -> datetime:
    return datetime.fromisoformat(version.metadata.created_on)


def _utc(at: datetime) -> str:
    return at.replace(microsecond=0).isoformat().replace("+00:00", "Z")


def recalled(read: Callable[[], str]) -> str:
    """Return what is remembered; what cannot be read is not known, and stops no restore."""
    try:
        return read()
    except (CheckError, Refused):
        return ""
