"""Declare the API: a Worker, its app and maintenance versions, what is live, and the ways that lead to it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_cloudflare as cloudflare
from msgspec import json

from infra.dynamic.worker_secrets import MAINTENANCE, MODULE, MODULE_TYPE, WorkerSecrets, maintenance_module
from infra.settings import ROOT
from infra.sources import build_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.services.shape import Api
    from infra.settings import Settings
    from infra.shapes import Value

PIN: Final = "api"
"""The pin that keeps traffic where a rollback has put it."""


class ApiWorker(pulumi.ComponentResource):
    """The Worker with everything that belongs to it."""

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        zone_id: pulumi.Input[str],
        buckets: Mapping[str, pulumi.Input[str]],
    ) -> None:
        """Declare it below `name`; every other name follows from that one. `buckets` are the stack's, by name."""
        super().__init__("ems-ops:infra:ApiWorker", name)
        self._settings = settings
        self._stack = stack = settings.stack
        self._buckets = buckets
        self.database = self._declare_database(f"{name}-database")
        self.worker = cloudflare.Worker(
            name,
            account_id=stack.account,
            name=stack.api.name,
            observability={"enabled": True},
            logpush=True if stack.logpush else None,
            subdomain={"enabled": False, "previews_enabled": False},
            opts=pulumi.ResourceOptions(parent=self, protect=True),  # its versions are what a rollback goes back to
        )
        self.app = self._declare_app(f"{name}-app")
        self.maintenance = self._declare_maintenance(f"{name}-maintenance")
        pin = stack.pins.get(PIN)
        self.live_version: pulumi.Input[str] = pin.version if pin else settings.live_version or self.app.id
        self.deployment = cloudflare.WorkersDeployment(
            f"{name}-live",
            account_id=stack.account,
            script_name=self.worker.name,
            strategy="percentage",
            versions=[{"version_id": self.live_version, "percentage": 100}],
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True, depends_on=[self.app, self.maintenance]),
        )
        self._declare_ways(name, zone_id)
        self.register_outputs({})

    def _declare_database(self, name: str) -> cloudflare.HyperdriveConfig:
        origin = self._settings.origin
        return cloudflare.HyperdriveConfig(
            name,
            account_id=self._stack.account,
            name=self._stack.database.hyperdrive,
            origin={
                "scheme": "postgres",
                "host": origin.host,
                "port": origin.port,
                "database": origin.database,
                "user": origin.user,
                "password": pulumi.Output.secret(origin.password),
            },
            caching={"disabled": True},  # a cached row could be one that a restore has taken back
            opts=pulumi.ResourceOptions(parent=self, protect=True),  # every version is bound to its id
        )

    def _declare_app(self, name: str) -> cloudflare.WorkerVersion:
        api = self._stack.api
        module = build_module(api.build, root=ROOT)
        database = cloudflare.WorkerVersionBindingArgs(name="DB", type="hyperdrive", id=self.database.id)
        buckets = [
            cloudflare.WorkerVersionBindingArgs(name=binding, type="r2_bucket", bucket_name=self._buckets[bucket])
            for binding, bucket in sorted(api.buckets.items())
        ]
        bindings = [database, *self._declare_namespaces(), *buckets, *_counted(api), *_values(api.variables)]
        content, message = base64.b64encode(module).decode(), api.message(module)
        return self._declare_version(name, content, message, bindings, after=self._declare_secrets(message))

    def _declare_secrets(self, beside: str) -> list[pulumi.Resource]:
        """Declare the names of the secrets, and return what must be there before a version inherits them."""
        stack = self._stack
        if not stack.api.secrets:
            return []
        told = [{"name": name, "type": "plain_text", "text": text} for name, text in self._told().items()]
        names = WorkerSecrets(
            f"{stack.product.name}-api-secrets",
            base_url=stack.base_url,
            account=stack.account,
            script=stack.api.name,
            worker=self.worker.id,
            names=stack.api.secrets,
            beside=beside,
            maintenance={
                "compatibility_date": stack.api.compatibility_date,
                "bindings": [*told, {"name": "VERSION", "type": "version_metadata"}],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [names]

    def _declare_namespaces(self) -> list[cloudflare.WorkerVersionBindingArgs]:
        """Declare the KV namespaces and return their bindings."""
        bindings = []
        for binding, title in sorted(self._stack.api.kv.items()):
            namespace = cloudflare.WorkersKvNamespace(
                f"{self._stack.product.name}-kv-{title}",
                account_id=self._stack.account,
                title=title,
                opts=pulumi.ResourceOptions(parent=self, protect=True),  # what is in it cannot be made again
            )
            bindings.append(
                cloudflare.WorkerVersionBindingArgs(name=binding, type="kv_namespace", namespace_id=namespace.id)
            )
        return bindings

    def _declare_maintenance(self, name: str) -> cloudflare.WorkerVersion:
        # Uploaded again beside each app version: only the last 100 versions can be deployed (changelog 2025-09-11).
        beside = cloudflare.WorkerVersionBindingArgs(name="BESIDE", type="plain_text", text=self.app.id)
        return self._declare_version(name, maintenance_module(), MAINTENANCE, [beside, *_values(self._told())])

    def _told(self) -> dict[str, str]:
        """Return what the maintenance version must know."""
        return {"PRODUCT": self._stack.product.title, "RETRY_AFTER": str(self._stack.api.retry_after_seconds)}

    def _declare_version(
        self,
        name: str,
        content: str,
        message: str,
        bindings: list[cloudflare.WorkerVersionBindingArgs],
        after: list[pulumi.Resource] | None = None,
    ) -> cloudflare.WorkerVersion:
        api = self._stack.api
        version = cloudflare.WorkerVersionBindingArgs(name="VERSION", type="version_metadata")
        # The maintenance version too: the next app inherits from the newest upload, which it will be by then.
        secrets = [cloudflare.WorkerVersionBindingArgs(name=secret, type="inherit") for secret in api.secrets]
        return cloudflare.WorkerVersion(
            name,
            account_id=self._stack.account,
            worker_id=self.worker.id,
            main_module=MODULE,
            modules=[{"name": MODULE, "content_type": MODULE_TYPE, "content_base64": content}],
            bindings=[*bindings, *secrets, version],
            annotations=cloudflare.WorkerVersionAnnotationsArgs(
                workers_message=message, workers_tag=self._needs(message)
            ),
            compatibility_date=api.compatibility_date,
            compatibility_flags=api.compatibility_flags,
            limits={"cpu_ms": api.cpu_milliseconds} if api.cpu_milliseconds else None,
            placement={"mode": api.placement} if api.placement else None,
            # An older version is a way back.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True, depends_on=after),
        )

    def _needs(self, message: str) -> str | None:
        """Return the annotation by which a version says which migration it needs; declared, so never a difference."""
        migrations = self._stack.database.migrations
        return (migrations.tag or None) if migrations and message != MAINTENANCE else None

    def _declare_ways(self, name: str, zone_id: pulumi.Input[str]) -> None:
        """Declare host, routes and schedule, all only once something is live that can answer."""
        options = pulumi.ResourceOptions(parent=self, depends_on=[self.deployment])
        cloudflare.WorkersCustomDomain(
            f"{name}-host",
            account_id=self._stack.account,
            hostname=self._stack.api.host,
            service=self.worker.name,
            zone_id=zone_id,
            opts=options,
        )
        for pattern in self._stack.api.routes:
            cloudflare.WorkersRoute(
                f"{name}-route-{pattern}", zone_id=zone_id, pattern=pattern, script=self.worker.name, opts=options
            )
        # Also without any cron: the provider removes schedules only by declaring an empty list.
        cloudflare.WorkersCronTrigger(
            f"{name}-schedule",
            account_id=self._stack.account,
            script_name=self.worker.name,
            schedules=[{"cron": cron} for cron in self._stack.api.crons],
            opts=options,
        )


def _values(variables: Mapping[str, Value]) -> Iterator[cloudflare.WorkerVersionBindingArgs]:
    for name, value in sorted(variables.items()):
        if isinstance(value, str):
            yield cloudflare.WorkerVersionBindingArgs(name=name, type="plain_text", text=value)
        else:  # sorted: the CLI hands on mappings by key, `twin apply` as they are written
            text = json.encode(value, order="sorted").decode()
            yield cloudflare.WorkerVersionBindingArgs(name=name, type="json", json=text)


def _counted(api: Api) -> Iterator[cloudflare.WorkerVersionBindingArgs]:
    """Yield what the Worker writes points to, and what it asks how often something was."""
    for name, dataset in sorted(api.analytics.items()):
        yield cloudflare.WorkerVersionBindingArgs(name=name, type="analytics_engine", dataset=dataset)
    for name, limiter in sorted(api.limiters.items()):
        simple = cloudflare.WorkerVersionBindingSimpleArgs(limit=limiter.limit, period=limiter.period_seconds)
        yield cloudflare.WorkerVersionBindingArgs(
            name=name, type="ratelimit", namespace_id=str(limiter.namespace), simple=simple
        )
