"""Answer a program's look-ups, `cloudflare.get_zone` and such, as the provider does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twin.apply.errors import ApplyError
from twin.apply.provider.naming import snake, to_outputs

if TYPE_CHECKING:
    from twin.apply.provider.wire import Wire

ZONE: Final = "cloudflare:index/getZone:getZone"


def call(wire: Wire, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what a function returns; raise ApplyError for one that is not known, or finds nothing."""
    if token != ZONE:
        message = f"{token} is not answered yet: add it to twin/apply/provider/functions.py"
        raise ApplyError(message)
    zone_id = arguments.get("zoneId") or _find_zone(wire, arguments.get("filter") or {})
    zone = to_outputs(wire.call("GET", f"/zones/{zone_id}"))
    return {**arguments, **zone, "id": zone_id, "zoneId": zone_id}


def _find_zone(wire: Wire, asked: dict[str, Any]) -> str:
    query = {snake(name): str(value) for name, value in asked.items() if not isinstance(value, dict | list)}
    query |= {f"account.{name}": str(value) for name, value in (asked.get("account") or {}).items()}
    found = list(wire.walk("/zones", dict(sorted(query.items()))))
    if len(found) != 1:
        said = ", ".join(f"{name} {value}" for name, value in query.items() if name != "match")
        message = f"{ZONE}: expected one zone with {said}, got {len(found)}"
        raise ApplyError(message)
    return str(found[0]["id"])
