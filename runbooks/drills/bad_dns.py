"""Drill: somebody changes and removes records by hand; the rollback book brings back what was verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks import rollback
from runbooks.clients.zone.resolver import Resolver
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.model.errors import NotSo
from runbooks.model.records import Change
from runbooks.steps.cloudflare.names import names_faults
from runbooks.steps.cloudflare.records import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from infra.stack import Stack
    from runbooks.drills.rig.scenario import Scene
    from runbooks.drills.rig.site import Site
    from runbooks.model.records import Record

NOTICE: Final = 5.0  # seconds for our own look to see it; the twin's name server answers from the records themselves
OTHERWISE: Final = {"A": "192.0.2.53", "AAAA": "2001:db8::53", "CNAME": "drill.invalid", "TXT": '"changed by hand"'}
"""What a record of each type says after it was changed: addresses and a name that lead nowhere (RFC 5737, 3849, 2606).
"""


@dataclass(frozen=True)
class BadDns:
    """The scenario."""

    name: str = "bad-dns"
    what: str = "records of the zone are changed and removed by hand; the rollback book brings back the verified ones"
    warm_seconds: float = 0.5

    def missing(self, stack: Stack) -> str:
        """Say that no record is ours."""
        there = stack.sites or stack.records
        return "" if there else "ems-ops:web is null and ems-ops:records is []: there is no record of ours to change"

    def break_it(self, scene: Scene) -> Broken:
        """Remove the record that leads to the site, or any, change another one, and look at the name server."""
        site = scene.stage.site
        stack = site.settings.stack
        zone, owned = zone_of(site.cloudflare, stack)
        records = owned()
        scene.watch.also = looks(site, records)
        if told := scene.watch.look().faults:
            message = f"before the fault: expected the names to be answered, got: {'; '.join(told)}"
            raise NotSo(message)
        broken = _broken(records, {web.host for web in stack.sites})
        at = utc_now()
        zone.change(broken)
        look = scene.watch.until_faulty(NOTICE)
        return Broken(
            trigger=f"somebody changed {stack.zone} by hand: {'; '.join(change.words() for change in broken)}",
            at=at,
            noticed_at=look.ended if look else None,
            noticed_by=look.faults if look else (),
        )

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Run the rollback book for the records."""
        stage = scene.stage
        site = stage.site
        reason = f"drill bad-dns: {broken.noticed_by[0]}"
        arguments = rollback.Arguments(service="dns", reason=reason)
        book = rollback.book(
            site.settings, site.cloudflare, site.edge, home=site.runner.home, arguments=arguments, clock=utc_now
        )
        with stage.phases.measured("bad-dns: rollback"):
            outcome = site.run(book, arguments, reason=reason)
        return Repaired(outcome=outcome)


def looks(site: Site, records: tuple[Record, ...]) -> Callable[[], list[str]]:
    """Return how to look at the name server for what these records say."""
    stack = site.settings.stack
    resolver = Resolver(stack.zone, stack.endpoints.resolver)
    keys = sorted({record.key for record in records})
    return lambda: [f"dns: {fault}" for fault in names_faults(resolver, records, keys)]


def _broken(records: tuple[Record, ...], hosts: Collection[str]) -> tuple[Change, ...]:
    """Return the removal of what leads to these hosts, or of any record, and a change of another where there is one."""
    gone = [record for record in records if record.name in hosts] if hosts else [*records[:1]]
    if not gone:
        message = f"{', '.join(hosts) or 'the zone'}: expected a record of ours, got none to remove"
        raise NotSo(message)
    others = [
        record for record in records if record.name not in hosts and record not in gone and record.type in OTHERWISE
    ]
    changed = [Change(one, msgspec.structs.replace(one, content=OTHERWISE[one.type])) for one in others[:1]]
    return (*(Change(before=record) for record in gone), *changed)
