"""Keep a zone's settings. The edge acts on `development_mode` (its cache is left out) and on no other.

It has no TLS, so `always_use_https`, `ssl` and the like are only stored and read back.

Codes and texts of refusals are not confirmed against the provider, except where a fact says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.collection import RECORDED
from twin.cloudflare.errors import ApiError, Json, ok, read, required
from twin.cloudflare.store import changed, now, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

SETTINGS: Json = {
    "always_use_https": "off",
    "automatic_https_rewrites": "on",
    "development_mode": "off",
    "min_tls_version": "1.0",
    "security_level": "medium",
    "ssl": "full",
    "tls_1_3": "on",
}
"""What can be set, and what a new zone has."""

STORED = "kept, not applied: the edge of the twin has no TLS and acts on development_mode only"


def setting(request: web.Request) -> Json:
    """Return a setting of a zone; 400 for one that there is not."""
    name = request.match_info["setting"]
    if name not in SETTINGS:
        raise ApiError(400, 1003, f"Undefined zone setting: {name}")
    kept: Json = store_of(request).zone(request.match_info["zone"]).get("settings", {})
    changed_here: Json = kept.get(name, {})
    return {"id": name, "value": SETTINGS[name], "editable": True, "modified_on": None} | changed_here


async def get_setting(request: web.Request) -> web.Response:
    """Show a setting."""
    return ok(setting(request))


async def patch_setting(request: web.Request) -> web.Response:
    """Change a setting."""
    now_is, body = setting(request), await read(request)
    required(body, "value")
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
    Route("GET", "/zones/{zone}/settings/{setting}", get_setting, RECORDED),
    Route("PATCH", "/zones/{zone}/settings/{setting}", patch_setting, RECORDED),
    Route("GET", "/zones/{zone}/dnssec", get_dnssec, RECORDED),
    Route("PATCH", "/zones/{zone}/dnssec", patch_dnssec, RECORDED),
    Route("DELETE", "/zones/{zone}/dnssec", delete_dnssec, RECORDED),
)
