"""Make, show, change, roll and delete API tokens of the user and of the account; their values are shown once.

Sources: official SDK 5.9.0; the API's documentation of tokens. Codes of refusals are not confirmed.
"""

from __future__ import annotations

import ipaddress
import secrets
import string
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from twin.cloudflare.access import door, permissions
from twin.cloudflare.access.trail import OPERATOR, TOKEN
from twin.cloudflare.errors import ApiError, Json, listed, ok, page, read, required, shaped
from twin.cloudflare.store import changed, found, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

PREFIXES = {"user": "cfut_", "account": "cfat_"}
HIDDEN = ("digest", "owner")
LETTERS = string.ascii_letters + string.digits
VALID = {"code": 10000, "message": "This API Token is valid and active", "type": None}
MISSING = (1003, "Invalid token identifier")


def owner_of(request: web.Request) -> str:
    """Return whose tokens the path is about."""
    return "account" if "account" in request.match_info else "user"


def shown(token: Json) -> Json:
    """Return a token as it is read: never its value."""
    return {key: value for key, value in token.items() if key not in HIDDEN} | {"status": door.status(token)}


def fresh_value(owner: str) -> str:
    """Return a new value."""
    return PREFIXES[owner] + "".join(secrets.choice(LETTERS) for _ in range(48))


def instant(sent: Json, name: str) -> str | None:
    """Return a time of the body as the API shows it; 400 for one that is none or has no zone."""
    if not sent.get(name):
        return None
    try:
        when = datetime.fromisoformat(str(sent[name]))
        return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when.tzinfo else refuse_time(name)
    except ValueError:
        return refuse_time(name)


def refuse_time(name: str) -> str:
    """Refuse a time."""
    raise ApiError(400, 1004, f"{name} must be an RFC 3339 time with its zone")


def check_condition(sent: Json) -> Json:
    """Return the condition of a token; only addresses can be one."""
    condition = shaped(sent.get("condition") or {}, 1004, request_ip=dict)
    bound: Json = condition.get("request_ip") or {}
    if condition.keys() - {"request_ip"} or bound.keys() - {"in", "not_in"}:
        raise ApiError(400, 1004, "condition may have request_ip with in and not_in, nothing else")
    for address in [*listed(bound, "in", str, 1004), *listed(bound, "not_in", str, 1004)]:
        try:
            ipaddress.ip_network(address)
        except ValueError:
            raise ApiError(400, 1004, f"condition.request_ip: {address!r} is no address or CIDR") from None
    return condition


def check_policies(sent: Json) -> list[Json]:
    """Return checked policies: what they allow or deny, and on what."""
    policies = listed(sent, "policies", dict, 1004)
    if not policies:
        raise ApiError(400, 1004, "policies must name at least one policy")
    return [check_policy(policy) for policy in policies]


def check_policy(policy: Json) -> Json:
    """Return one checked policy."""
    shaped(policy, 1004, id=str, effect=str, resources=dict)
    if policy.get("effect") not in {"allow", "deny"}:
        raise ApiError(400, 1004, "effect must be allow or deny")
    groups, resources = listed(policy, "permission_groups", dict, 1004), policy.get("resources")
    if not groups or not resources:
        raise ApiError(400, 1004, "permission_groups and resources are required in a policy")
    for key, value in resources.items():
        inner = value.items() if isinstance(value, dict) else ((key, value),)
        if not all(name.startswith("com.cloudflare.") and access == "*" for name, access in inner):
            raise ApiError(400, 1004, f"resources: {key!r} cannot be given {value!r}")
    return {
        "id": policy.get("id") or object_id(),
        "effect": policy["effect"],
        "resources": resources,
        "permission_groups": list(told(groups)),
    }


def told(groups: Iterable[Json]) -> Iterable[Json]:
    """Yield permission groups with their names; 400 for an id that there is not."""
    for one in groups:
        group = permissions.GROUPS.get(str(one.get("id", "")))
        if group is None:
            raise ApiError(400, 1004, f"Permission group {one.get('id')!r} is invalid")
        yield {"id": group.id, "name": group.name}


def build(sent: Json) -> Json:
    """Return what can be said of a token, checked."""
    shaped(sent, 1004, name=str, status=str)
    required(sent, "name", code=1004)
    if sent.get("status", "active") not in {"active", "disabled"}:
        raise ApiError(400, 1004, "status must be active or disabled")
    made: Json = {"name": sent["name"], "status": sent.get("status", "active"), "modified_on": now()}
    times = {name: instant(sent, name) for name in ("not_before", "expires_on")}
    made |= {name: when for name, when in times.items() if when is not None}
    return made | {"policies": check_policies(sent), "condition": check_condition(sent)}


