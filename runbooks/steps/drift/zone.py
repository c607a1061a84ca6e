"""The DNS zone: its records, what guards it, its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.stack import Record
from runbooks.model.account import Difference, Kind
from runbooks.steps.drift.difference import differs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.shapes import Protection
    from runbooks.clients.account import Account
    from runbooks.model import account as there

MANAGED: Final = "http_request_firewall_managed"
FIREWALL: Final = "http_request_firewall_custom"
RATES: Final = "http_ratelimit"
CACHE: Final = "http_request_cache_settings"
REMOVE: Final = "declare it in ems-ops:records, or remove it"


def record_drift(
    account: Account, records: tuple[Record, ...], *, aliases: Mapping[str, str | None]
) -> Iterator[Difference]:
    """Yield records that are missing, changed or foreign; `aliases` are where the sites' hosts must point, if known."""
    declared = list(records)
    for host, target in aliases.items():
        if target:
            declared.append(Record(name=host, type="CNAME", ttl=1, content=target, proxied=True))
    unknown = {(host, "CNAME") for host, target in aliases.items() if not target}
    left = [record for record in account.records() if not record.meta.get("read_only")]
    waiting: list[Record] = []
    for record in declared:
        same = next((one for one in left if _key(one) == _key(record) and _content(one) == _content(record)), None)
        if same is None:
            waiting.append(record)
        else:
            left.remove(same)
            yield from _compared(record, same)
    for record in waiting:
        other = next((one for one in left if _key(one) == _key(record)), None)
        if other is None:
            what = f"{record.type} {record.name}"
            yield Difference(
                "records", what, Kind.MISSING, _text(record), "none", "invoke deploy", "", ("dns_records",)
            )
        else:
            left.remove(other)
            yield from _compared(record, other)
    for one in left:
        if _key(one) not in unknown:
            trail = (one.id, f"dns_records/{one.id}", "dns_records")
            yield Difference(
                "records", f"{one.type} {one.name}", Kind.FOREIGN, "none", _text(one), REMOVE, one.id, trail
            )


def protection_drift(account: Account, protection: Protection) -> Iterator[Difference]:
    """Yield rules and settings that are not as declared."""
    for name, value in protection.settings.items():
        yield from differs("zone settings", name, value, account.setting(name), trail=(f"settings/{name}",))
    if protection.dnssec:
        yield from differs("zone settings", "dnssec", "active", account.dnssec(), trail=(f"{account.zone}/dnssec",))
    rulesets = {ruleset.phase: ruleset for ruleset in account.rulesets()}
    for phase, rules in _declared(protection).items():
        ruleset = rulesets.get(phase)
        trail = (f"rulesets/{ruleset.id}", ruleset.id, "rulesets") if ruleset else ("rulesets",)
        found = {rule.description or rule.expression: _rule(rule) for rule in ruleset.rules} if ruleset else {}
        for name in {**rules, **found}:
            yield from _rules(phase, name, rules.get(name), found.get(name), trail)


def _rules(
    phase: str, name: str, expected: dict[str, Any] | None, found: dict[str, Any] | None, trail: tuple[str, ...]
) -> Iterator[Difference]:
    if expected is None:
        yield Difference("rules", f"{phase} {name}", Kind.FOREIGN, "none", str(found), "", "", trail)
        return
    yield from differs("rules", f"{phase} {name}", expected, found, trail=trail)


def _declared(protection: Protection) -> dict[str, dict[str, dict[str, Any]]]:
    """Return by phase and name what is compared of each rule."""
    known_attacks = {"managed": {"action": "execute", "expression": "true"}}
    return {
        MANAGED: known_attacks if protection.managed else {},
        FIREWALL: {r.name: {"action": r.action, "expression": r.expression} for r in protection.firewall},
        RATES: {
            r.name: {
                "action": "block",
                "expression": r.expression,
                "requests": r.requests,
                "period": r.period_seconds,
                "block": r.block_seconds,
            }
            for r in protection.rate_limits
        },
        CACHE: {
            r.name: {"action": "set_cache_settings", "expression": r.expression, "seconds": r.seconds}
            for r in protection.cache
        },
    }


def _rule(rule: there.Rule) -> dict[str, Any]:
    """Return of a rule what is compared; a rule that is off says so."""
    seen: dict[str, Any] = {"action": rule.action, "expression": rule.expression}
    if rule.ratelimit:
        limit = rule.ratelimit
        seen |= {"requests": limit.get("requests_per_period"), "period": limit.get("period")}
        seen["block"] = limit.get("mitigation_timeout")
    ttl = (rule.action_parameters or {}).get("edge_ttl")
    if ttl:
        seen["seconds"] = ttl.get("default")
    return seen if rule.enabled else {**seen, "enabled": False}


def _compared(expected: Record, found: there.Record) -> Iterator[Difference]:
    yield from differs(
        "records",
        f"{found.type} {found.name}",
        _text(expected),
        _text(found),
        trail=(found.id, f"dns_records/{found.id}"),
        id_=found.id,
    )


def _key(record: Record | there.Record) -> tuple[str, str]:
    return record.name.rstrip(".").lower(), record.type


def _content(record: Record | there.Record) -> str:
    """Return the content as it is compared: numbers as numbers, quotes around text do not count."""
    if record.data:
        return " ".join(f"{key}={_plain(value)}" for key, value in sorted(record.data.items()))
    return (record.content or "").strip('"').rstrip(".")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _text(record: Record | there.Record) -> str:
    parts = [_content(record), f"ttl {record.ttl:g}", "proxied" if record.proxied else "not proxied"]
    if record.priority is not None and "priority" not in (record.data or {}):  # of SRV the provider shows both
        parts.append(f"priority {record.priority:g}")
    return ", ".join([*parts, *([record.comment] if record.comment else [])])
