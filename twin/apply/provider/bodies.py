"""Fill in request bodies as the real provider does: its defaults, its order, its partial updates.

Source of every default: requests recorded from the provider (upstream generation v5.22) on 2026-11-23.
"""

from __future__ import annotations

import json
from typing import Any, Final

from twin.apply.provider.naming import to_wire

Body = dict[str, Any]
TRACES: Final[Body] = {"enabled": False, "head_sampling_rate": 1, "persist": True, "destinations": []}
ENVIRONMENT: Final[Body] = {
    "fail_open": True,
    "build_image_major_version": 3,
    "always_use_latest_compatibility_date": False,
}
FLATTENING: Final[Body] = {"flatten_cname": False, "ipv4_only": False, "ipv6_only": False}

HEALTH: Final[Body] = {
    "consecutive_fails": 1,
    "consecutive_successes": 1,
    "description": "",
    "interval": 60,
    "retries": 2,
    "suspended": False,
    "timeout": 5,
    "type": "HTTP",
}
HEALTH_HTTP: Final[Body] = {
    "allow_insecure": False,
    "expected_body": "",
    "expected_codes": ["200"],
    "follow_redirects": False,
    "method": "GET",
    "path": "/",
    "port": 80,
}
JOB: Final[Body] = {
    "dataset": "http_requests",
    "enabled": False,
    "filter": "",
    "frequency": "high",
    "kind": "",
    "logpull_options": "",
    "max_upload_bytes": 0,
    "max_upload_interval_seconds": 0,
    "max_upload_records": 0,
    "name": "",
}
MECHANISMS: Final = {"emails": "email"}
PLURAL: Final = frozenset(
    {
        "actions",
        "affected_asns",
        "affected_components",
        "affected_locations",
        "alert_trigger_preferences",
        "pop_names",
        "selectors",
        "services",
        "traffic_exclusions",
        "zones",
    }
)
"""Filters of notifications whose names are plural on the wire too; the SDK makes all others plural."""
IRREGULAR: Final = {
    "group_bies": "group_by",
    "insight_classes": "insight_class",
    "new_statuses": "new_status",
    "statuses": "status",
}


def plain(inputs: Body) -> Body:
    """Return the inputs as they are."""
    return dict(to_wire(inputs))


def worker(inputs: Body) -> Body:
    """Return a Worker's settings, all of them: observability goes out whole even when it is not declared."""
    body = plain(inputs)
    observability = body.get("observability") or {}
    traces = {**TRACES, **(observability.get("traces") or {})}
    return {
        "logpush": False,
        "tags": [],
        "tail_consumers": [],
        **body,
        "subdomain": {"enabled": False, "previews_enabled": False, **(body.get("subdomain") or {})},
        "observability": {"enabled": False, "head_sampling_rate": 1, **observability, "traces": traces},
    }


def version(inputs: Body) -> Body:
    """Return a Worker version: bindings in the order of their names, JSON as what it says, and the usage model.

    That JSON goes out raw: the provider's #6725 of 2026-02, before which it was a text.
    """
    body = plain(inputs)
    bindings = sorted(body.get("bindings") or [], key=lambda binding: str(binding["name"]))
    bindings = [{**one, "json": json.loads(one["json"])} if "json" in one else one for one in bindings]
    return {"usage_model": "standard", **body, "bindings": bindings}


def schedules(inputs: Body) -> list[Body]:
    """Return the cron expressions as a bare list."""
    return [{"cron": each["cron"]} for each in inputs["schedules"]]


def record(inputs: Body) -> Body:
    """Return a new DNS record."""
    return {"proxied": False, **plain(inputs)}


def changed_record(inputs: Body) -> Body:
    """Return a whole DNS record: an update replaces it."""
    body = record(inputs)
    return {"tags": [], **body, "settings": {**FLATTENING, **(body.get("settings") or {})}}


def project(inputs: Body) -> Body:
    """Return a Pages project, with what the provider adds to each environment."""
    body = plain(inputs)
    if configs := body.get("deployment_configs"):
        body["deployment_configs"] = {name: {**ENVIRONMENT, **config} for name, config in configs.items()}
    return body


def bucket(inputs: Body) -> Body:
    """Return a new bucket: this body alone is in camelCase."""
    body = {"name": inputs["name"], "storageClass": inputs.get("storageClass", "Standard")}
    return {**body, "locationHint": inputs["location"]} if "location" in inputs else body


def lifecycle(inputs: Body) -> Body:
    """Return the rules of a bucket, in camelCase, and what the provider calls the resource."""
    return {"rules": inputs["rules"], "id": "lifecycle"}


def ruleset(inputs: Body) -> Body:
    """Return a whole ruleset, each rule with the defaults that the provider fills in."""
    body = plain(inputs)
    return {"description": "", **body, "rules": [_rule(rule) for rule in body.get("rules") or []]}


def _rule(rule: Body) -> Body:
    whole: Body = {"action_parameters": {}, "description": "", "enabled": True, **rule}
    return {**whole, "ratelimit": {"requests_to_origin": False, **rule["ratelimit"]}} if "ratelimit" in rule else whole


def healthcheck(inputs: Body) -> Body:
    """Return a health check with every default of the provider."""
    body = plain(inputs)
    return {**HEALTH, **body, "http_config": {**HEALTH_HTTP, **(body.get("http_config") or {})}}


def job(inputs: Body) -> Body:
    """Return a Logpush job: what is not declared goes out as zero, or as empty."""
    body = {**JOB, **plain(inputs)}
    if options := body.get("output_options"):
        body["output_options"] = {"CVE-2021-44228": False, **options}
    return body


def policy(inputs: Body) -> Body:
    """Return a notification policy: the SDK's plurals are singular on the wire."""
    body = plain(inputs)
    body["mechanisms"] = {MECHANISMS.get(name, name): value for name, value in body["mechanisms"].items()}
    if "filters" in body:
        body["filters"] = {singular(name): value for name, value in body["filters"].items()}
    return body


def singular(name: str) -> str:
    """Return what a filter of a notification policy is called on the wire."""
    return name if name in PLURAL else IRREGULAR.get(name, name.removesuffix("s"))


def patch(old: Body, new: Body, values: Body) -> Body:
    """Return the JSON merge patch from `old` to `new`, nested, with its values taken from `values`.

    `old` and `new` may be masked; `values` is `new` as it goes out.
    """
    changes: Body = {name: None for name in old if name not in new}
    for name, inner in new.items():
        before = old.get(name)
        if before == inner:
            continue
        if isinstance(inner, dict) and isinstance(before, dict):
            changes[name] = patch(before, inner, values[name])
        else:
            changes[name] = values[name]
    return changes
