"""Create, change, remove, batch and export DNS records, with the provider's checks and codes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from aiohttp import web

from twin.cloudflare import bind
from twin.cloudflare.contents import ORDER, TYPES, check_content, check_data, content_of, inside
from twin.cloudflare.errors import ApiError, Json, listed, ok, page, read, shaped
from twin.cloudflare.store import changed, found, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from collections.abc import Callable

PROXIABLE = frozenset({"A", "AAAA", "CNAME"})
SHAPE = {"name": str, "type": str, "content": str, "ttl": int, "proxied": bool, "priority": int, "comment": str}
SETTABLE = ("name", "type", "content", "ttl", "proxied", "priority", "data", "comment", "tags", "settings")
AUTOMATIC = 1
SHORTEST, LONGEST = 60, 86400  # seconds; 30 only on Enterprise
BATCH_MOST = 200  # records in one batch on the Free plan
GONE = "Record does not exist."
IDENTICAL = 81058


def absolute(name: str, zone: Json) -> str:
    """Return a record's full name in Punycode; `@` and short names get the zone's."""
    plain = name.rstrip(".").lower()
    try:
        plain = plain if plain.isascii() else plain.encode("idna").decode()
    except UnicodeError:
        raise ApiError(400, 9000, "DNS name is invalid.") from None
    if plain in {"", "@"}:
        return str(zone["name"])
    if plain == zone["name"] or plain.endswith("." + zone["name"]):
        return plain
    return f"{plain}.{zone['name']}"


def check_clash(zone: Json, record: Json) -> None:
    """Refuse a record beside one that it cannot stand beside: 81058, 81053, 81054."""
    for other in zone["records"].values():
        if other["id"] == record["id"] or other["name"] != record["name"]:
            continue
        if (other["type"], other["content"]) == (record["type"], record["content"]):
            raise ApiError(400, IDENTICAL, "An identical record already exists.")
        if record["type"] == "CNAME" and other["type"] in PROXIABLE:
            raise ApiError(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
        if record["type"] in PROXIABLE and other["type"] == "CNAME":
            raise ApiError(400, 81054, "A CNAME record with that host already exists.")


def build(zone: Json, sent: Json, old: Json | None) -> Json:
    """Return a checked record from the sent fields, laid over those of the old one when there is one."""
    for name in ("name", "type"):
        if not (sent.get(name) or (old or {}).get(name)):
            raise ApiError(400, 9000, f"DNS {name} is required.")
    kind = str(sent.get("type") or (old or {})["type"]).upper()
    if kind not in TYPES:
        raise ApiError(400, 1004, "DNS Validation Error", error_chain=[{"code": 9009, "message": "Invalid type."}])
    shaped(sent, 9207, **SHAPE)
    base: Json = dict(old or {})
    fresh: Json = {"ttl": AUTOMATIC, "proxied": False, "comment": None, "tags": [], "settings": {}, "meta": {}}
    fields = {key: sent[key] for key in SETTABLE if key in sent}
    record: Json = {"id": object_id(), "created_on": now(), **fresh, **base, **fields, "type": kind}
    record["name"] = absolute(str(record["name"]), zone)
    if kind in ORDER:
        record["data"] = check_data(kind, record.get("data"))
        record |= {"priority": record["data"]["priority"]} if kind == "SRV" else {}
    if record.get("data") and (kind in ORDER or not sent.get("content")):
        record["content"] = content_of(kind, record["data"])
    record["content"] = str(record.get("content") or "")
    if kind in {"CNAME", "MX", "NS", "PTR"}:
        record["content"] = record["content"].rstrip(".").lower()
    if record["proxied"]:
        record["ttl"] = AUTOMATIC  # whatever was sent: that of a proxied record cannot be edited
    proxiable = kind in PROXIABLE and not inside(record["content"])
    record |= {"proxiable": proxiable, "modified_on": now(), "tags": record["tags"] or []}
    check(zone, record)
    return record


def check(zone: Json, record: Json) -> None:
    """Refuse what the provider refuses: content, ttl, proxying, priority, comment, clashes."""
    kind = record["type"]
    check_content(kind, record["content"])
    ttl = record["ttl"]
    if ttl != AUTOMATIC and not (isinstance(ttl, int | float) and SHORTEST <= ttl <= LONGEST):
        raise ApiError(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
    if record["proxied"] and kind not in PROXIABLE:
        raise ApiError(400, 9004, "This record type cannot be proxied.")
    if record["proxied"] and inside(record["content"]):
        raise ApiError(400, 9003, f"Target {record['content']} is not allowed for a proxied record.")
    if kind == "CNAME" and record["content"] == record["name"]:
        raise ApiError(400, 9039, "CNAME content cannot reference itself.")
    if kind in {"MX", "URI"} and record.get("priority") is None:
        raise ApiError(400, 9100, "DNS record priority is required.")
    if "\n" in (record["comment"] or ""):
        raise ApiError(400, 9301, "DNS record comment must not contain a line break.")
    check_clash(zone, record)


def find(zone: Json, record_id: str) -> Json:
    """Return a record by id; 404 with 81044. A record that belongs to a custom domain is read-only."""
    return found(zone["records"], record_id, 81044, GONE)


def writable(zone: Json, record_id: str) -> Json:
    """Return a record that may be changed by hand."""
    record = find(zone, record_id)
    if record["meta"].get("read_only"):
        raise ApiError(400, 1043, "This record is managed by Workers and cannot be edited here.")
    return record


def create(zone: Json, sent: Json) -> Json:
    """Add a record."""
    record = build(zone, sent, None)
    zone["records"][record["id"]] = record
    return record


def overwrite(zone: Json, record_id: str, sent: Json) -> Json:
    """Replace a record: what is not sent falls back to its default. A batch may bring back a deleted id."""
    old = zone["records"].get(record_id)
    kept = {"id": record_id, "created_on": old["created_on"] if old else now()}
    if old is not None:
        writable(zone, record_id)
    record = build(zone, sent, kept)
    zone["records"][record_id] = record
    return record


def patch(zone: Json, record_id: str, sent: Json) -> Json:
    """Change the given fields of a record."""
    record = build(zone, sent, writable(zone, record_id))
    zone["records"][record_id] = record
    return record


def remove(zone: Json, record_id: str) -> Json:
    """Remove a record."""
    record = writable(zone, record_id)
    del zone["records"][record_id]
    return record


def zone_of(request: web.Request) -> Json:
    """Return the zone of the path."""
    return store_of(request).zone(request.match_info["zone"])


async def post(request: web.Request) -> web.Response:
    """Create a record."""
    record = create(zone_of(request), await read(request))
    changed(request, f"record {record['type']} {record['name']} created")
    return ok(record)


async def get(request: web.Request) -> web.Response:
    """Show a record."""
    return ok(find(zone_of(request), request.match_info["record"]))


async def put(request: web.Request) -> web.Response:
    """Replace a record."""
    zone, record_id = zone_of(request), request.match_info["record"]
    find(zone, record_id)
    record = overwrite(zone, record_id, await read(request))
    changed(request, f"record {record['type']} {record['name']} replaced")
    return ok(record)


async def patch_one(request: web.Request) -> web.Response:
    """Change the given fields of a record."""
    record = patch(zone_of(request), request.match_info["record"], await read(request))
    changed(request, f"record {record['type']} {record['name']} changed")
    return ok(record)


async def delete(request: web.Request) -> web.Response:
    """Delete a record."""
    record = remove(zone_of(request), request.match_info["record"])
    changed(request, f"record {record['type']} {record['name']} deleted")
    return ok({"id": record["id"]})


def matches(record: Json, key: str, wanted: str) -> bool:
    """Tell whether a record passes one filter of the list."""
    field, _, how = key.partition(".")
    want = wanted.lower()
    if field == "tag":
        return tagged([str(tag).lower() for tag in record["tags"]], how, want)
    value = record.get(field)
    have = ("true" if value else "false") if field == "proxied" else str(value or "").lower()
    tests = {
        "": have == want,
        "exact": have == want,
        "contains": want in have,
        "startswith": have.startswith(want),
        "endswith": have.endswith(want),
        "present": bool(have),
        "absent": not have,
    }
    return tests.get(how, True)


def tagged(tags: list[str], how: str, want: str) -> bool:
    """Tell whether one of a record's tags, `name:value`, passes a filter; `present` and `absent` name a tag."""
    name, _, value = want.partition(":")
    if how in {"present", "absent"}:
        return any(tag.partition(":")[0] == want for tag in tags) is (how == "present")
    have = [tag.partition(":")[2] for tag in tags if tag.partition(":")[0] == name]
    tests: dict[str, Callable[[str], bool]] = {
        "contains": lambda text: value in text,
        "startswith": lambda text: text.startswith(value),
        "endswith": lambda text: text.endswith(value),
    }
    return any(map(tests.get(how, lambda text: text == value), have))


