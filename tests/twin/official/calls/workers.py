"""Workers: scripts, versions, deployments, secrets, settings, hosts and assets."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tests.twin import serving
from tests.twin.official.sdk import CODE, Sdk

if TYPE_CHECKING:
    from collections.abc import Callable

BETA = "/accounts/{account}/workers/workers"
SCRIPTS = "/accounts/{account}/workers/scripts"
SCRIPT = SCRIPTS + "/{script}"
FILE = {"/index.html": {"hash": "0123456789abcdef" * 2, "size": 2}}


def hosted(it: Sdk) -> Any:  # noqa: ANN401 - the client's model
    """Attach a new host to a script."""
    host = f"{it.fresh('app')}.{serving.ZONE}"
    return it.api.workers.domains.update(**it.a, hostname=host, service=it.script, zone_id=it.zone)


def raw(it: Sdk, method: str, *words: str, **sent: Any) -> Any:  # noqa: ANN401 - JSON
    """Call what the client 5.9.0 has no usable type for (`ResourcesBindings` is no model) and return the result."""
    answer = getattr(it.api.workers.scripts.versions.with_raw_response, method)(*words, **it.a, **sent)
    return answer.http_response.json()["result"]


def deleted_deployment(it: Sdk) -> object:
    """Delete a deployment that is no longer live."""
    script = it.script_with()
    old = it.deployment(script)
    it.deployment(script)
    return it.api.workers.scripts.deployments.delete(old.id, **it.a, script_name=script)


def deleted_version(it: Sdk) -> object:
    """Delete a version that was never deployed."""
    worker = it.worker().id
    return it.api.workers.beta.workers.versions.delete(it.version(worker).id, **it.a, worker_id=worker)


def uploaded_asset(it: Sdk) -> object:
    """Upload the one file of an assets session."""
    hashed = "fedcba9876543210" * 2
    manifest = {"/a.txt": {"hash": hashed, "size": 2}}
    session = it.api.workers.scripts.assets.upload.create(it.script, **it.a, manifest=manifest)
    header = {"Authorization": f"Bearer {session.jwt}"}
    body = {hashed: base64.b64encode(b"hi").decode()}
    return it.api.workers.assets.upload.create(**it.a, base64=True, body=body, extra_headers=header).jwt


def edited_worker(it: Sdk) -> Any:  # noqa: ANN401 - the client's model
    """Edit a Worker: the client asks for all fields."""
    worker = it.worker()
    switches = {"subdomain": {"enabled": True}, "observability": {"enabled": True}, "logpush": False}
    return it.api.workers.beta.workers.edit(
        worker.id, **it.a, **switches, name=worker.name, tags=["edited"], tail_consumers=[]
    )


CASES: dict[str, Callable[[Sdk], object]] = {
    f"GET {BETA}": lambda it: it.worker() and list(it.api.workers.beta.workers.list(**it.a)),
    f"POST {BETA}": lambda it: it.worker(),
    f"GET {BETA}/{{worker}}": lambda it: it.api.workers.beta.workers.get(it.worker().id, **it.a),
    f"PUT {BETA}/{{worker}}": lambda it: it.api.workers.beta.workers.update(it.worker().id, **it.a, name=it.fresh("w")),
    f"PATCH {BETA}/{{worker}}": edited_worker,
    f"DELETE {BETA}/{{worker}}": lambda it: it.api.workers.beta.workers.delete(it.worker().id, **it.a),
    f"GET {BETA}/{{worker}}/versions": lambda it: list(
        it.api.workers.beta.workers.versions.list(it.version(it.worker().id) and it.script, **it.a)
    ),
    f"POST {BETA}/{{worker}}/versions": lambda it: it.version(it.worker().id),
    f"GET {BETA}/{{worker}}/versions/{{version}}": lambda it: it.api.workers.beta.workers.versions.get(
        it.newest(it.script), **it.a, worker_id=it.script, include="modules"
    ),
    f"DELETE {BETA}/{{worker}}/versions/{{version}}": deleted_version,
    f"GET {SCRIPTS}": lambda it: it.script and list(it.api.workers.scripts.list(**it.a)),
    f"PUT {SCRIPT}": lambda it: it.api.workers.scripts.update(
        it.fresh("script"), **it.a, metadata=it.metadata(), files=[CODE]
    ),
    f"GET {SCRIPT}": lambda it: it.api.workers.scripts.get(it.script, **it.a),
    f"DELETE {SCRIPT}": lambda it: it.api.workers.scripts.delete(it.script_with(), **it.a),
    f"PUT {SCRIPT}/content": lambda it: it.api.workers.scripts.content.update(
        it.script_with(), **it.a, metadata={"main_module": "index.js"}, files=[CODE]
    ),
    f"GET {SCRIPT}/content/v2": lambda it: it.api.workers.scripts.content.get(it.script, **it.a).read(),
    f"GET {SCRIPT}/deployments": lambda it: it.lax.workers.scripts.deployments.with_raw_response.list(
        it.script, **it.a
    ).http_response.json()["result"],
    f"POST {SCRIPT}/deployments": lambda it: it.deployment(it.script),
    f"GET {SCRIPT}/deployments/{{deployment}}": lambda it: it.api.workers.scripts.deployments.get(
        it.deployment(it.script).id, **it.a, script_name=it.script
    ),
    f"DELETE {SCRIPT}/deployments/{{deployment}}": deleted_deployment,
    f"GET {SCRIPT}/schedules": lambda it: it.api.workers.scripts.schedules.get(it.script, **it.a),
    f"PUT {SCRIPT}/schedules": lambda it: (
        it.api.workers.scripts.schedules.update(it.script, **it.a, body=[{"cron": "*/5 * * * *"}]).schedules
    ),
    f"GET {SCRIPT}/script-settings": lambda it: it.api.workers.scripts.settings.get(it.script, **it.a),
    f"PATCH {SCRIPT}/script-settings": lambda it: it.api.workers.scripts.settings.edit(it.script, **it.a, logpush=True),
    f"GET {SCRIPT}/settings": lambda it: it.api.workers.scripts.script_and_version_settings.get(it.script, **it.a),
    f"PATCH {SCRIPT}/settings": lambda it: it.api.workers.scripts.script_and_version_settings.edit(
        it.script_with(), **it.a, settings={"bindings": [{"type": "plain_text", "name": "A", "text": "1"}]}
    ),
    f"GET {SCRIPT}/secrets": lambda it: list(it.api.workers.scripts.secrets.list(it.script, **it.a)),
    f"PUT {SCRIPT}/secrets": lambda it: it.api.workers.scripts.secrets.update(
        it.script_with(), **it.a, name="KEY", text="v", type="secret_text"
    ),
    f"GET {SCRIPT}/secrets/{{name}}": lambda it: it.api.workers.scripts.secrets.get(
        "TOKEN", **it.a, script_name=it.script
    ),
    f"DELETE {SCRIPT}/secrets/{{name}}": lambda it: it.api.workers.scripts.secrets.delete(
        "OLD", **it.a, script_name=it.script_with({"type": "secret_text", "name": "OLD", "text": "x"})
    ),
    f"PATCH {SCRIPT}/secrets-bulk": lambda it: it.api.workers.scripts.secrets.bulk_update(
        it.script_with(), **it.a, secrets={"ONE": {"name": "ONE", "text": "1", "type": "secret_text"}}
    ),
    f"GET {SCRIPT}/subdomain": lambda it: it.api.workers.scripts.subdomain.get(it.script, **it.a),
    f"POST {SCRIPT}/subdomain": lambda it: it.api.workers.scripts.subdomain.create(it.script, **it.a, enabled=True),
    f"DELETE {SCRIPT}/subdomain": lambda it: it.api.workers.scripts.subdomain.delete(it.script, **it.a),
    f"GET {SCRIPT}/versions": lambda it: list(it.api.workers.scripts.versions.list(it.script, **it.a)),
    f"POST {SCRIPT}/versions": lambda it: raw(it, "create", it.script, metadata=it.metadata(), files=[CODE]),
    f"GET {SCRIPT}/versions/{{version}}": lambda it: raw(it, "get", it.newest(it.script), script_name=it.script),
    f"POST {SCRIPT}/assets-upload-session": lambda it: (
        it.api.workers.scripts.assets.upload.create(it.script, **it.a, manifest=FILE).buckets
    ),
    "POST /accounts/{account}/workers/assets/upload": uploaded_asset,
    "GET /accounts/{account}/workers/domains": lambda it: hosted(it) and list(it.api.workers.domains.list(**it.a)),
    "PUT /accounts/{account}/workers/domains": hosted,
    "GET /accounts/{account}/workers/domains/{domain}": lambda it: it.api.workers.domains.get(hosted(it).id, **it.a),
    "DELETE /accounts/{account}/workers/domains/{domain}": lambda it: it.api.workers.domains.delete(
        hosted(it).id, **it.a
    ),
    "GET /accounts/{account}/workers/subdomain": lambda it: it.api.workers.subdomains.get(**it.a).subdomain,
    "PUT /accounts/{account}/workers/subdomain": lambda it: it.api.workers.subdomains.update(**it.a, subdomain="twin"),
}
