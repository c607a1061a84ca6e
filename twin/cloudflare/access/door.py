"""Decide who may come in: the header, the token behind it, its state and place, then what it may do.

Sources: facts of 2026-11-23 (6003/6111, 10000, 9109), public issues ("from location", 1001). Unconfirmed: what a
disabled or expired token is told outside of `verify`, where it is taken for one that there is not.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from twin.cloudflare.access import permissions
from twin.cloudflare.access.trail import TOKEN
from twin.cloudflare.errors import ApiError, Json
from twin.cloudflare.store import now, store_of

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.access.permissions import Need
    from twin.cloudflare.store import Store

BASE = "/client/v4"
FORM = re.compile(r"^Bearer [0-9A-Za-z_.\-]{40,}$")
NO_ACCESS = "Unauthorized to access requested resource"


def digest(value: str) -> str:
    """Return what is kept of a token's value."""
    return hashlib.sha256(value.encode()).hexdigest()


def own(store: Store) -> Json:
    """Return the twin's own token: it may do everything, for ever, and stands in no list."""
    return {"id": store.data["token"], "name": "twin", "owner": "both", "status": "active"}


def identify(request: web.Request) -> Json | None:
    """Return the token that a call was made with; None when there is none like it."""
    store, value = store_of(request), request.headers.get("Authorization", "").removeprefix("Bearer ")
    right = store.home.tokens.get("CLOUDFLARE_API_TOKEN", "")
    if right and hmac.compare_digest(value.encode(), right.encode()):
        return own(store)
    kept = digest(value)
    rows: list[Json] = list(store.data["tokens"].values())
    return next((row for row in rows if hmac.compare_digest(row["digest"], kept)), None)


def status(token: Json) -> str:
    """Return what `verify` says of a token: active, disabled or expired."""
    ends = token.get("expires_on")
    return "expired" if ends and datetime.fromisoformat(ends) <= datetime.now(UTC) else str(token["status"])


def usable(token: Json | None) -> bool:
    """Tell whether a token is good now."""
    if token is None or status(token) != "active":
        return False
    begins = token.get("not_before")
    return not begins or datetime.fromisoformat(begins) <= datetime.now(UTC)


def admit(request: web.Request, token: Json | None) -> None:
    """Refuse a call without a token (9106), with a malformed one (6003/6111), a wrong one, or one that may not."""
    header = request.headers.get("Authorization")
    if header is None:
        raise ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    if not FORM.match(header):
        chain = [{"code": 6111, "message": "Invalid format for Authorization header"}]
        raise ApiError(400, 6003, "Invalid request headers", error_chain=chain)
    verifying = request.path.endswith("/tokens/verify")
    if token is None or not (verifying or usable(token)):
        if verifying:
            raise ApiError(401, 1000, "Invalid API Token")
        if request.path.startswith(BASE + "/zones"):
            raise ApiError(403, 9109, "Invalid access token")
        raise ApiError(403, 10000, "Authentication error")
    check_place(token, request.remote or "")
    request[TOKEN] = token
    token["last_used_on"] = now()  # kept with the next change
    check_account(request)
    route = request.match_info.route.resource
    path = route.canonical.removeprefix(BASE) if route is not None else ""
    if "{tail}" not in path:
        check_permission(request, token, permissions.need_of(path))


def check_place(token: Json, remote: str) -> None:
    """Refuse a token outside of the addresses it is bound to."""
    bound: Json = (token.get("condition") or {}).get("request_ip") or {}
    address = ipaddress.ip_address(remote) if bound else None
    allowed, refused = bound.get("in") or [], bound.get("not_in") or []
    inside = not allowed or any(address in ipaddress.ip_network(one) for one in allowed)
    if not inside or any(address in ipaddress.ip_network(one) for one in refused):
        raise ApiError(403, 9109, f"Cannot use the access token from location: {remote}")