async def listing(request: web.Request) -> web.Response:
    """List records: type, name, content and comment filters, `match`, `order`, `direction`, `search`, paging."""
    rows = list(zone_of(request)["records"].values())
    query = request.query
    filters = [(k, v) for k, v in query.items() if k.partition(".")[0] in FILTERS]
    tags = [(k, v) for k, v in query.items() if k.partition(".")[0] == "tag"]
    for asked, match in ((filters, "match"), (tags, "tag_match")):
        join = any if query.get(match) == "any" else all
        rows = [row for row in rows if not asked or join(matches(row, key, value) for key, value in asked)]
    if "search" in query:
        rows = [r for r in rows if query["search"].lower() in f"{r['name']} {r['content']} {r['comment']}".lower()]
    order = query.get("order", "name")
    rows.sort(key=lambda row: (str(row.get(order, "")), row["type"], row["id"]))
    if query.get("direction") == "desc":
        rows.reverse()
    part, info = page(request, rows, per_page=100, most=5000)
    return ok(part, info=info)


async def batch(request: web.Request) -> web.Response:
    """Do deletes, patches, puts and posts as one transaction: the first error leaves everything as it was."""
    zone, body = zone_of(request), await read(request)
    if sum(len(listed(body, part, dict, 9207)) for part in ("deletes", "patches", "puts", "posts")) > BATCH_MOST:
        raise ApiError(400, 81103, f"A batch may change at most {BATCH_MOST} records.")
    trial: Json = {"name": zone["name"], "records": copy.deepcopy(zone["records"])}
    result = {
        "deletes": [remove(trial, row.get("id", "")) for row in body.get("deletes") or []],
        "patches": [patch(trial, row.get("id", ""), row) for row in body.get("patches") or []],
        "puts": [overwrite(trial, row.get("id") or object_id(), row) for row in body.get("puts") or []],
        "posts": [create(trial, row) for row in body.get("posts") or []],
    }
    zone["records"] = trial["records"]
    changed(request, ", ".join(f"{len(rows)} records {part}" for part, rows in result.items() if rows) or "no record")
    return ok(result)


