"""A restore while Cloudflare's API is down: what is said, what is refused, what is known, and what proves the stop."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from infra.stack import Migrations
from runbooks.clients.cloudflare import Origin
from runbooks.clients.postgres import Postgres, Session
from runbooks.clients.supabase import Cidrs, Supabase, explain
from runbooks.clients.transport import Transport
from runbooks.engine.outcome import ending_of
from runbooks.engine.step import Json, No, Settling, Sight, Yes
from runbooks.model.errors import CheckError, Exit, Outage, Refused, Unreachable
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.database.restrictions import Entrance, Entry
from runbooks.steps.recovery.asked import Arguments
from runbooks.steps.recovery.door import ShutOut, StoppedAtDoor
from runbooks.steps.recovery.dump import Dump
from runbooks.steps.recovery.outage import Typed, telling
from runbooks.steps.recovery.remembered import Fits, Live, remembered_at
from runbooks.steps.recovery.serving import Alone, Look
from runbooks.steps.releases import quarantine, read_releases, record_verified
from runbooks.steps.snapshots import keep_records
from tests.runbooks.desk import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.steps.backups.catalog import Manifest
    from tests.runbooks.desk import Desk

EVERYONE, OPERATORS = Cidrs(("0.0.0.0/0",), ("::/0",)), Cidrs(("127.0.0.1/32",), ())
SAID = {"success": False, "errors": [{"code": 10503, "message": "no healthy upstream"}]}
APPLIED = {"entitlement": "allowed", "config": {"dbAllowedCidrs": ["127.0.0.1/32"]}, "status": "applied"}
PATHS = ("/api/health", "/api/horses", "/api/lessons", "/api/bookings")
RETRY = 'invoke restore --stack twin --point="then"'
UNNAMED = "ems-ops:database.outsider names no address that must be refused"


@dataclass(frozen=True)
class Quiet(Postgres):
    """A database that answers every question with these rows: sessions of others, or migrations."""

    rows: tuple[tuple[Any, ...], ...] = ()

    @contextmanager
    def reading(self, *, snapshot: str | None = None) -> Iterator[Session]:
        """Open one that answers with them."""
        assert snapshot is None
        yield cast("Session", SimpleNamespace(rows=lambda *_: list(self.rows), value=lambda *_: 1))


@dataclass
class Scene:
    """A desk with a release that serves, and the project of its database."""

    desk: Desk
    supabase: Supabase
    live: str
    database: Quiet = field(default_factory=lambda: Quiet("postgresql://me@127.0.0.1:1/shop"))

    def door(self, entry: Entry, alone: Alone, *, outsider: str | None = None) -> StoppedAtDoor:
        """Return the application that is stopped at its door."""
        told = msgspec.structs.replace(self.desk.settings.stack.database, outsider=outsider)
        entrance = Entrance(self.supabase, self.database, told)
        desk = self.desk
        return StoppedAtDoor(desk.settings, desk.cloudflare, desk.edge, now, entrance, entry, alone)

    def shut_out(self, alone: Alone, *, database: Quiet | None = None) -> ShutOut:
        """Return the proof by the application itself."""
        seen = self.door(Entry(EVERYONE, UNNAMED), alone).entrance.seen(Entry(EVERYONE, UNNAMED))
        self.desk.stand_in.next.append((200, {}, APPLIED))
        return ShutOut(seen, database or self.database, self.desk.edge, self.desk.settings.stack.api, alone)

    def look(self, former: Any = None, *, version: str = "") -> Look:  # noqa: ANN401 - as much of facts as is read
        """Return a look at what serves."""
        desk = self.desk
        return Look(desk.home, desk.settings.stack, former, None, now(), now(), version, RETRY)


@pytest.fixture
def scene(desk: Desk) -> Iterator[Scene]:
    """Give a desk with a verified release."""
    transport = Transport("Supabase", desk.stand_in.address, "sbp_x", explain=explain)
    yield Scene(desk, Supabase(transport, "abcdefghijklmnopqrst"), desk.release())
    transport.close()


def told(desk: Desk, **arguments: Any) -> Exception:  # noqa: ANN401 - as they are typed
    """Gather by asking Cloudflare what is live, and return what is raised."""
    typed = Typed(desk.settings, Arguments(**{"point": "15m ago", **arguments}))
    transport = desk.cloudflare.transport
    with pytest.raises(Exception, match=r".") as raised:
        telling(lambda: desk.cloudflare.live("ems-api"), typed, transport, desk.edge)()
    return raised.value


def test_an_outage_names_the_command_that_does_without(scene: Scene) -> None:
    """Refused with what was typed and the flag, what it means, and what users get; a run that begins is paused."""
    scene.desk.stand_in.next.extend([(503, {}, SAID)] * 3)
    error = told(scene.desk, strategy="pitr", without_copy=True, version="4f1c")
    assert isinstance(error, Outage)
    flags = "--strategy=pitr --without-copy --version=4f1c --without-cloudflare"
    assert error.next_command == f'invoke restore --stack twin --point="15m ago" {flags}'
    assert (error.exit, f"answers 200 from version {scene.live}. --without-cloudflare" in str(error)) == (2, True)
    assert "(10503: no healthy upstream). Asked 3 times in " in str(error)
    assert "Supabase's network restrictions: only 127.0.0.1/32; its sessions are ended), and that is proven" in str(
        error
    )
    ending = ending_of(error, acted=False, go_on="invoke runs.resume", undo="")
    assert (ending.status, ending.exit, ending.next_command) == ("paused", Exit.PAUSED, "invoke runs.resume")
    assert ending.text.endswith(f"; or: {error.next_command}")


def test_what_is_no_outage_of_cloudflare_is_told_as_it_is(scene: Scene) -> None:
    """A token that is not valid, a "later", and somebody else who does not answer lead nobody past Cloudflare."""
    stand_in = scene.desk.stand_in
    stand_in.next.append((403, {}, SAID))
    bad = told(scene.desk)
    assert type(bad) is CheckError
    assert "The token for Cloudflare is not valid" in str(bad)
    stand_in.next.extend([(429, {"retry-after": "3600"}, SAID)] * 3)
    later = told(scene.desk)
    assert (type(later), cast("Unreachable", later).busy) != (Outage, False)
    assert "--without-cloudflare" not in str(later)

    def silent() -> None:
        message = "the ops home cannot be read"
        raise Unreachable(message)

    typed = Typed(scene.desk.settings, Arguments("15m ago"))
    with pytest.raises(Unreachable, match=r"^the ops home cannot be read$"):
        telling(silent, typed, scene.desk.cloudflare.transport, scene.desk.edge)()


def test_a_point_that_only_cloudflare_knows_is_refused(scene: Scene) -> None:
    """Whoever names a deployment is asked for a time instead, with the flag or without."""
    for without in (False, True):
        scene.desk.stand_in.next.extend([(503, {}, SAID)] * 3)
        error = told(scene.desk, point="before:4f1c", without_cloudflare=without)
        assert isinstance(error, Refused)
        assert str(error).startswith("--point=before:4f1c: which moment that is only Cloudflare knows")
        assert error.next_command == "invoke runs --stack twin"


def test_what_nothing_would_stop_or_prove_is_refused(scene: Scene) -> None:
    """No restrictions, or nobody who would show that they hold: refused; where an earlier run stopped it, not."""
    settings = scene.desk.settings
    with pytest.raises(Refused, match="and the plan of this Supabase project has none: what it accepts") as refused:
        scene.door(Entry(None), Alone("")).refuse_unprovable(here=True, retry=RETRY)
    assert refused.value.next_command == RETRY
    unproven, broken = Entry(EVERYONE, UNNAMED), Alone("", silent="no answer.")
    said = rf"{UNNAMED}; none of its own paths answers well now \(/api/health, /api/horses, .* Nothing was stopped\."
    with pytest.raises(Refused, match=said) as refused:
        scene.door(unproven, Alone("")).refuse_unprovable(here=True, retry=RETRY)
    assert refused.value.next_command == f"edit {settings.file}"
    for here in (True, False):
        with pytest.raises(Refused, match=f"{UNNAMED}; no answer. Nothing was stopped"):
            scene.door(unproven, broken).refuse_unprovable(here=here, retry=RETRY)
    scene.door(unproven, Alone("", answering=PATHS)).refuse_unprovable(here=True, retry=RETRY)
    scene.door(unproven, Alone("")).refuse_unprovable(here=False, retry=RETRY)
    scene.door(Entry(EVERYONE), broken).refuse_unprovable(here=True, retry=RETRY)
    scene.door(Entry(None), Alone("", stopped=True)).refuse_unprovable(here=True, retry=RETRY)


def test_what_is_live_is_told_by_the_edge_or_by_the_ops_home(scene: Scene) -> None:
    """The health answer names it; where nobody answers, the ledger does, or the restore that has left it stopped."""
    seen = scene.look().by_edge(scene.desk.edge)
    assert (seen.live, seen.maintenance, seen.alone) == (
        scene.live, "", Alone("its health answer says that it serves now", seen=True, answering=PATHS)
    )  # fmt: skip
    stand_in = scene.desk.stand_in
    stand_in.next.append((530, {}, b"error code: 1016"))
    silent = scene.look().by_edge(scene.desk.edge)
    assert silent.alone is not None
    assert (silent.live, silent.alone.seen, silent.alone.answering) == (scene.live, False, ())
    assert "530, which is no answer of ems-api" in silent.alone.silent
    assert "releases.jsonl knows it as the last one that was proven live" in silent.alone.told_by
    stand_in.next.append((503, {}, {"status": "maintenance", "version": "m1"}))
    stopped = scene.look(SimpleNamespace(live="4f1c", alone=None)).by_edge(scene.desk.edge)
    assert (stopped.live, stopped.maintenance) == ("4f1c", "m1")
    assert stopped.alone == Alone("an earlier restore had found it live", stopped=True)


def test_what_answered_before_an_earlier_run_is_not_forgotten(scene: Scene) -> None:
    """Once it is shut out nothing answers well any more: what did is known from the run that has shut it out."""
    scene.desk.stand_in.sick[scene.live] = {"status": "error", "status_code": 503}
    scene.desk.stand_in.failing_paths = dict.fromkeys(PATHS[1:], 503)
    former = SimpleNamespace(live=scene.live, alone=Alone("", answering=PATHS[:1]))
    for earlier, answering in ((None, ()), (former, PATHS[:1])):
        found = scene.look(earlier).by_edge(scene.desk.edge).alone
        assert found is not None
        assert (found.answering, found.seen) == (answering, True)


def test_it_is_shut_out_when_it_fails_and_no_session_is_left(scene: Scene) -> None:
    """While its paths answer well nothing is proven; nor while somebody is in; nor when others may connect again."""
    alone = Alone("", answering=PATHS)
    still = scene.shut_out(alone).holds(Sight())
    assert isinstance(still, No)
    assert "shows no error, as it would without its database: /api/health 200, /api/horses 200" in still.why
    scene.desk.stand_in.failing_paths["/api/horses"] = 503
    proven = scene.shut_out(alone).holds(Sight())
    assert isinstance(proven, Yes)
    assert "/api/horses 503" in cast("list[str]", proven.evidence["answers"])
    inside = Quiet(scene.database.url, rows=((7, "app", "worker", datetime(2026, 11, 20, tzinfo=UTC)),))
    found = scene.shut_out(alone, database=inside).holds(Sight())
    assert isinstance(found, No)
    assert 'sessions are in it: 7 app "worker"' in found.why
    proof = scene.shut_out(alone)
    scene.desk.stand_in.next[-1] = (200, {}, {**APPLIED, "config": {"dbAllowedCidrs": ["0.0.0.0/0"]}})
    opened = proof.holds(Sight())
    assert isinstance(opened, No)
    assert opened.why == "expected only 127.0.0.1/32 to be allowed, got ['0.0.0.0/0']"


def test_the_edges_own_error_proves_nothing(scene: Scene) -> None:
    """From 520 on nobody has asked the Worker: that it fails does not show that it lacks its database."""
    scene.desk.stand_in.failing_paths = dict.fromkeys(PATHS[1:], 522)
    held = scene.shut_out(Alone("", answering=PATHS[1:])).holds(Sight())
    assert isinstance(held, No)


def test_the_end_says_what_it_could_not_check(scene: Scene) -> None:
    """Where nobody answers at the edge the proof is left out, in words; where somebody does, it is held to it."""
    notes: list[str] = []
    application = scene.door(Entry(EVERYONE), Alone("", seen=True, answering=PATHS))
    health, smoke = application.serving(scene.live)
    health.act.__self__.within = 0.0  # type: ignore[attr-defined] # nobody waits in a test
    scene.desk.stand_in.next.append((530, {}, b"error code: 1016"))
    sight = Sight(note=notes.append)
    left_out = cast("dict[str, Json]", health.act(sight))
    assert "530, which is no answer of ems-api" in str(left_out["not_checked"])
    assert health.holds(sight) == Yes(left_out)
    asked = len(scene.desk.stand_in.seen)
    assert smoke.act(Sight(results={"health": left_out}, note=notes.append)) == left_out
    assert (len(scene.desk.stand_in.seen), len(notes)) == (asked, 2)
    assert notes[0].startswith("not checked: prove the health contract at api.ems.example/api/health: GET https")
    health, smoke = application.serving(scene.live)
    assert health.act(sight) is None
    held = health.holds(sight)
    assert isinstance(held, Yes)
    assert held.evidence["version"] == scene.live
    assert isinstance(application.serving("another")[0].holds(sight), No | Settling)


def test_where_an_earlier_run_has_stopped_it_cloudflare_must_let_it_serve(scene: Scene) -> None:
    """The maintenance version is seen instead of errors, and the last steps wait for Cloudflare."""
    application = scene.door(Entry(EVERYONE, UNNAMED), Alone("", stopped=True))
    steps = application.stopped(live="4f1c", maintenance="m1", here=True)
    assert [step.name for step in steps][-2:] == ["see it stopped", "end sessions"]
    assert application.still() == ()
    assert [step.name for step in application.restarted("4f1c", maintenance="m1")] == [
        "restart traffic",
        "health",
        "smoke",
    ]
    assert [step.name for step in application.as_before("4f1c", maintenance="m1")] == ["former stop"]
    assert "users get the maintenance version" in application.shows()[0]
    assert [line.partition(":")[0] for line in application.losses()] == ["not listed"]


def test_the_ledger_tells_what_a_version_needs(scene: Scene) -> None:
    """What was written down when it was deployed decides; the same code with other secrets needs the same."""
    home, desk = scene.desk.home, scene.desk
    record_verified(home, "api", version=given("v2"), proofs=(), clock=now, needs="3").act(Sight())
    record_verified(home, "api", version=given("v3"), proofs=(), clock=now, code_of="v2").act(Sight())
    record_verified(home, "api", version=given("v2"), proofs=(), clock=now).act(Sight())
    assert read_releases(home, "api").needs == {"v2": "3", "v3": "3"}
    stack, then = desk.settings.stack, now() - timedelta(hours=1)
    stack = msgspec.structs.replace(
        stack, database=msgspec.structs.replace(stack.database, migrations=Migrations("a.b", "id", at="at"))
    )
    early, late = (Quiet("postgresql://me@127.0.0.1:1/shop", rows=(("3", at),)) for at in (False, True))
    serves = Live("v3", "its health answer says that it serves now")
    assert Fits(home, stack, late, then, RETRY).of(serves, "") == (
        "3",
        f"{serves.told_by}, and it fits: migration 3 was there at the point",
    )
    with pytest.raises(
        Refused, match=r"v3 .its health answer says that it serves now. needs migration 3, which"
    ) as refused:
        Fits(home, stack, early, then, RETRY).of(serves, "")
    assert refused.value.next_command == f"{RETRY} --version=v3 --dry-run"
    assert Fits(home, stack, early, then, RETRY).of(serves, "v3") == ("", "as asked")
    with pytest.raises(
        Refused, match="--version=v2: which version answers is decided at Cloudflare, which is not asked"
    ):
        Fits(home, stack, early, then, RETRY).of(serves, "v2")
    unseen = Fits(home, stack, None, then, RETRY).of(serves, "")
    assert unseen == ("3", f"{serves.told_by}; whether migration 3 was there at the point is only seen afterwards")
    assert Fits(home, stack, late, then, RETRY).of(Live("", ""), "")[1].startswith("which version serves is not known")
    assert "not written down" in Fits(home, stack, late, then, RETRY).of(Live(scene.live, "somebody"), "")[1]


def test_the_ops_home_remembers_what_was_live_then(scene: Scene) -> None:
    """Verified releases, rollbacks and snapshots of records up to the point; the plan says who tells."""
    home = scene.desk.home
    quarantine(home, "api", version="bad", to="older", clock=now).act(Sight())
    record_verified(home, "web", version=given("site"), proofs=(), clock=now).act(Sight())
    keep_records(home, tuple, clock=now).act(Sight())
    later = now()
    record_verified(home, "api", version=given("since"), proofs=(), clock=now).act(Sight())
    found = remembered_at(
        home, scene.desk.settings.stack, None, point=later, live=Live("since", "x"), asked="", command=""
    )
    assert (found.version, found.site, found.records != "") == ("older", "site", True)
    lines = found.lines("since")
    assert lines[0].startswith("Then     api older, site site, records ")
    assert lines[0].endswith("secrets not known (by the ops home, not Cloudflare)")
    assert lines[1] == "Serves   api since: x; which migration it needs is not written down"
    before = remembered_at(
        home, scene.desk.settings.stack, None, point=now() - timedelta(days=1), live=Live("", ""), asked="", command=""
    )
    assert (before.version, before.site, before.records) == ("", "", "")
    assert before.lines("")[1] == "Serves   api as it is: which version serves is not known; it stays as it is"


def test_a_backup_that_would_move_hyperdrive_is_refused(scene: Scene) -> None:
    """A database that cannot be renamed, and a new server, need Cloudflare; by its own name nothing has to move."""
    manifest = cast(
        "Manifest",
        SimpleNamespace(
            id="b1", at=datetime(2026, 11, 20, 10, 15, tzinfo=UTC), server=SimpleNamespace(system_identifier="77")
        ),
    )
    final = Origin("127.0.0.1", 1, "shop", "me")
    dump = cast("Dump", SimpleNamespace(cloudflare=None, settings=scene.desk.settings))
    assert Dump._moves_from(dump, final, manifest, stays="", here="77") is None
    pitr = 'invoke restore --stack twin --without-cloudflare --strategy=pitr --point="2026-11-20T10:15:00Z"'
    for stays, here, why in (
        ("in use", "77", "cannot be renamed: in use. So"),
        ("", "78", "b1 was made of another server. So"),
    ):
        with pytest.raises(Refused, match=why) as refused:
            Dump._moves_from(dump, final, manifest, stays=stays, here=here)
        assert refused.value.next_command == pitr
