"""What the provider does for each type of resource: which requests, what makes a replacement, how to find one again.

Source: the provider's recorded requests (upstream generation v5.22, SDK 6.23.1), 2026-11-23.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from twin.apply.provider import bodies, lookups

if TYPE_CHECKING:
    from collections.abc import Callable

Inputs = dict[str, Any]
EVERYTHING: Final = frozenset({"*"})


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type of resource.

    `collection` is where it is created by `method`, `item` where it lives; both are filled from inputs and id.
    `update` is None where every change makes a new one; `removes` is False where the provider sends no request;
    `ends_with` is what it PATCHes right before it removes.
    `replace_on` names the inputs whose change makes a new one; `key` the input that is the id where the API has none.
    """

    collection: str
    item: str = ""
    method: str = "POST"
    update: str | None = None
    removes: bool = True
    ends_with: Inputs | None = None
    replace_on: frozenset[str] = EVERYTHING
    key: str | None = None
    body: Callable[[Inputs], Any] = bodies.plain
    changed: Callable[[Inputs], Any] | None = None
    find: lookups.Lookup = field(default=lookups.nothing)


_ACCOUNT = "/accounts/{accountId}"
_ZONE = "/zones/{zoneId}"

KINDS: Final = {
    "worker:Worker": Kind(
        collection=f"{_ACCOUNT}/workers/workers",
        item=f"{_ACCOUNT}/workers/workers/{{id}}",
        update="PUT",
        replace_on=frozenset({"accountId"}),
        body=bodies.worker,
        find=lookups.by("name"),
    ),
    "workerVersion:WorkerVersion": Kind(
        collection=f"{_ACCOUNT}/workers/workers/{{workerId}}/versions",
        removes=False,
        body=bodies.version,
        find=lookups.version,
    ),
    "workersDeployment:WorkersDeployment": Kind(
        collection=f"{_ACCOUNT}/workers/scripts/{{scriptName}}/deployments",
        removes=False,
        find=lookups.deployment,
    ),
    "workersCronTrigger:WorkersCronTrigger": Kind(
        collection=f"{_ACCOUNT}/workers/scripts/{{scriptName}}/schedules",
        item=f"{_ACCOUNT}/workers/scripts/{{scriptName}}/schedules",
        method="PUT",
        update="PUT",
        removes=False,
        replace_on=frozenset({"accountId", "scriptName"}),
        key="scriptName",
        body=bodies.schedules,
    ),
    "workersCustomDomain:WorkersCustomDomain": Kind(
        collection=f"{_ACCOUNT}/workers/domains",
        item=f"{_ACCOUNT}/workers/domains/{{id}}",
        method="PUT",
    ),
    "workersRoute:WorkersRoute": Kind(
        collection=f"{_ZONE}/workers/routes",
        item=f"{_ZONE}/workers/routes/{{id}}",
        update="PUT",
        replace_on=frozenset({"zoneId"}),
        find=lookups.by("pattern"),
    ),
    "workersKvNamespace:WorkersKvNamespace": Kind(
        collection=f"{_ACCOUNT}/storage/kv/namespaces",
        item=f"{_ACCOUNT}/storage/kv/namespaces/{{id}}",
        update="PUT",
        replace_on=frozenset({"accountId"}),
        find=lookups.by("title"),
    ),
    "hyperdriveConfig:HyperdriveConfig": Kind(
        collection=f"{_ACCOUNT}/hyperdrive/configs",
        item=f"{_ACCOUNT}/hyperdrive/configs/{{id}}",
        update="PUT",
        replace_on=frozenset({"accountId"}),
        find=lookups.by("name"),
    ),
    "dnsRecord:DnsRecord": Kind(
        collection=f"{_ZONE}/dns_records",
        item=f"{_ZONE}/dns_records/{{id}}",
        update="PUT",
        replace_on=frozenset({"zoneId"}),
        body=bodies.record,
        changed=bodies.changed_record,
        find=lookups.by("name", "type", "content", "data"),
    ),
    "pagesProject:PagesProject": Kind(
        collection=f"{_ACCOUNT}/pages/projects",
        item=f"{_ACCOUNT}/pages/projects/{{id}}",
        update="PATCH",
        replace_on=frozenset({"accountId", "name"}),
        key="name",
        body=bodies.project,
        find=lookups.by("name"),
    ),
    "pagesDomain:PagesDomain": Kind(
        collection=f"{_ACCOUNT}/pages/projects/{{projectName}}/domains",
        item=f"{_ACCOUNT}/pages/projects/{{projectName}}/domains/{{id}}",
        key="name",
        find=lookups.by("name"),
    ),
    "ruleset:Ruleset": Kind(
        collection=f"{_ZONE}/rulesets",
        item=f"{_ZONE}/rulesets/{{id}}",
        update="PUT",
        replace_on=frozenset({"zoneId", "name", "kind", "phase"}),
        body=bodies.ruleset,
        find=lookups.by("name", "phase"),
    ),
    "zoneSetting:ZoneSetting": Kind(
        collection=f"{_ZONE}/settings/{{settingId}}",
        item=f"{_ZONE}/settings/{{settingId}}",
        method="PATCH",
        update="PATCH",
        removes=False,
        replace_on=frozenset({"zoneId", "settingId"}),
        key="settingId",
    ),
    "zoneDnssec:ZoneDnssec": Kind(
        collection=f"{_ZONE}/dnssec",
        item=f"{_ZONE}/dnssec",
        method="PATCH",
        update="PATCH",
        ends_with={"status": "disabled"},
        replace_on=frozenset({"zoneId"}),
        key="zoneId",
    ),
    "logpushJob:LogpushJob": Kind(
        collection=f"{_ACCOUNT}/logpush/jobs",
        item=f"{_ACCOUNT}/logpush/jobs/{{id}}",
        update="PUT",
        replace_on=frozenset({"accountId"}),
        body=bodies.job,
        find=lookups.by("name", "dataset"),
    ),
    "healthcheck:Healthcheck": Kind(
        collection=f"{_ZONE}/healthchecks",
        item=f"{_ZONE}/healthchecks/{{id}}",
        update="PUT",
        replace_on=frozenset({"zoneId"}),
        body=bodies.healthcheck,
        find=lookups.by("name", "address"),
    ),
    "notificationPolicyWebhooks:NotificationPolicyWebhooks": Kind(
        collection=f"{_ACCOUNT}/alerting/v3/destinations/webhooks",
        item=f"{_ACCOUNT}/alerting/v3/destinations/webhooks/{{id}}",
        update="PUT",
        replace_on=frozenset({"accountId"}),
        find=lookups.by("name", "url"),
    ),
    "notificationPolicy:NotificationPolicy": Kind(
        collection=f"{_ACCOUNT}/alerting/v3/policies",
        item=f"{_ACCOUNT}/alerting/v3/policies/{{id}}",
        update="PUT",
        replace_on=frozenset({"accountId"}),
        body=bodies.policy,
        find=lookups.by("name"),
    ),
    "r2Bucket:R2Bucket": Kind(
        collection=f"{_ACCOUNT}/r2/buckets",
        item=f"{_ACCOUNT}/r2/buckets/{{id}}",
        key="name",
        body=bodies.bucket,
        find=lookups.bucket,
    ),
    "r2BucketLifecycle:R2BucketLifecycle": Kind(
        collection=f"{_ACCOUNT}/r2/buckets/{{bucketName}}/lifecycle",
        item=f"{_ACCOUNT}/r2/buckets/{{bucketName}}/lifecycle",
        method="PUT",
        update="PUT",
        removes=False,
        replace_on=frozenset({"accountId", "bucketName"}),
        key="bucketName",
        body=bodies.lifecycle,
    ),
}
"""By the last two parts of the type's token, `cloudflare:index/<these>`."""

PREFIX: Final = "cloudflare:index/"
