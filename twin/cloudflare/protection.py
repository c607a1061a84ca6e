"""Keep a zone's settings. The edge acts on `development_mode` (its cache is left out) and on no other.

It has no TLS, so `always_use_https`, `ssl` and the like are only stored and read back.

Codes and texts of refusals are not confirmed against the provider, except where a fact says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.collection import RECORDED
from twin.cloudflare.errors import ApiError, Json, objects, ok, read, required
from twin.cloudflare.store import changed, now, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

ON = (
    *("0rtt", "always_online", "always_use_https", "automatic_https_rewrites", "brotli", "browser_check"),
    *("development_mode", "early_hints", "email_obfuscation", "hotlink_protection", "http3", "ip_geolocation", "ipv6"),
    *("opportunistic_encryption", "opportunistic_onion", "rocket_loader", "server_side_exclude", "tls_client_auth"),
    "websockets",
)
"""What is either on or off."""
AT_FIRST_ON = frozenset(
    (
        *("automatic_https_rewrites", "brotli", "browser_check", "email_obfuscation", "http3", "ip_geolocation"),
        *("ipv6", "opportunistic_encryption", "opportunistic_onion", "server_side_exclude", "websockets"),
    )
)
CHOICES: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(ON, ("on", "off")),
    "cache_level": ("aggressive", "basic", "simplified"),
    "min_tls_version": ("1.0", "1.1", "1.2", "1.3"),
    "pseudo_ipv4": ("off", "add_header", "overwrite_header"),
    "security_level": ("off", "essentially_off", "low", "medium", "high", "under_attack"),
    "ssl": ("off", "flexible", "full", "strict", "origin_pull"),
    "tls_1_3": ("on", "off", "zrt"),
}
"""What each setting can be; those of `SETTINGS` that are not here take whatever is of their kind."""
SETTINGS: Json = {
    **{name: "on" if name in AT_FIRST_ON else "off" for name in ON},
    "browser_cache_ttl": 14400,
    "cache_level": "aggressive",
    "challenge_ttl": 1800,
    "ciphers": [],
    "min_tls_version": "1.0",
    "pseudo_ipv4": "off",
    "security_header": {
        "strict_transport_security": {
            "enabled": False,
            "max_age": 0,
            "include_subdomains": False,
            "preload": False,
            "nosniff": False,
        }
    },
    "security_level": "medium",
    "ssl": "full",
    "tls_1_3": "on",
}
"""What can be set, and what a new zone has: settings of the Free plan, from the API's documentation."""

STORED = "kept, not applied: the edge of the twin has no TLS and acts on development_mode only"


def setting(request: web.Request) -> Json:
    """Return a setting of a zone; 400 for one that there is not."""
    name = request.match_info["setting"]
    if name not in SETTINGS:
        raise ApiError(400, 1003, f"Undefined zone setting: {name}")
    kept: Json = store_of(request).zone(request.match_info["zone"]).get("settings", {})
    return shown(kept, name)


def shown(kept: Json, name: str) -> Json:
    """Return a setting as the API shows it."""
    changed_here: Json = kept.get(name, {})
    return {"id": name, "value": SETTINGS[name], "editable": True, "modified_on": None} | changed_here


async def get_setting(request: web.Request) -> web.Response:
    """Show a setting."""
    return ok(setting(request))


def check_value(name: str, value: object) -> None:
    """Refuse a value that a setting does not take: 1007."""
    allowed = CHOICES.get(name)
    fits = value in allowed if allowed and isinstance(value, str) else type(value) is type(SETTINGS[name])
    if not fits or (allowed and not isinstance(value, str)):
        raise ApiError(400, 1007, f"Invalid value for zone setting {name}")


async def list_settings(request: web.Request) -> web.Response:
    """List every setting of a zone."""
    kept: Json = store_of(request).zone(request.match_info["zone"]).get("settings", {})
    return ok([shown(kept, name) for name in sorted(SETTINGS)])


async def patch_settings(request: web.Request) -> web.Response:
    """Change several settings, all or none: `{"items": [{"id", "value"}]}`."""
    zone = store_of(request).zone(request.match_info["zone"])
    rows = objects((await read(request)).get("items"), "items", code=1006)
    for row in rows:
        if row.get("id") not in SETTINGS:
            raise ApiError(400, 1003, f"Undefined zone setting: {row.get('id')}")
        check_value(row["id"], row.get("value"))
    kept = zone.setdefault("settings", {})
    for row in rows:
        kept[row["id"]] = shown(kept, row["id"]) | {"value": row["value"], "modified_on": now()}
    changed(request, f"settings changed: {', '.join(row['id'] for row in rows)}")
    return ok([kept[row["id"]] for row in rows], messages=[{"code": 501, "message": STORED}])


async def patch_setting(request: web.Request) -> web.Response:
    """Change a setting."""
    now_is, body = setting(request), await read(request)
    required(body, "value")
    check_value(now_is["id"], body["value"])
    changed_to = now_is | {"value": body["value"], "modified_on": now()}
    zone = store_of(request).zone(request.match_info["zone"])
    zone.setdefault("settings", {})[now_is["id"]] = changed_to
    changed(request, f"setting {now_is['id']} changed")
    acts = now_is["id"] == "development_mode"
    return ok(changed_to, messages=[] if acts else [{"code": 501, "message": STORED}])


async def get_dnssec(request: web.Request) -> web.Response:
    """Show whether answers are signed."""
    zone = store_of(request).zone(request.match_info["zone"])
    return ok({"status": zone.get("dnssec", "disabled"), "modified_on": now()})


async def patch_dnssec(request: web.Request) -> web.Response:
    """Ask for signing or for its end: the twin says so, its name server does not sign."""
    zone, body = store_of(request).zone(request.match_info["zone"]), await read(request)
    if body.get("status") not in {"active", "disabled"}:
        raise ApiError(400, 1004, "status must be active or disabled")
    zone["dnssec"] = body["status"]
    changed(request, f"DNSSEC {body['status']}")
    return ok({"status": body["status"], "modified_on": now()})


async def delete_dnssec(request: web.Request) -> web.Response:
    """Forget the keys."""
    store_of(request).zone(request.match_info["zone"])["dnssec"] = "disabled"
    changed(request, "DNSSEC keys deleted")
    return ok("")


ROUTES = (
    Route("GET", "/zones/{zone}/settings", list_settings, "API documentation", "2026-11-28"),
    Route("PATCH", "/zones/{zone}/settings", patch_settings, "API documentation", "2026-11-28"),
    Route("GET", "/zones/{zone}/settings/{setting}", get_setting, RECORDED),
    Route("PATCH", "/zones/{zone}/settings/{setting}", patch_setting, RECORDED),
    Route("GET", "/zones/{zone}/dnssec", get_dnssec, RECORDED),
    Route("PATCH", "/zones/{zone}/dnssec", patch_dnssec, RECORDED),
    Route("DELETE", "/zones/{zone}/dnssec", delete_dnssec, RECORDED),
)
