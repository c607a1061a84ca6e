"""Drill: a statement with a wrong condition deletes half of a table in use; which one it was is found, and taken back.

Deleted rows leave nothing behind that could be asked for a time. So base backups are led along their WAL, by the book
that `invoke restore.find` runs, until the one transaction is left after which a row is missed; and the restore goes
back to the microsecond before it. Nothing that was committed until then may be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runbooks import restore
from runbooks.clients.postgres import identifier, sql
from runbooks.drills.rig.going_back import back_at, restored
from runbooks.drills.rig.own_server import on_own_server
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.last_good import Search
from runbooks.model.reconciliation import SPOIL
from runbooks.model.timepoint import Point
from runbooks.render.wording import span
from runbooks.steps.archive.own import own_of

if TYPE_CHECKING:
    from datetime import datetime

    from infra.drills import Workload
    from runbooks.drills.rig.scenario import Scene
    from runbooks.drills.rig.site import Site
    from runbooks.engine.step import Evidence
    from runbooks.last_good import Look
    from runbooks.model.last_good import Found

NOTICE: Final = 5.0
BACK: Final = "restore"
"""The step of the restore book after which the server runs on what was recovered."""
UNCHECKED: Final = "set local session_replication_role = replica"
"""As scripts do that are in a hurry: no trigger runs, no foreign key is looked at."""


@dataclass(frozen=True)
class Deleted:
    """What the search is not told: when it was, and the rows that were committed before; and a row that is missed."""

    at: datetime
    missed: str
    committed: frozenset[str]


@dataclass
class MassDelete:
    """The scenario."""

    name: str = "mass-delete"
    what: str = (
        "a statement deletes the older half of a table in use; the transaction is found in base backups led along "
        "their WAL, the restore book takes the database to the microsecond before it"
    )
    warm_seconds: float = 1.5
    _deleted: list[Deleted] = field(default_factory=list)

    def break_it(self, scene: Scene) -> Broken:
        """Delete as a careless script does, and look until it is noticed."""
        site = scene.stage.site
        workload = site.settings.stack.drill.workload
        names = _names(workload)
        statement = sql.SQL(
            "delete from {table} where {key} in (select {key} from {table} order by {key} limit"
            " (select count(*) / 2 from {table}))"
        ).format(**names)
        with site.postgres.reading() as session:
            missed = sql.SQL("select {key}::text from {table} order by {key} limit 1").format(**names)
            missing = str(session.value(missed))
        at = utc_now()
        with site.postgres.writing(SPOIL) as session:
            transaction = str(session.value("select pg_current_xact_id()::xid::text"))
            session.run(UNCHECKED)
            session.run(statement)
        look = scene.watch.until_faulty(NOTICE)
        self._deleted[:] = [_deleted(site, workload, transaction, missing)]
        return Broken(
            trigger=f"somebody ran `{statement.as_string(None)}`",
            at=at,
            noticed_at=look.ended if look else None,
            noticed_by=look.faults if look else (),
        )

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Find the transaction by what is missed, and go back to just before it."""
        stage, deleted = scene.stage, self._deleted[0]
        site = on_own_server(stage)
        workload = site.settings.stack.drill.workload
        with stage.phases.measured(f"{self.name}: find the transaction"):
            exists = sql.SQL("select exists (select from {table} where {key}::text = {missed})")
            check = exists.format(**_names(workload), missed=sql.Literal(deleted.missed))
            found = _search(scene, site, check.as_string(None)).look()
        point = Point(found.good.at, "").utc
        outcome = restored(
            stage, site, restore.Arguments(point=point, strategy="archive"), why=broken.noticed_by[0], drill=self.name
        )
        with site.postgres.reading() as session:
            there = _keys(session.rows(sql.SQL("select {key}::text from {table}").format(**_names(workload))))
        return Repaired(
            outcome=outcome,
            point=found.good.at,
            back=back_at(outcome, BACK),
            point_from=f"restore.find: {found.how}; {found.bad.why}, {found.bad.at}",
            problems=tuple(_problems(found, deleted, there)),
        )


@dataclass(frozen=True)
class _Looks:
    """Where the search's looks are shown: as notes of the drill."""

    scene: Scene

    def step_started(self, step: Look, index: int, total: int) -> None:
        """Wait for its end."""

    def progress(self, step: Look, done: int, total: int) -> None:
        """Wait for its end."""

    def step_finished(self, step: Look, status: str, seconds: float, evidence: Evidence) -> None:
        """Note what a look said."""
        del evidence
        self.scene.stage.show.note(f"{MassDelete.name}: {step.title}: {status}, {span(seconds)}")


def _search(scene: Scene, site: Site, check: str) -> Search:
    return Search(
        site.settings, site.postgres, site.catalog, lambda: None, site.environ, _Looks(scene), utc_now, check,
        own_of(site.settings, site.programs),
    )  # fmt: skip


def _deleted(site: Site, workload: Workload, transaction: str, missed: str) -> Deleted:
    """Ask when the deletion was committed, and which rows that are still there were before it."""
    with site.postgres.reading() as session:
        at: datetime = session.value("select pg_xact_commit_timestamp(%s::xid)", (transaction,))
        query = sql.SQL("select {key}::text from {table} where pg_xact_commit_timestamp(xmin) < %s")
        return Deleted(at, missed, _keys(session.rows(query.format(**_names(workload)), (at,))))


def _names(workload: Workload) -> dict[str, sql.Identifier]:
    return {"key": sql.Identifier(workload.key), "table": identifier(workload.table)}


def _keys(rows: list[tuple[str]]) -> frozenset[str]:
    return frozenset(key for (key,) in rows)


def _problems(found: Found, deleted: Deleted, there: frozenset[str]) -> list[str]:
    """Return what was not found exactly, and what was lost that had been committed before."""
    problems = []
    if found.bad.at != deleted.at or not found.good.at < deleted.at:
        problems.append(f"expected the deletion of {deleted.at} to be found, got {found.bad.at}")
    if not found.exact or (deleted.at - found.good.at).total_seconds() > 1e-6:  # noqa: PLR2004 - a microsecond
        problems.append(f"expected the instant right before {deleted.at}, got {found.good.at}")
    if lost := deleted.committed - there:
        problems.append(f"{len(lost)} rows are lost that were committed before the deletion")
    return problems