def check_account(request: web.Request) -> None:
    """Refuse another account than the one there is."""
    account = request.match_info.get("account")
    if account is not None and account != store_of(request).account:
        if not re.fullmatch(r"[0-9a-f]{32}", account):
            raise ApiError(404, 7003, f"Could not route to {request.path}, perhaps your object identifier is invalid?")
        raise ApiError(403, 10000, "Authentication error")


def check_permission(request: web.Request, token: Json, need: Need | None) -> None:
    """Refuse what the token was not made for: 9109 on zones, 10000 elsewhere."""
    if token["owner"] == "both" or (need is not None and need.scope == permissions.OPEN):
        return
    if need is not None and need.scope == permissions.USER and token["owner"] != "user":
        raise ApiError(403, 9109, "Valid user-level authentication not found")
    have = granted(request, token, need.scope) if need is not None else frozenset()
    names = need.names(request.method) if need is not None else ()
    if not have or (names and have.isdisjoint(names)):
        raise refusal(request)


def demand(request: web.Request, *names: str) -> None:
    """Refuse a call on a zone unless its token has one of these groups there: for what only the body tells."""
    token = request[TOKEN]
    if token["owner"] != "both" and granted(request, token, permissions.ZONE).isdisjoint(names):
        raise refusal(request)


def refusal(request: web.Request) -> ApiError:
    """Return the refusal of a call that the token was not made for."""
    zone = request.path.startswith(BASE + "/zones")
    return ApiError(403, 9109, NO_ACCESS) if zone else ApiError(403, 10000, "Authentication error")


def granted(request: web.Request, token: Json, scope: str) -> frozenset[str]:
    """Return the permission groups of a token on the zone, account or user that the call is about."""
    store = store_of(request)
    target = {
        permissions.ACCOUNT: store.account,
        permissions.ZONE: request.match_info.get("zone", ""),
        permissions.USER: store.data["user"],
    }[scope]
    return on(store, token, scope, target)


def on(store: Store, token: Json, scope: str, target: str) -> frozenset[str]:
    """Return the permission groups of a token on one zone, account or user: those allowed less those denied."""
    found: dict[str, set[str]] = {"allow": set(), "deny": set()}
    for policy in token["policies"]:
        if covers(policy["resources"], scope, target, store.account):
            groups = (permissions.GROUPS[one["id"]] for one in policy["permission_groups"])
            found[policy["effect"]] |= {group.name for group in groups if group.scope == scope}
    return frozenset(found["allow"] - found["deny"])


def covers(resources: Json, scope: str, target: str, account: str) -> bool:
    """Tell whether a policy's resources name the target: by id, by `*`, or a zone within its account."""
    wanted = (f"{scope}.{target}", f"{scope}.*")
    if any(resources.get(key) == "*" for key in wanted):
        return True
    inner = resources.get(f"{permissions.ACCOUNT}.{account}")
    return isinstance(inner, dict) and any(inner.get(key) == "*" for key in wanted)


def inside(request: web.Request) -> bool:
    """Tell whether the call's token may do anything in the account or on one of its zones."""
    store, token = store_of(request), request[TOKEN]
    targets = [(permissions.ACCOUNT, store.account), *((permissions.ZONE, zone["id"]) for zone in store.zones())]
    return token["owner"] == "both" or any(on(store, token, scope, target) for scope, target in targets)


def readable_zones(request: web.Request) -> list[Json]:
    """Return the zones that the call's token may list: those on which it has Zone Read (or Write)."""
    store, token = store_of(request), request[TOKEN]
    if token["owner"] == "both":
        return store.zones()
    names = ("Zone Read", "Zone Write")
    return [z for z in store.zones() if not on(store, token, permissions.ZONE, z["id"]).isdisjoint(names)]


def meter_of(token: Json | None) -> str:
    """Return whose calls are counted together: the user's, or one account token's."""
    return str(token["id"]) if token is not None and token["owner"] == "account" else "user"
