"""Find by name what an account has of what the program declares, as `pulumi import` takes it.

Import ids: the documentation of each resource in pulumi-cloudflare 6.23; most were tried with the real provider too
(2026-11-23), not those of custom domains, Hyperdrive, settings, signing, health checks and Logpush.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.clients.cloudflare_secrets import CODE_OF

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runbooks.clients.inventory import Inventory, Registration, Row

    Find = Callable[[Inventory, Mapping[str, Any], set[str]], Row | None]

DYNAMIC: Final = "pulumi-python:dynamic"
OURS: Final = "it has no import; `pulumi up` makes it, and changes nothing where it is so already"


class Found(msgspec.Struct, frozen=True):
    """A declared resource that the account has: `id` is what `pulumi import` takes. `note` says what to look at."""

    urn: str
    type: str
    name: str
    parent: str
    id: str
    note: str = ""


class Missing(msgspec.Struct, frozen=True):
    """A declared resource that was not found, or that cannot be imported."""

    type: str
    name: str
    why: str


class Adoption(msgspec.Struct, frozen=True):
    """What of the program an account has already."""

    found: tuple[Found, ...]
    missing: tuple[Missing, ...]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Where a type is looked for, by which of its inputs, and its import id; braces are filled from inputs and row."""

    where: str
    id: str
    by: tuple[str, ...] = ()
    find: Find | None = None


def _record(inventory: Inventory, inputs: Mapping[str, Any], taken: set[str]) -> Row | None:
    """Return the record: of one type and name there may be several, told apart by content; a CNAME is alone."""
    rows = inventory.rows(f"/zones/{inputs['zoneId']}/dns_records")
    same = [row for row in rows if (row["name"], row["type"]) == (inputs["name"], inputs["type"])]
    same = [row for row in same if row["id"] not in taken]
    data = inputs.get("data") or {}
    exact = [row for row in same if row.get("content") == inputs.get("content")]
    if data:
        exact = [row for row in same if all((row.get("data") or {}).get(key) == data[key] for key in data)]
    return next(iter(exact or (same if inputs["type"] == "CNAME" else [])), None)


def _version(inventory: Inventory, inputs: Mapping[str, Any], _taken: set[str]) -> Row | None:
    """Return the newest maintenance version, or the app's version that is live; else its newest."""
    base = f"/accounts/{inputs['accountId']}/workers"
    wanted = (inputs.get("annotations") or {}).get("workersMessage")
    rows = sorted(inventory.rows(f"{base}/workers/{inputs['workerId']}/versions"), key=lambda row: -row["number"])
    if wanted == MAINTENANCE:
        return next((row for row in rows if _notes(row).get("workers/message") == MAINTENANCE), None)
    apps = [row for row in rows if _notes(row).get("workers/message") != MAINTENANCE]
    (worker,) = inventory.rows(f"{base}/workers/{inputs['workerId']}")
    deployments = inventory.rows(f"{base}/scripts/{worker['name']}/deployments")
    shares = [part["version_id"] for part in deployments[0]["versions"]] if deployments else []
    tags = {row["id"]: _notes(row).get("workers/tag", "") for row in apps}
    live = [tags[each].removeprefix(CODE_OF) if tags.get(each, "").startswith(CODE_OF) else each for each in shares]
    return next((row for row in apps if row["id"] in live), apps[0] if apps else None)


MAINTENANCE: Final = "maintenance"


def _notes(row: Row) -> dict[str, str]:
    return row.get("annotations") or {}


def _signed(inventory: Inventory, inputs: Mapping[str, Any], _taken: set[str]) -> Row | None:
    """Return the zone's signing where it is switched on."""
    rows = inventory.rows(f"/zones/{inputs['zoneId']}/dnssec")
    return next((row for row in rows if row.get("status") in ("active", "pending")), None)


