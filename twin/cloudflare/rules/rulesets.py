"""Write and read rulesets, whole, by their phase, or rule by rule; every write is a new version, the old ones stay.

Source: official SDK 5.9.0, read 2026-11-28.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from twin.cloudflare.access import door
from twin.cloudflare.access.permissions import RULES
from twin.cloudflare.collection import RECORDED
from twin.cloudflare.errors import ApiError, Json, listed, ok, page, read, required, shaped
from twin.cloudflare.rules.checks import check_phase, check_rule, left_alone
from twin.cloudflare.store import changed, found, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from twin.cloudflare.collection import Rows

GONE = (10001, "could not find ruleset")
SOURCE, CHECKED = "official SDK 5.9.0", "2026-11-28"
FIELDS = (
    "action",
    "action_parameters",
    "description",
    "enabled",
    "exposed_credential_check",
    "expression",
    "logging",
    "ratelimit",
    "ref",
)
"""What can be said of a rule."""


def zone_of(request: web.Request) -> Json:
    """Return the zone of the path."""
    return store_of(request).zone(request.match_info["zone"])


def rows_of(request: web.Request) -> Rows:
    """Return the rulesets of the zone of the path, by id: the newest version of each."""
    rows: Rows = zone_of(request).setdefault("rulesets", {})
    return rows


def versions_of(request: web.Request, ruleset: Json) -> dict[str, Json]:
    """Return the older versions of a ruleset, by number as text."""
    kept: dict[str, dict[str, Json]] = zone_of(request).setdefault("ruleset_versions", {})
    return kept.setdefault(ruleset["id"], {})


def find(request: web.Request) -> Json:
    """Return the ruleset of the path."""
    return found(rows_of(request), request.match_info["ruleset"], *GONE)


def of_phase(request: web.Request) -> Json | None:
    """Return the ruleset of the phase of the path, if it has one."""
    phase = check_phase(request.match_info["phase"])
    return next((row for row in rows_of(request).values() if row["phase"] == phase), None)


def entrypoint(request: web.Request) -> Json:
    """Return the ruleset of the phase of the path; 404 when it has none."""
    row = of_phase(request)
    if row is None:
        text = f"could not find entrypoint ruleset in the {request.match_info['phase']} phase"
        raise ApiError(404, 10003, text)
    return row


def rule_of(phase: str, sent: Json, olds: list[Json], at: int) -> Json:
    """Return a checked rule; one that is sent again, by id or by ref, keeps its id, and its version when unchanged."""
    check_rule(phase, sent, at)
    same = ("id", "ref")
    old = next((one for one in olds for key in same if sent.get(key) and sent[key] == one[key]), None)
    said = {key: sent[key] for key in FIELDS if sent.get(key) is not None}
    made: Json = {"id": object_id() if old is None else old["id"], "version": "1", "enabled": True} | said
    made["ref"] = made.get("ref") or made["id"]
    if old is not None:
        alike = all(old.get(key) == made.get(key) for key in FIELDS)
        made["version"] = old["version"] if alike else str(int(old["version"]) + 1)
    return made | {"last_updated": now()}


def ruleset_of(sent: Json, old: Json | None) -> Json:
    """Return a checked ruleset; what is not sent stays, but rules, which are replaced whole."""
    shaped(sent, name=str, kind=str, phase=str, description=str)
    base: Json = old or {"id": object_id(), "version": "0", "name": "default", "kind": "zone", "description": ""}
    made = base | {key: sent[key] for key in ("name", "kind", "phase", "description") if sent.get(key) is not None}
    if old is not None and (made["kind"], made["phase"]) != (old["kind"], old["phase"]):
        raise ApiError(400, 20024, "kind and phase of a ruleset cannot be changed")
    phase = check_phase(made["phase"])
    olds = old["rules"] if old else []
    rules = [rule_of(phase, rule, olds, at) for at, rule in enumerate(listed(sent, "rules", dict))]
    return made | {"rules": rules, "version": str(int(base["version"]) + 1), "last_updated": now()}


def keep(request: web.Request, made: Json, old: Json | None, what: str) -> web.Response:
    """Put a new version in the place of the old one and answer it; with `?dry_run=true` nothing is kept."""
    door.demand(request, f"{RULES[made['phase']]} Write")
    if request.query.get("dry_run") != "true":
        if old is not None:
            versions_of(request, old)[old["version"]] = old
        rows_of(request)[made["id"]] = made
        changed(request, f"ruleset {made['name']} ({made['phase']}) {what}")
    return ok(made, messages=left_alone([made]))


def without_rules(row: Json) -> Json:
    """Return a ruleset as lists show it."""
    return {key: value for key, value in row.items() if key != "rules"}


async def listing(request: web.Request) -> web.Response:
    """List the zone's rulesets without their rules."""
    part, info = page(request, list(rows_of(request).values()), per_page=25, most=50)
    return ok([without_rules(row) for row in part], info=info)


async def post(request: web.Request) -> web.Response:
    """Create a ruleset; a zone has one for each phase."""
    sent = await read(request)
    required(sent, "name", "kind", "phase")
    made = ruleset_of(sent, None)
    if any(row["phase"] == made["phase"] for row in rows_of(request).values()):
        reason = f"exceeded maximum number of zone rulesets for phase {made['phase']}"
        text = f"'{made['kind']}' is not a valid value for kind because {reason}"
        raise ApiError(400, 20217, text, source={"pointer": "/kind"})
    return keep(request, made, None, "created")


async def get(request: web.Request) -> web.Response:
    """Show a ruleset with its rules."""
    return ok(find(request))


async def put(request: web.Request) -> web.Response:
    """Replace a ruleset's rules: a new version."""
    old = find(request)
    return keep(request, ruleset_of(await read(request), old), old, "changed")


