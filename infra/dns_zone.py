"""Find the DNS zone by its name and declare its records: the stack file's own, and aliases of the services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_cloudflare as cloudflare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.stack import Record, Stack


def find_zone(stack: Stack) -> pulumi.Output[str]:
    """Return the id of the stack's zone. The zone itself is nobody's to create or delete here."""
    found = cloudflare.get_zone_output(filter={"name": stack.zone, "account": {"id": stack.account}, "match": "all"})
    return found.id


class DnsZone(pulumi.ComponentResource):
    """The records of the zone. A Worker's custom domain makes its record by itself."""

    def __init__(
        self,
        name: str,
        *,
        zone_id: pulumi.Input[str],
        records: tuple[Record, ...],
        aliases: Mapping[str, pulumi.Input[str]],
    ) -> None:
        """Declare `records`, and a proxied CNAME for each host → target of `aliases`."""
        super().__init__("ems-ops:infra:DnsZone", name)
        options = pulumi.ResourceOptions(parent=self)
        for suffix, record in _told_apart(records):
            declared = cloudflare.DnsRecordArgs(
                zone_id=zone_id,
                name=record.name,
                type=record.type,
                ttl=record.ttl,
                content=record.content,
                data=_structured(record),
                priority=_priority(record),
                proxied=record.proxied,
                comment=record.comment,
            )
            cloudflare.DnsRecord(f"{name}-{suffix}", declared, opts=options)
        for host, target in aliases.items():
            cloudflare.DnsRecord(
                f"{name}-alias-{host}",
                zone_id=zone_id,
                name=host,
                type="CNAME",
                content=target,
                ttl=1,  # automatic: the only one that the provider accepts for a proxied record
                proxied=True,
                opts=options,
            )
        self.register_outputs({})


def _told_apart(records: tuple[Record, ...]) -> Iterator[tuple[str, Record]]:
    """Yield a name for each record that stays when others come and go: type and host, numbered from the second."""
    seen: dict[str, int] = {}
    for record in records:
        key = f"{record.type.lower()}-{record.name}"
        seen[key] = seen.get(key, 0) + 1
        yield (key if seen[key] == 1 else f"{key}-{seen[key]}"), record


def _priority(record: Record) -> float | None:
    """Return what stands beside the content: of SRV too, as the API shows it there whoever sent it only in `data`."""
    told: float | None = (record.data or {}).get("priority") if record.type == "SRV" else None
    return told if record.priority is None else record.priority


def _structured(record: Record) -> cloudflare.DnsRecordDataArgs | None:
    """Turn `data` into the provider's; raise RunError for a field that no record has."""
    try:
        return cloudflare.DnsRecordDataArgs(**record.data) if record.data else None
    except TypeError as error:
        message = f"ems-ops:records: {record.type} {record.name}: data: {error}"
        raise pulumi.RunError(message) from None
