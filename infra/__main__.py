"""Declare everything that one environment consists of: settings, then components, then outputs."""

import pulumi

from infra.alerts import Notifications
from infra.api_worker import ApiWorker
from infra.dns_zone import DnsZone, find_zone
from infra.outputs import Outputs
from infra.protection import ZoneProtection
from infra.settings import load
from infra.storage import Buckets, declare_logpush
from infra.web_pages import WebPages

settings = load()
stack = settings.stack

zone_id = find_zone(stack)
sites = {site.host: WebPages(f"{stack.product.name}-web", stack=stack, site=site) for site in stack.sites}
buckets = Buckets(f"{stack.product.name}-buckets", stack=stack)
api = ApiWorker(f"{stack.product.name}-api", settings=settings, zone_id=zone_id, buckets=buckets.names)
aliases = {host: web.subdomain for host, web in sites.items()}
DnsZone(f"{stack.product.name}-dns", zone_id=zone_id, records=stack.records, aliases=aliases)
ZoneProtection(f"{stack.product.name}-protection", zone_id=zone_id, protection=stack.protection)
Notifications(f"{stack.product.name}-alerts", settings=settings, zone_id=zone_id)
if stack.logpush:
    declare_logpush(f"{stack.product.name}-logpush", settings=settings, logpush=stack.logpush, buckets=buckets.names)

outputs: dict[str, pulumi.Input[str]] = {
    "api_worker": api.worker.name,
    "api_version": api.app.id,
    "api_live_version": api.live_version,
    "maintenance_version": api.maintenance.id,
    "hyperdrive_id": api.database.id,
    "zone_id": zone_id,
    "web_project": "",  # without a site
    "web_deployment": "",
}
for web in sites.values():
    outputs |= {"web_project": web.project.name, "web_deployment": web.content.deployment}
for name in Outputs.__struct_fields__:
    pulumi.export(name, outputs[name])
