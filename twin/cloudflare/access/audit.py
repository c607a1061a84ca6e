"""Show the audit log, in its first and its second version.

Sources: official SDK 5.9.0 (filters, shapes, `result_info.cursors.after`); public programs that read
`result_info.cursor`, so both are given. Codes of refusals and default sizes are not confirmed.
"""

from __future__ import annotations

import ipaddress
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from twin.cloudflare.access.trail import TRAIL
from twin.cloudflare.errors import ApiError, Json, number, ok, page
from twin.route import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

KEPT = timedelta(days=30)  # version 2; the first version keeps 18 months
PAGE, MOST = 100, 1000  # entries
FILTERS: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "audit_log_id": ("id",),
    "account_name": ("account", "name"),
    "action_result": ("action", "result"),
    "action_type": ("action", "type"),
    "actor_context": ("actor", "context"),
    "actor_email": ("actor", "email"),
    "actor_id": ("actor", "id"),
    "actor_ip_address": ("actor", "ip_address"),
    "actor_token_id": ("actor", "token_id"),
    "actor_token_name": ("actor", "token_name"),
    "actor_type": ("actor", "type"),
    "raw_cf_ray_id": ("raw", "cf_ray_id"),
    "raw_method": ("raw", "method"),
    "raw_status_code": ("raw", "status_code"),
    "raw_uri": ("raw", "uri"),
    "resource_id": ("resource", "id"),
    "resource_product": ("resource", "product"),
    "resource_scope": ("resource", "scope"),
    "resource_type": ("resource", "type"),
    "zone_id": ("zone", "id"),
    "zone_name": ("zone", "name"),
}
"""Where in an entry each filter looks: `name=value`, repeated for several, and `name.not=value`."""


def moment(text: str, name: str) -> datetime:
    """Return an RFC 3339 time, or the start (UTC) of a date; 400 for anything else."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(400, 10021, f"invalid {name} parameter: an RFC 3339 date or time is expected") from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when


def value_at(entry: Json, where: tuple[str, ...]) -> str:
    """Return one value of an entry as text; "" when it has none."""
    value: object = entry
    for key in where:
        value = value.get(key) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def within(request: web.Request, since: datetime, before: datetime) -> Iterator[Json]:
    """Yield the entries of a span of time, newest first unless `direction=asc`."""
    entries = request.app[TRAIL].entries
    ordered = entries if request.query.get("direction") == "asc" else reversed(entries)
    for entry in ordered:
        if since <= datetime.fromisoformat(entry["action"]["time"]) < before:
            yield entry


def passes(request: web.Request, entry: Json) -> bool:
    """Tell whether an entry passes all filters of version 2."""
    for name, where in FILTERS.items():
        wanted, unwanted = request.query.getall(name, []), request.query.getall(f"{name}.not", [])
        have = value_at(entry, where)
        if (wanted and have not in wanted) or have in unwanted:
            return False
    return True


async def listing(request: web.Request) -> web.Response:
    """List changes (version 2): since and before, 22 filters and their `.not`, direction, limit, cursor."""
    for name in ("since", "before"):
        if name not in request.query:
            raise ApiError(400, 10021, f"{name} is required")
    since, before = (moment(request.query[name], name) for name in ("since", "before"))
    since = max(since, datetime.now(UTC) - KEPT)
    rows = [entry for entry in within(request, since, before) if passes(request, entry)]
    start = after(request, rows)
    size = min(max(number(request, "limit", PAGE), 1), MOST)
    part = rows[start : start + size]
    more = start + size < len(rows)
    cursor = urlsafe_b64encode(part[-1]["id"].encode()).decode() if more else ""
    return ok(part, info={"count": len(part), "cursor": cursor, "cursors": {"after": cursor}})


def after(request: web.Request, rows: list[Json]) -> int:
    """Return where the cursor continues; 400 for one that was not given out."""
    cursor = request.query.get("cursor", "")
    if not cursor:
        return 0
    try:
        last = urlsafe_b64decode(cursor).decode()
        return [row["id"] for row in rows].index(last) + 1
    except ValueError:
        raise ApiError(400, 10021, "invalid cursor parameter") from None


def first_version(entry: Json, account: str) -> Json:
    """Return an entry in the audit log's first form. Values before and after are not kept: they may be secret."""
    actor, raw = entry["actor"], entry["raw"]
    return {
        "id": entry["id"],
        "action": {"result": True, "type": entry["action"]["type"]},
        "actor": {"id": actor["id"], "email": actor["email"], "ip": actor["ip_address"], "type": "user"},
        "interface": "API",
        "metadata": {
            "description": entry["action"]["description"],
            "method": raw["method"],
            "uri": raw["uri"],
            "ray_id": raw["cf_ray_id"],
            "token_id": actor.get("token_id"),
            "token_name": actor.get("token_name"),
            "zone_name": (entry["zone"] or {}).get("name"),
        },
        "newValue": "",
        "oldValue": "",
        "owner": {"id": account},
        "resource": {"id": entry["resource"]["id"], "type": entry["resource"]["type"]},
        "when": entry["action"]["time"],
    }


def fits(request: web.Request, entry: Json) -> bool:
    """Tell whether an entry passes the filters of the first version."""
    wanted = {
        "id": ("id",),
        "action.type": ("action", "type"),
        "actor.email": ("actor", "email"),
        "zone.name": ("zone", "name"),
    }
    if any(name in request.query and value_at(entry, at) != request.query[name] for name, at in wanted.items()):
        return False
    if "actor.ip" not in request.query:
        return True
    try:
        network = ipaddress.ip_network(request.query["actor.ip"], strict=False)
    except ValueError:
        raise ApiError(400, 10021, "invalid actor.ip parameter") from None
    return ipaddress.ip_address(entry["actor"]["ip_address"]) in network


async def first_listing(request: web.Request) -> web.Response:
    """List changes (version 1): since, before, actor.email, actor.ip, action.type, zone.name, direction, paging."""
    since = moment(request.query.get("since", "1970-01-01"), "since")
    before = moment(request.query.get("before", "9999-12-31"), "before")
    rows = [entry for entry in within(request, since, before) if fits(request, entry)]
    part, info = page(request, rows, per_page=100, most=1000)
    account = request.match_info["account"]
    return ok([first_version(entry, account) for entry in part], info=info)


ROUTES = (
    Route("GET", "/accounts/{account}/logs/audit", listing, "official SDK 5.9.0", checked="2026-11-28"),
    Route("GET", "/accounts/{account}/audit_logs", first_listing, "official SDK 5.9.0", checked="2026-11-28"),
)
