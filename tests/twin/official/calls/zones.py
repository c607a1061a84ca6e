"""Zones: records, settings, signing, cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.twin.official.sdk import Sdk

RECORDS = "/zones/{zone}/dns_records"
CHANGED = {"name": "changed.example.com", "type": "A", "content": "192.0.2.9", "ttl": 300}


def batched(it: Sdk) -> object:
    """Delete, change, replace and create in one transaction."""
    gone, patched, replaced = it.record(), it.record(), it.record()
    return it.api.dns.records.batch(
        **it.z,
        deletes=[{"id": gone.id}],
        patches=[{"id": patched.id, "name": patched.name, "type": "A", "ttl": 600}],
        puts=[CHANGED | {"id": replaced.id, "name": "put.example.com"}],
        posts=[CHANGED | {"name": "posted.example.com"}],
    )


def routed(it: Sdk) -> str:
    """Create a route and return its id."""
    made = it.api.workers.routes.create(**it.z, pattern=f"example.com/{it.fresh('path')}/*", script=it.script)
    return str(made.id)


CASES: dict[str, Callable[[Sdk], object]] = {
    "GET /zones": lambda it: list(it.api.zones.list()),
    "GET /zones/{zone}": lambda it: it.api.zones.get(**it.z),
    "POST /zones": lambda it: it.api.zones.create(account={"id": it.account}, name=f"{it.fresh('zone')}.example"),
    "DELETE /zones/{zone}": lambda it: it.api.zones.delete(
        zone_id=it.api.zones.create(account={"id": it.account}, name=f"{it.fresh('zone')}.example").id
    ),
    "POST /zones/{zone}/purge_cache": lambda it: it.api.cache.purge(**it.z, purge_everything=True),
    "GET /zones/{zone}/settings/{setting}": lambda it: it.api.zones.settings.get("ssl", **it.z),
    "PATCH /zones/{zone}/settings/{setting}": lambda it: it.api.zones.settings.edit(
        "security_level", **it.z, value="high"
    ),
    "GET /zones/{zone}/pagerules": lambda it: it.api.page_rules.list(**it.z) == [],
    "GET /zones/{zone}/dnssec": lambda it: it.api.dns.dnssec.get(**it.z),
    "PATCH /zones/{zone}/dnssec": lambda it: it.api.dns.dnssec.edit(**it.z, status="active"),
    "DELETE /zones/{zone}/dnssec": lambda it: it.api.dns.dnssec.delete(**it.z) == "",
    f"GET {RECORDS}": lambda it: it.record() and list(it.api.dns.records.list(**it.z)),
    f"POST {RECORDS}": lambda it: it.record(),
    f"GET {RECORDS}/{{record}}": lambda it: it.api.dns.records.get(it.record().id, **it.z),
    f"PUT {RECORDS}/{{record}}": lambda it: it.api.dns.records.update(it.record().id, **it.z, **CHANGED),
    f"PATCH {RECORDS}/{{record}}": lambda it: it.api.dns.records.edit(
        it.record().id, **it.z, **CHANGED | {"name": "patched.example.com"}
    ),
    f"DELETE {RECORDS}/{{record}}": lambda it: it.api.dns.records.delete(it.record().id, **it.z),
    f"POST {RECORDS}/batch": batched,
    f"GET {RECORDS}/export": lambda it: it.record() and it.api.dns.records.export(**it.z),
    f"POST {RECORDS}/import": lambda it: it.api.dns.records.import_(**it.z, file="imported 300 IN A 192.0.2.5"),
    "GET /zones/{zone}/workers/routes": lambda it: routed(it) and list(it.api.workers.routes.list(**it.z)),
    "POST /zones/{zone}/workers/routes": routed,
    "GET /zones/{zone}/workers/routes/{route}": lambda it: it.api.workers.routes.get(routed(it), **it.z),
    "PUT /zones/{zone}/workers/routes/{route}": lambda it: it.api.workers.routes.update(
        routed(it), **it.z, pattern=f"example.com/{it.fresh('path')}/*", script=it.script
    ),
    "DELETE /zones/{zone}/workers/routes/{route}": lambda it: it.api.workers.routes.delete(routed(it), **it.z),
}
