"""Keep a zone's rulesets and settings: they are stored and read back; the edge does not act on them.

Codes and texts of refusals are not confirmed against the provider, except where a fact says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.collection import RECORDED, Collection, Rows
from twin.cloudflare.errors import ApiError, Json, ok, read, required
from twin.cloudflare.store import changed, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

PHASES = frozenset(
    {
        "http_request_firewall_custom",
        "http_request_firewall_managed",
        "http_ratelimit",
        "http_request_cache_settings",
        "http_request_dynamic_redirect",
        "http_custom_errors",
        "http_response_headers_transform",
    }
)
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


def build_ruleset(sent: Json, rows: Rows, own: str) -> Json:
    """Return a checked ruleset; a zone has one for each phase."""
    required(sent, "name", "kind", "phase")
    if sent["phase"] not in PHASES:
        raise ApiError(400, 20023, f"unknown phase {sent['phase']!r}")
    if any(row["phase"] == sent["phase"] and row["id"] != own for row in rows.values()):
        raise ApiError(400, 20217, f"exceeded maximum number of zone rulesets for phase {sent['phase']}")
    for rule in sent.get("rules") or []:
        required(rule, "action", "expression")
        if sent["phase"] == "http_ratelimit" and not rule.get("ratelimit"):
            raise ApiError(400, 20120, "a rule of this phase needs ratelimit")
    rules = [
        {"id": object_id(), "version": "1", "ref": object_id(), "enabled": True} | rule
        for rule in sent.get("rules") or []
    ]
    kept = {name: sent[name] for name in ("name", "kind", "phase")}
    return {**kept, "description": sent.get("description", ""), "rules": rules, "version": "1", "last_updated": now()}


RULESETS = Collection(
    kind="ruleset",
    path="/zones/{zone}/rulesets",
    key="rulesets",
    gone=(10001, "could not find ruleset"),
    build=build_ruleset,
)


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
    return ok(changed_to)


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
    *RULESETS.routes(),
    Route("GET", "/zones/{zone}/settings/{setting}", get_setting, RECORDED),
    Route("PATCH", "/zones/{zone}/settings/{setting}", patch_setting, RECORDED),
    Route("GET", "/zones/{zone}/dnssec", get_dnssec, RECORDED),
    Route("PATCH", "/zones/{zone}/dnssec", patch_dnssec, RECORDED),
    Route("DELETE", "/zones/{zone}/dnssec", delete_dnssec, RECORDED),
)