async def export(request: web.Request) -> web.Response:
    """Return the zone in BIND form, comments and the proxied mark at the line's end."""
    return web.Response(text=bind.written(zone_of(request)))


async def post_import(request: web.Request) -> web.Response:
    """Add the records of a BIND file, all or none; those that are there already count as parsed and are left."""
    zone, form = zone_of(request), await request.post()
    file = form.get("file")
    text = file.file.read().decode("utf-8", "replace") if isinstance(file, web.FileField) else str(file or "")
    if not text.strip():
        raise ApiError(400, 9207, "file is required")
    sent = bind.read(zone, text, proxied=form.get("proxied") == "true")
    trial: Json = {"name": zone["name"], "records": copy.deepcopy(zone["records"])}
    added = 0
    for row in sent:
        try:
            create(trial, row)
            added += 1
        except ApiError as error:
            if error.errors[0]["code"] != IDENTICAL:
                raise
    zone["records"] = trial["records"]
    changed(request, f"{added} records imported")
    return ok({"recs_added": added, "total_records_parsed": len(sent)})


FILTERS = ("type", "name", "content", "comment", "proxied")
PATH = "/zones/{zone}/dns_records"
ROUTES = (
    Route("POST", PATH + "/batch", batch, "batch documentation"),
    Route("GET", PATH + "/export", export, "import and export documentation"),
    Route("POST", PATH + "/import", post_import, "import and export documentation"),
    Route("POST", PATH, post, "recorded provider requests"),
    Route("GET", PATH, listing, "official SDK"),
    Route("GET", PATH + "/{record}", get, "recorded provider requests"),
    Route("PUT", PATH + "/{record}", put, "recorded provider requests"),
    Route("PATCH", PATH + "/{record}", patch_one, "official SDK"),
    Route("DELETE", PATH + "/{record}", delete, "recorded provider requests"),
)