async def delete(request: web.Request) -> web.Response:
    """Delete a ruleset with all its versions."""
    row = find(request)
    door.demand(request, f"{RULES[row['phase']]} Write")
    versions_of(request, row).clear()
    del rows_of(request)[row["id"]]
    changed(request, f"ruleset {row['name']} ({row['phase']}) deleted")
    return web.Response(status=204)


async def get_entrypoint(request: web.Request) -> web.Response:
    """Show the ruleset of a phase."""
    return ok(entrypoint(request))


async def put_entrypoint(request: web.Request) -> web.Response:
    """Replace all rules of a phase; its ruleset is made when there is none."""
    old = of_phase(request)
    sent = await read(request) | {"phase": request.match_info["phase"]}
    return keep(request, ruleset_of(sent, old), old, "changed" if old else "created")


def placed(rules: list[Json], rule: Json, position: Json) -> list[Json]:
    """Return the rules with one more, last or at `before`, `after` (rule ids) or `index` (from 1)."""
    shaped(position, index=int, before=str, after=str)
    ids = [one["id"] for one in rules]
    index = len(rules)
    if "index" in position:
        index = min(max(int(position["index"]) - 1, 0), len(rules))
    for how, offset in (("before", 0), ("after", 1)):
        if how in position:
            if position[how] not in [*ids, ""]:
                raise ApiError(400, 20025, f"position.{how} names no rule of this ruleset")
            edge = 0 if how == "before" else len(rules)
            index = ids.index(position[how]) + offset if position[how] else edge
    return [*rules[:index], rule, *rules[index:]]


async def post_rule(request: web.Request) -> web.Response:
    """Add a rule, last or at `position`; the answer is the whole ruleset."""
    old, sent = find(request), await read(request)
    rule = rule_of(old["phase"], {key: value for key, value in sent.items() if key != "id"}, [], len(old["rules"]))
    return keep(request, with_rules(old, placed(old["rules"], rule, sent.get("position") or {})), old, "got a rule")


async def patch_rule(request: web.Request) -> web.Response:
    """Change a rule, its place or both; the answer is the whole ruleset."""
    old, sent = find(request), await read(request)
    rule, others = parted(request, old)
    made = rule_of(old["phase"], rule | sent | {"id": rule["id"]}, [rule], old["rules"].index(rule))
    index = old["rules"].index(rule) + 1
    return keep(
        request, with_rules(old, placed(others, made, sent.get("position") or {"index": index})), old, "changed"
    )


async def delete_rule(request: web.Request) -> web.Response:
    """Remove a rule; the answer is the whole ruleset."""
    old = find(request)
    rule, others = parted(request, old)
    return keep(request, with_rules(old, others), old, f"lost rule {rule['id']}")


def parted(request: web.Request, ruleset: Json) -> tuple[Json, list[Json]]:
    """Return the rule of the path and the others of its ruleset."""
    rule = found({one["id"]: one for one in ruleset["rules"]}, request.match_info["rule"], 10002, "could not find rule")
    return rule, [one for one in ruleset["rules"] if one is not rule]


def with_rules(old: Json, rules: list[Json]) -> Json:
    """Return the next version of a ruleset, with these rules."""
    return old | {"rules": rules, "version": str(int(old["version"]) + 1), "last_updated": now()}


def every_version(request: web.Request) -> dict[str, Any]:
    """Return all versions of the path's ruleset (or phase) by number, oldest first."""
    row = entrypoint(request) if "phase" in request.match_info else find(request)
    return {**versions_of(request, row), row["version"]: row}


async def list_versions(request: web.Request) -> web.Response:
    """List the versions of a ruleset, newest first, without their rules."""
    return ok([without_rules(row) for row in reversed(every_version(request).values())])


async def get_version(request: web.Request) -> web.Response:
    """Show a version of a ruleset with its rules."""
    return ok(found(every_version(request), request.match_info["version"], 10004, "could not find ruleset version"))


async def delete_version(request: web.Request) -> web.Response:
    """Delete an older version of a ruleset."""
    row, version = find(request), request.match_info["version"]
    if version == row["version"]:
        raise ApiError(400, 20026, "the latest version of a ruleset cannot be deleted")
    found(versions_of(request, row), version, 10004, "could not find ruleset version")
    del versions_of(request, row)[version]
    changed(request, f"version {version} of ruleset {row['name']} deleted")
    return web.Response(status=204)


PATH = "/zones/{zone}/rulesets"
ONE = PATH + "/{ruleset}"
PHASE = PATH + "/phases/{phase}/entrypoint"
ROUTES = (
    Route("GET", PATH, listing, "official SDK"),
    Route("POST", PATH, post, RECORDED),
    Route("GET", PHASE, get_entrypoint, SOURCE, CHECKED),
    Route("PUT", PHASE, put_entrypoint, SOURCE, CHECKED),
    Route("GET", PHASE + "/versions", list_versions, SOURCE, CHECKED),
    Route("GET", PHASE + "/versions/{version}", get_version, SOURCE, CHECKED),
    Route("GET", ONE, get, RECORDED),
    Route("PUT", ONE, put, RECORDED),
    Route("DELETE", ONE, delete, RECORDED),
    Route("POST", ONE + "/rules", post_rule, SOURCE, CHECKED),
    Route("PATCH", ONE + "/rules/{rule}", patch_rule, SOURCE, CHECKED),
    Route("DELETE", ONE + "/rules/{rule}", delete_rule, SOURCE, CHECKED),
    Route("GET", ONE + "/versions", list_versions, SOURCE, CHECKED),
    Route("GET", ONE + "/versions/{version}", get_version, SOURCE, CHECKED),
    Route("DELETE", ONE + "/versions/{version}", delete_version, SOURCE, CHECKED),
)