_A, _Z = "/accounts/{accountId}", "/zones/{zoneId}"
KINDS: Final[Mapping[str, Kind]] = {
    "worker:Worker": Kind(where=_A + "/workers/workers", by=("name",), id="{accountId}/{id}"),
    "workerVersion:WorkerVersion": Kind(where="", find=_version, id="{accountId}/{workerId}/{id}"),
    "workersDeployment:WorkersDeployment": Kind(
        where=_A + "/workers/scripts/{scriptName}/deployments", id="{accountId}/{scriptName}/{id}"
    ),
    "workersCronTrigger:WorkersCronTrigger": Kind(
        where=_A + "/workers/scripts/{scriptName}/schedules", id="{accountId}/{scriptName}"
    ),
    "workersCustomDomain:WorkersCustomDomain": Kind(
        where=_A + "/workers/domains", by=("hostname",), id="{accountId}/{id}"
    ),
    "workersRoute:WorkersRoute": Kind(where=_Z + "/workers/routes", by=("pattern",), id="{zoneId}/{id}"),
    "workersKvNamespace:WorkersKvNamespace": Kind(
        where=_A + "/storage/kv/namespaces", by=("title",), id="{accountId}/{id}"
    ),
    "hyperdriveConfig:HyperdriveConfig": Kind(where=_A + "/hyperdrive/configs", by=("name",), id="{accountId}/{id}"),
    "dnsRecord:DnsRecord": Kind(where="", find=_record, id="{zoneId}/{id}"),
    "pagesProject:PagesProject": Kind(where=_A + "/pages/projects/{name}", id="{accountId}/{name}"),
    "pagesDomain:PagesDomain": Kind(
        where=_A + "/pages/projects/{projectName}/domains", by=("name",), id="{accountId}/{projectName}/{name}"
    ),
    "ruleset:Ruleset": Kind(where=_Z + "/rulesets", by=("phase", "kind"), id="zones/{zoneId}/{id}"),
    "zoneSetting:ZoneSetting": Kind(where=_Z + "/settings/{settingId}", id="{zoneId}/{settingId}"),
    "zoneDnssec:ZoneDnssec": Kind(where="", find=_signed, id="{zoneId}"),
    "healthcheck:Healthcheck": Kind(where=_Z + "/healthchecks", by=("name", "address"), id="{zoneId}/{id}"),
    "notificationPolicyWebhooks:NotificationPolicyWebhooks": Kind(
        where=_A + "/alerting/v3/destinations/webhooks", by=("name", "url"), id="{accountId}/{id}"
    ),
    "notificationPolicy:NotificationPolicy": Kind(
        where=_A + "/alerting/v3/policies", by=("name",), id="{accountId}/{id}"
    ),
    "logpushJob:LogpushJob": Kind(where=_A + "/logpush/jobs", by=("name",), id="accounts/{accountId}/{id}"),
    "r2Bucket:R2Bucket": Kind(where=_A + "/r2/buckets/{name}", id="{accountId}/{name}/default"),
}
"""By the last two parts of the type's token, `cloudflare:index/<these>`."""


def adopt(inventory: Inventory, registered: tuple[Registration, ...], *, zone_id: str) -> Adoption:
    """Look for every resource that the program registers. `zone_id` is the id of the stack's zone."""
    ids: dict[str, str] = {}
    found: list[Found] = []
    missing: list[Missing] = []
    for one in registered:
        if not one.custom:
            continue
        kind = KINDS.get(one.type.removeprefix("cloudflare:index/"))
        if kind is None:
            missing.append(Missing(one.type, one.name, OURS))
            continue
        inputs = {name: ids.get(str(value), value) for name, value in {**one.inputs, **_zone(one, zone_id)}.items()}
        row = _look(inventory, kind, inputs, set(ids.values()))
        if row is None:
            missing.append(Missing(one.type, one.name, "the account has none; `pulumi up` makes it"))
            continue
        ids[one.urn] = str(row.get("id") or one.name)
        note = f"its name is {row['name']}, not {inputs['name']}" if _is_renamed(one, row) else ""
        known = kind.id.format_map({**inputs, "id": ids[one.urn]})
        found.append(Found(one.urn, one.type, one.name, one.parent, known, note))
    return Adoption(tuple(found), tuple(missing))


def import_file(adoption: Adoption, registered: tuple[Registration, ...]) -> dict[str, Any]:
    """Return the document that `pulumi import --file` reads: the components first, then what was found in them.

    A name in it must be unique where it is a parent, so components get one of their own beside their logical name.
    """
    used = {one.parent for one in adoption.found if one.parent}
    components = {one.urn: one for one in registered if not one.custom and one.urn in used}
    keys = {urn: f"{one.name}-{one.type.rpartition(':')[2]}" for urn, one in components.items()}
    resources: list[dict[str, Any]] = [
        {"type": one.type, "name": keys[urn], "logicalName": one.name, "component": True}
        for urn, one in components.items()
    ]
    resources += [
        {
            "type": one.type,
            "name": one.name,
            "id": one.id,
            **({"parent": keys[one.parent]} if one.parent else {}),
        }
        for one in adoption.found
    ]
    return {"resources": resources}


def _look(inventory: Inventory, kind: Kind, inputs: Mapping[str, Any], taken: set[str]) -> Row | None:
    if any(str(value).startswith("urn:pulumi:") for value in inputs.values()):
        return None  # what it refers to is not there
    if kind.find is not None:
        return kind.find(inventory, inputs, taken)
    for row in inventory.rows(kind.where.format_map(inputs)):
        if all(row.get(_snake(name)) == inputs[name] for name in kind.by) and str(row.get("id")) not in taken:
            return row
    return None


def _zone(one: Registration, zone_id: str) -> dict[str, str]:
    return {"zoneId": zone_id} if "zoneId" in one.inputs else {}


def _is_renamed(one: Registration, row: Row) -> bool:
    return one.type.endswith(":Ruleset") and row.get("name") != one.inputs["name"]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
