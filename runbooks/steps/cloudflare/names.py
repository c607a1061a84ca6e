"""Names as the zone's own name servers answer them, compared with what the records say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.clients.zone.resolver import spelled
from runbooks.model.records import AUTOMATIC, Record
from runbooks.steps.cloudflare.edge import PROPAGATION, Proof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runbooks.clients.zone.resolver import Answered, Resolver
    from runbooks.engine.step import Evidence, Sight, Step

ADDRESSES: Final = ("A", "AAAA", "CNAME")
"""Types that can lead to the edge: a proxied one answers with addresses of Cloudflare's own."""
PIECE: Final = 255  # bytes of one piece of a text record

Key = tuple[str, str]


def names_answer(
    resolver: Resolver,
    records: tuple[Record, ...],
    keys: Iterable[Key],
    *,
    next_command: str | None,
    within: float = PROPAGATION,
    name: str = "names",
) -> Step:
    """Return the step that proves at the zone's name servers that each (name, type) says what `records` say.

    `records` are all of the zone that is ours; a key that none of them has must have no answer.
    """
    wanted = tuple(dict.fromkeys(keys))

    def look(_sight: Sight) -> tuple[list[str], Evidence]:
        told = names_faults(resolver, records, wanted)
        return told, {"asked": len(wanted), "servers": _servers(resolver)}

    title = f"ask the name servers of {resolver.zone} for {len(wanted)} sets of records"
    return Proof(look, within, next_command).step(name, title)


def names_stand(
    resolver: Resolver,
    owned: Callable[[], tuple[Record, ...]],
    names: Iterable[str],
    *,
    hosts: Iterable[str],
    next_command: str | None,
    within: float = PROPAGATION,
    name: str = "names",
) -> Step:
    """Return the step that proves at the zone's name servers that `names` say what their records say now.

    `hosts` lead to the edge, also where that is no record of ours: a Worker's host has its own from Cloudflare.
    """
    reached = frozenset(hosts)
    asked = frozenset(names) | reached

    def look(_sight: Sight) -> tuple[list[str], Evidence]:
        records = owned()
        keys = sorted({record.key for record in records if record.name in asked})
        bare = sorted(reached - {name for name, kind in keys if kind in ADDRESSES})
        told = [*names_faults(resolver, records, keys), *(fault for host in bare if (fault := _led(resolver, host)))]
        return told, {"asked": len(keys) + len(bare), "servers": _servers(resolver)}

    title = f"ask the name servers of {resolver.zone} for {len(asked)} names"
    return Proof(look, within, next_command).step(name, title)


def names_faults(resolver: Resolver, records: tuple[Record, ...], keys: Iterable[Key]) -> list[str]:
    """Return what the name servers say otherwise than the records, a line each. Raises Unreachable."""
    return [fault for key in keys if (fault := _fault(resolver, records, key))]


def _fault(resolver: Resolver, records: tuple[Record, ...], key: Key) -> str:
    name, kind = key
    here = [record for record in records if record.name == name]
    want = [record for record in here if record.type == kind]
    if kind in ADDRESSES and any(r.proxied or _flattened(r, resolver.zone) for r in here if r.type in ADDRESSES):
        return _led(resolver, name)
    if not want and any(record.type == kind and _covers(record.name, name) for record in records):
        return ""  # a wildcard may answer in its place
    return _otherwise(key, want, resolver.ask(name, kind))


def _led(resolver: Resolver, host: str) -> str:
    """Return what is wrong where a host does not lead to the edge."""
    told = resolver.ask(host, "A")
    return "" if told.texts else f"{host} A at {told.server}: expected addresses of the edge, got nothing"


def _otherwise(key: Key, want: list[Record], told: Answered) -> str:
    """Return how an answer differs from a set of records."""
    texts = {spelled(record.type, zone_text(record)) for record in want}
    what = f"{key[0]} {key[1]} at {told.server}"
    if None in texts:  # a text that we cannot spell is only known to be there
        return "" if told.texts else f"{what}: expected an answer, got nothing"
    expected = {text for text in texts if text is not None}
    if expected != told.texts:
        return f"{what}: expected {_list(expected)}, got {_list(told.texts)}"
    seconds = {record.ttl for record in want}
    if len(seconds) == 1 and AUTOMATIC not in seconds and told.seconds not in seconds:
        return f"{what}: expected a time to live of {seconds.pop()} s, got {told.seconds}"
    return ""


def zone_text(record: Record) -> str:
    """Return a record's data as a zone file has it."""
    content, data = record.content, record.data or {}
    match record.type:
        case "CAA" if data:
            return f'{int(data["flags"])} {data["tag"]} "{data["value"]}"'
        case "SRV" if data:
            return f"{int(data['priority'])} {int(data['weight'])} {int(data['port'])} {_dotted(str(data['target']))}"
        case "MX" | "URI" as kind:  # the priority stands beside the content
            return f"{record.priority or 0} {_dotted(content) if kind == 'MX' else content}"
        case "CNAME" | "NS" | "PTR":
            return _dotted(content)
        case "TXT" if not content.startswith('"'):
            pieces = [content[at : at + PIECE] for at in range(0, len(content), PIECE)] or [""]
            return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
        case _:
            return content


def _flattened(record: Record, zone: str) -> bool:
    """Tell whether a CNAME is answered by the addresses of its target: at the apex always."""
    return record.type == "CNAME" and (record.name == zone or bool((record.settings or {}).get("flatten_cname")))


def _covers(wildcard: str, name: str) -> bool:
    return wildcard.startswith("*.") and name.endswith(wildcard[1:]) and name != wildcard


def _dotted(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _list(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts)) or "nothing"


def _servers(resolver: Resolver) -> str:
    return ", ".join(f"{host}:{port}" for host, port in resolver.servers)
