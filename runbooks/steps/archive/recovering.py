"""Recover a copy of the server beside the present one, which goes on serving: to the point, paused, and looked at.

Only then is anything stopped. What the copy needs to be a server of its own was done by then too, so that the
application waits for a stop, two renamings and a start.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.selfhosted.bases import check_base
from runbooks.clients.selfhosted.files import copy_base, keep_settings
from runbooks.clients.selfhosted.paused import Paused, Target
from runbooks.clients.selfhosted.wal import spoken
from runbooks.engine.step import ONLY_READS, Effect, Held, Json, No, NoUndo, Settling, Sight, Step, Yes
from runbooks.model.errors import ActError, CheckError, NotSo
from runbooks.model.reconciliation import SWITCH_WAL
from runbooks.steps.archive.finding import CannotReach, Chosen, look
from runbooks.steps.archive.work import Note, Work, copy_for, make_room, work_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.postgres import Postgres
    from runbooks.clients.selfhosted.bases import Base
    from runbooks.steps.archive.own import Own

ARCHIVED_WITHIN: Final = 300.0
"""Seconds within which a finished segment must be archived."""
SEGMENT: Final = "select pg_walfile_name(pg_current_wal_insert_lsn())"
FILLING: Final = 1 << 20
LONG: Final = 12 * 3600.0
WHOLE: Final = "prove base"
"""The step whose result tells where to stop."""
ARCHIVER: Final = """
select last_failed_wal from pg_stat_archiver where last_failed_time > coalesce(last_archived_time, '-infinity')
"""


@dataclass
class Recovery:
    """One recovery: of a base, to a point, in a folder named by `ending`. `timeline` is the server's, if it answers."""

    own: Own
    base_name: str
    point: datetime
    timeline: int | None
    ending: str
    _copy: list[Paused] = field(default_factory=list)

    @cached_property
    def base(self) -> Base:
        """Return the base. Raises CheckError where it is gone."""
        base = next((one for one in self.own.found.bases if one.name == self.base_name), None)
        if base is None:
            message = f"base {self.base_name} is not in {self.own.told.bases} any more"
            raise CheckError(message)
        return base

    @property
    def work(self) -> Work:
        """Return its folder."""
        return work_named(self.own, self.ending)

    @property
    def copy(self) -> Paused:
        """Return its server."""
        if not self._copy:
            self._copy.append(copy_for(self.own, self.base, self.work.fresh))
        return self._copy[0]

    def reach(self) -> Chosen:
        """Return where to stop. Raises CheckError where the base does not reach the point any more."""
        got = look(self.own, self.base, self.point, timeline=self.timeline)
        if isinstance(got, CannotReach):
            message = f"base {self.base_name} does not reach the point: {got.why}."
            raise CheckError(message, next_command=got.advice)
        return got

    def paused(self, sight: Sight) -> Postgres:
        """Return the way into the copy, which stands at the point; it is started where it does not run."""
        if not self.copy.runs:
            self.copy.start(_target(sight))
        return self.copy.door


def let_the_wal_arrive(recovery: Recovery, *, name: str) -> Step:
    """Return the step after which the archive covers the point: it ends the present segment, which is archived then."""

    def holds(sight: Sight) -> Held:
        reached = recovery.reach()
        seen: dict[str, Json] = {"point": recovery.point.isoformat(), "base": recovery.base_name}
        if not reached.waits:
            return Yes(seen | {"segments": reached.segments})
        if not sight.request:
            return No(seen, "no transaction later than the point is archived yet")
        with recovery.own.database.reading() as session:
            seen["fails_to_archive"] = session.value(ARCHIVER)
        return Settling(seen, 0.05)

    def act(_sight: Sight) -> Json:
        with recovery.own.database.writing(SWITCH_WAL) as session:
            transaction = str(session.value("select pg_current_xact_id()::text"))
        return {"transaction": transaction, "segment": _end_segment(recovery.own)}

    return Step(
        name=name,
        title=f"let the archived WAL reach {recovery.point:%Y-%m-%d %H:%M:%S} UTC",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo("an empty transaction leaves nothing behind"),
        expect=0.5,
        deadline=ARCHIVED_WITHIN,
        attempts=2,
    )


