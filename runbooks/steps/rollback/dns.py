"""The zone's way back: keep what is there → change records in one transaction → pin → ask the name servers → record.

A state of the zone is known by the digest of its records. The last verified one is gone back to, or the one that a
snapshot holds, or the one that stood at a moment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.model.errors import Refused
from runbooks.model.records import Change, Record, changes, state_of
from runbooks.model.timepoint import Reach, parse
from runbooks.model.timepoint_refusals import Asker
from runbooks.steps.cloudflare.names import names_answer
from runbooks.steps.cloudflare.records import bring_back
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.pins import pin_release
from runbooks.steps.releases import LEDGER, quarantine, read_releases, record_verified
from runbooks.steps.snapshots import JOURNAL, Snapshot, keep_records, read_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.zone.records import Zone
    from runbooks.clients.zone.resolver import Resolver
    from runbooks.engine.step import Step
    from runbooks.steps.rollback.asked import Asked

SERVICE: Final = "dns"
STATE: Final = re.compile(r"[0-9a-f]{4,12}")
MOST: Final = 3500
"""Records that one batch may change on a paid plan, 200 on the free one (batch record changes, read 2026-11)."""
LISTED: Final = 5  # snapshots that a refusal names


class Facts(msgspec.Struct, frozen=True):
    """What the zone is now and shall be, by state; `at` is when that snapshot was taken, `declared` by which file.

    `now` and `wanted` hold the sets of records (by name and type) that differ, whole; `rest` what else is ours.
    """

    state: str
    target: str
    at: str
    declared: str
    now: tuple[Record, ...]
    wanted: tuple[Record, ...]
    rest: tuple[Record, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return what is to be done."""
        return changes(self.now, self.wanted)