def find(request: web.Request) -> Json:
    """Return the token of the path; 404 when the user or the account has none of that id."""
    store, owner = store_of(request), owner_of(request)
    if request.match_info["token"] == store.data["token"]:
        raise ApiError(400, 1004, "the twin's own token cannot be shown or changed: make one beside it")
    rows = {key: row for key, row in store.data["tokens"].items() if row["owner"] == owner}
    return found(rows, request.match_info["token"], *MISSING)


async def verify(request: web.Request) -> web.Response:
    """Say whether the token is active, disabled or expired; a wrong one was refused before."""
    token = request[TOKEN]
    if token["owner"] not in {"both", owner_of(request)}:
        raise ApiError(401, 1000, "Invalid API Token")
    state = door.status(token)
    times = {name: token[name] for name in ("expires_on", "not_before") if token.get(name)}
    return ok({"id": token["id"], "status": state, **times}, messages=[VALID] if state == "active" else [])


async def post(request: web.Request) -> web.Response:
    """Make a token; this answer is the only one with its value."""
    store, owner = store_of(request), owner_of(request)
    value = fresh_value(owner)
    made: Json = {"id": object_id()} | build(await read(request))
    made |= {"issued_on": now(), "last_used_on": None, "digest": door.digest(value), "owner": owner}
    if owner == "account":
        made["creator_email_at_creation"] = OPERATOR
    store.data["tokens"][made["id"]] = made
    changed(request, f"{owner} token {made['name']} created")
    return ok(shown(made) | {"value": value})


async def listing(request: web.Request) -> web.Response:
    """List tokens, a page at a time; the twin's own is not among them."""
    rows = [row for row in store_of(request).data["tokens"].values() if row["owner"] == owner_of(request)]
    part, info = page(request, rows, per_page=20, most=50)
    return ok([shown(row) for row in part], info=info)


async def get(request: web.Request) -> web.Response:
    """Show a token without its value."""
    return ok(shown(find(request)))


async def put(request: web.Request) -> web.Response:
    """Replace what a token may do, when and from where; its value stays."""
    old, store = find(request), store_of(request)
    kept = {key: old[key] for key in ("id", "issued_on", "last_used_on", *HIDDEN)}
    made = kept | build(await read(request))
    store.data["tokens"][made["id"]] = made
    changed(request, f"{made['owner']} token {made['name']} changed")
    return ok(shown(made))


async def delete(request: web.Request) -> web.Response:
    """Delete a token: it is refused from now on."""
    token = find(request)
    del store_of(request).data["tokens"][token["id"]]
    changed(request, f"{token['owner']} token {token['name']} deleted")
    return ok({"id": token["id"]})


async def roll(request: web.Request) -> web.Response:
    """Give a token a new value, shown here only; the old one is refused from now on."""
    token = find(request)
    value = fresh_value(token["owner"])
    token["digest"] = door.digest(value)
    token["modified_on"] = now()
    changed(request, f"{token['owner']} token {token['name']} rolled")
    return ok(value)


async def groups(request: web.Request) -> web.Response:
    """List the permission groups that a token can be made of, filtered by name and scope."""
    scopes = {permissions.ACCOUNT, permissions.ZONE} | ({permissions.USER} if owner_of(request) == "user" else set())
    rows = [group for group in permissions.GROUPS.values() if group.scope in scopes]
    if "name" in request.query:
        rows = [group for group in rows if group.name == request.query["name"]]
    if "scope" in request.query:
        rows = [group for group in rows if group.scope == request.query["scope"]]
    return ok([{"id": group.id, "name": group.name, "scopes": [group.scope]} for group in rows])


def routes(path: str) -> tuple[Route, ...]:
    """Return the calls below `/user` or an account."""
    source, checked = "official SDK 5.9.0", "2026-11-28"
    return (
        Route("GET", path + "/verify", verify, "API documentation", checked=checked),
        Route("GET", path + "/permission_groups", groups, source, checked=checked),
        Route("GET", path, listing, source, checked=checked),
        Route("POST", path, post, source, checked=checked),
        Route("GET", path + "/{token}", get, source, checked=checked),
        Route("PUT", path + "/{token}", put, source, checked=checked),
        Route("DELETE", path + "/{token}", delete, source, checked=checked),
        Route("PUT", path + "/{token}/value", roll, source, checked=checked),
    )


ROUTES = (*routes("/user/tokens"), *routes("/accounts/{account}/tokens"))