def _end_segment(own: Own) -> str:
    """Have the server end its WAL segment; where our role may not say so, fill the segment. Return its name."""
    with own.database.writing(SWITCH_WAL) as session:
        if session.value("select has_function_privilege('pg_switch_wal()', 'execute')"):
            return str(session.value("select pg_walfile_name(pg_switch_wal())"))
        segment = str(session.value(SEGMENT))
        for _ in range(own.control.segment // FILLING + 1):
            session.rows("select pg_logical_emit_message(false, 'ems-ops', repeat('-', %s))", (FILLING,))
            if session.value(SEGMENT) != segment:
                break
        return segment


def find_whole(recovery: Recovery) -> Step:
    """Return the step that proves base and WAL whole, byte by byte and record by record, and tells where to stop."""
    done: list[dict[str, Json]] = []

    def act(_sight: Sight) -> None:
        check_base(recovery.base, recovery.own.installed, contents=True)
        reached = recovery.reach()
        if reached.target is None:
            message = "no transaction later than the point is archived yet"
            raise NotSo(message)
        done[:] = [
            {
                "stop": None if reached.target.lsn is None else spoken(reached.target.lsn),
                "position": reached.target.lsn,
                "inclusive": reached.target.inclusive,
                "last": reached.last.isoformat() if reached.last else None,
                "segments": reached.segments,
                "base_bytes": recovery.base.bytes,
            }
        ]

    def holds(sight: Sight) -> Held:
        if not done:
            act(sight)
        return Yes(done[0])

    return Step(
        name=WHOLE,
        title=f"find base {recovery.base_name} and its WAL whole: every byte, every record",
        effect=Effect.READ,
        holds=holds,
        act=act,
        undo=ONLY_READS,
        expect=1.0,
        deadline=LONG,
    )


def recover_beside(recovery: Recovery, *, name: str) -> Step:
    """Return the step after which a copy of the base stands at the point, beside the present data folder."""
    work, own = recovery.work, recovery.own

    def holds(_sight: Sight) -> Held:
        if (note := work.note) is not None:
            return Yes({"folder": str(work.folder), "base": note.base, "point": note.point})
        return No({"folder": str(work.folder)}, f"no copy stands at the point in {work.folder}")

    def act(sight: Sight) -> Json:
        make_room(work, own)
        copy_base(recovery.base, work.fresh, own.installed, report=sight.report)
        with recovery.paused(sight).reading() as session:
            position = str(session.value("select pg_last_wal_replay_lsn()::text"))
        work.write(Note(sight.run, recovery.base_name, recovery.point.isoformat()))
        return {"replayed_to": position}

    def undo(_sight: Sight) -> Json:
        recovery.copy.stop()
        if not work.is_exchanged and not work.former.exists():
            work.remove()
        return None

    return Step(
        name=name,
        title=f"recover a copy of it to {recovery.point:%Y-%m-%d %H:%M:%S} UTC in {work.folder.name}, paused there",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        half=True,
        expect=10.0,
        deadline=LONG,
        attempts=2,
    )


def look_at_copy(recovery: Recovery, verifying: Callable[[Postgres], Step]) -> Step:
    """Return a step that verifies a database, made to look at the paused copy; it runs no longer when that fails."""
    told = verifying(recovery.own.database)
    made: list[Step] = []

    def on_copy(sight: Sight) -> Step:
        if not made or not recovery.copy.runs:
            made[:] = [verifying(recovery.paused(sight))]
            if held := recovery.copy.free_tables():
                sight.note(f"transactions that were under way at the point held {', '.join(held)}")
        return made[0]

    def act(sight: Sight) -> Json:
        try:
            return on_copy(sight).act(sight)
        except BaseException:
            recovery.copy.stop()
            raise

    def holds(sight: Sight) -> Held:
        return on_copy(sight).holds(sight)

    return replace(told, title=f"{told.title}, in the paused copy", act=act, holds=holds)


def end_the_recovery(recovery: Recovery, *, name: str) -> Step:
    """Return the step after which the copy is a server of its own, stopped, with the settings of the present."""
    work, own = recovery.work, recovery.own

    def holds(_sight: Sight) -> Held:
        timeline = work.note.timeline if work.note else None
        return Yes({"timeline": timeline}) if timeline else No({}, "the copy still stands in its recovery")

    def act(sight: Sight) -> Json:
        note = work.note
        if note is None:
            message = f"{work.folder}: expected the note of a copy that stands at the point, there is none."
            raise ActError(message)
        if recovery.copy.runs or (work.fresh / "recovery.signal").exists():
            recovery.paused(sight)
            timeline = recovery.copy.end_recovery()
            recovery.copy.stop()
        else:
            timeline = own.installed.control(work.fresh).timeline
        kept = keep_settings(own.data, work.fresh, own.installed.owner)
        work.write(msgspec.structs.replace(note, timeline=timeline))
        return {"settings_of_the_present": list(kept)}

    def undo(_sight: Sight) -> Json:
        if (note := work.note) is not None:  # the copy itself goes as a whole
            work.write(msgspec.structs.replace(note, timeline=None))
        return None

    return Step(
        name=name,
        title="make the copy a server of its own, with the settings of the present one",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        expect=1.0,
        deadline=3600.0,
        attempts=2,
    )


def _target(sight: Sight) -> Target:
    found = sight.results.get(WHOLE)
    if not isinstance(found, dict):
        message = "where the copy has to stop is not known: base and WAL were not looked at"
        raise ActError(message)
    position = found["position"]
    return Target(position if isinstance(position, int) else None, inclusive=bool(found["inclusive"]))