@dataclass(frozen=True)
class DnsRollback:
    """One rollback of the zone's records. `owned` reads those that are ours."""

    asked: Asked
    zone: Zone
    owned: Callable[[], tuple[Record, ...]]
    resolver: Resolver

    facts_type = Facts
    recheck = ("state", "target")

    def gather(self) -> Facts:
        """Read what the records are and were. Raises Refused when there is nothing to go back to."""
        now = self.owned()
        target = self.target(state_of(now))
        keys = {change.key for change in changes(now, target.records)}
        if len(keys) > MOST:
            message = f"{self.zone.name}: {len(keys)} sets of records differ: expected at most {MOST} in one batch."
            raise Refused(message)
        known = [s.declared for s in read_snapshots(self.asked.home) if s.state == target.state and s.declared]
        return Facts(
            state=state_of(now),
            target=target.state,
            at=target.at,
            declared=known[-1] if known else "",
            now=tuple(record for record in now if record.key in keys),
            wanted=tuple(record for record in target.records if record.key in keys),
            rest=tuple(record for record in now if record.key not in keys),
        )

    def target(self, state: str) -> Snapshot:
        """Return the snapshot to go back to. Raises Refused when there is none."""
        snapshots = read_snapshots(self.asked.home)
        if not snapshots:
            message = f"{self.asked.home.where(JOURNAL)}: expected snapshots of {self.zone.name}, got none."
            raise Refused(message, next_command=self.asked.command("deploy"))
        to = self.asked.arguments.to
        if STATE.fullmatch(to):
            return self.by_state(to, snapshots)
        if to:
            return self.by_time(to, snapshots)
        releases = read_releases(self.asked.home, SERVICE)
        by_state = {snapshot.state: snapshot for snapshot in snapshots}
        if state == releases.rolled_back_to and state in by_state:
            return by_state[state]
        known = [one for one in releases.good if one in by_state and one != state]
        if not known:
            others = tuple(snapshot for snapshot in snapshots if snapshot.state != state)
            message = (
                f"{self.zone.name}: expected a verified state beside the present one, got none in "
                f"{self.asked.home.where(LEDGER)}. Not proven good: {_listed(others) or 'none'}."
            )
            again = f"{self.asked.again(others[-1].state)} --dry-run" if others else self.asked.command("deploy")
            raise Refused(message, next_command=again)
        return by_state[known[-1]]

    def by_state(self, to: str, snapshots: tuple[Snapshot, ...]) -> Snapshot:
        """Return the newest snapshot of the one state that begins so."""
        found = {snapshot.state: snapshot for snapshot in snapshots if snapshot.state.startswith(to)}
        if len(found) != 1:
            got = f"{len(found)} of them" if found else "none"
            message = f"--to={to}: expected one snapshot of {self.zone.name}, got {got}; known: {_listed(snapshots)}."
            raise Refused(message, next_command=self.asked.again())
        return found.popitem()[1]

    def by_time(self, to: str, snapshots: tuple[Snapshot, ...]) -> Snapshot:
        """Return the last snapshot that was taken by then. Raises PointRefused for what could mean two times."""
        settings = self.asked.settings
        asker = Asker(self.asked.clock(), settings.stack.contacts.time_zone, self.asked.again() + " --to=")
        point = parse(to, asker, reach=Reach.MICROSECOND)
        found = [snapshot for snapshot in snapshots if snapshot.at <= point.at.isoformat()]
        if not found:
            first = snapshots[0].at
            message = f"--to={to}: expected a time after the first snapshot of {self.zone.name}, which is of {first}."
            raise Refused(message, next_command=f"{self.asked.again(snapshots[0].state)} --dry-run")
        return found[-1]

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure."""
        home, clock = self.asked.home, self.asked.clock
        left = (quarantine(home, SERVICE, version=facts.state, to=facts.target, clock=clock),)
        return (
            keep_records(home, self.owned, clock=clock, name="records before"),
            *(left if facts.state != facts.target else ()),
            *((self.back(facts),) if facts.changes else ()),
            pin_release(
                self.asked.settings.file,
                SERVICE,
                version=facts.target,
                reason=self.asked.arguments.reason or f"rolled back from {facts.state}",
                declared=facts.declared,
                clock=clock,
            ),
            self.names(facts, facts.wanted, "names"),
            keep_records(home, self.owned, clock=clock, name="records after"),
            record_verified(home, SERVICE, version=given(facts.target), proofs=("names",), clock=clock),
        )

    def back(self, facts: Facts) -> Step:
        """Return the step that changes the records."""
        return bring_back(self.zone, self.owned, planned=facts.now, wanted=facts.wanted)

    def names(self, facts: Facts, records: tuple[Record, ...], name: str) -> Step:
        """Return the step that asks the name servers for every set that was to be changed; for all where none was."""
        keys = [record.key for record in (*facts.now, *facts.wanted) or facts.rest]
        every = (*records, *facts.rest)
        return names_answer(self.resolver, every, keys, next_command=self.asked.again(), name=name)

    def after_undo(self, facts: Facts) -> tuple[Step, ...]:
        """Return the step that proves that the former records are answered again."""
        return (self.names(facts, facts.now, "former names"),)

    def summary(self, facts: Facts) -> str:
        """Return one line for the operator."""
        what = f"{self.zone.name}: from {facts.state} back to {facts.target} of {facts.at[:19]} UTC"
        if not facts.changes:
            return f"{self.zone.name} is as {facts.target} already; make sure that it is pinned and answered"
        count, rest = len(facts.changes), len(facts.rest)
        return f"{what}: {count} records change, {rest} stay, in one transaction; pinned there"

    def shows(self, facts: Facts) -> tuple[str, ...]:
        """Return what is changed, a line each, and what the program must be told later."""
        lines = tuple(change.words() for change in facts.changes)
        made = sum(change.before is None for change in facts.changes)
        if not made:
            return lines
        told = (
            f"{made} made anew, with a new id: where the program declares such a record, its state names the old one "
            "until `invoke deploy.import` has taken it over."
        )
        return (*lines, told)


def _listed(snapshots: tuple[Snapshot, ...]) -> str:
    last: dict[str, Any] = {snapshot.state: snapshot.at[:19] for snapshot in snapshots}
    return ", ".join(f"{state} of {at} UTC" for state, at in list(last.items())[-LISTED:])
